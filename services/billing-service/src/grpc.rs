//! The gRPC server: opens, updates and closes accounts for patient-service.

use std::time::Duration;

use contracts::{
    FILE_DESCRIPTOR_SET,
    billing::v1::{
        BillingRequest, BillingResponse, CloseBillingAccountRequest, CloseBillingAccountResponse,
        UpdateBillingAccountRequest,
        billing_service_server::{BillingService, BillingServiceServer},
    },
};
use kit::database::Pool;
use kit::{database, grpc::TelemetryLayer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Response, Status,
    service::interceptor::InterceptedService,
    transport::{Server, server::TcpIncoming},
};
use uuid::Uuid;

use crate::{
    account::{self, Account, Holder},
    link_secret::LinkSecretInterceptor,
};

/// Timeout of one call; patient-service has a shorter one, and retries.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Interval in which an idle connection is checked.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// Maximum number of concurrent calls of one connection; further ones wait at the client.
const MAX_CONCURRENT_CALLS: u32 = 256;
/// Maximum size of a message, in bytes; a real one has some hundred.
const MAX_MESSAGE_BYTES: usize = 16 * 1024;
/// Maximum length of a holder's name or email address, in bytes.
const MAX_TEXT_BYTES: usize = 1000;

/// Serves billing, health and reflection on `listener` until the shutdown, then completes the calls in progress.
///
/// A connection that is older than `max_connection_age` is closed after its calls, and the client connects again.
/// Health and reflection do not require the link's secret: a health check has none, and the contract is public.
///
/// # Errors
/// Fails if the listener fails.
pub async fn serve(
    listener: TcpListener,
    pool: Pool,
    interceptor: LinkSecretInterceptor,
    max_connection_age: Duration,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<BillingServiceServer<Billing>>().await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let telemetry = TelemetryLayer::new(&[
        FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ])?;
    let billing = BillingServiceServer::new(Billing { pool }).max_decoding_message_size(MAX_MESSAGE_BYTES);
    Server::builder()
        .timeout(CALL_TIMEOUT)
        .layer(telemetry)
        .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
        .max_concurrent_streams(Some(MAX_CONCURRENT_CALLS))
        .max_connection_age(max_connection_age)
        .add_service(InterceptedService::new(billing, interceptor))
        .add_service(health_service)
        .add_service(reflection().build_v1()?)
        // Clients such as python's grpcio-reflection ask for this version first.
        .add_service(reflection().build_v1alpha()?)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), async {
            shutdown.cancelled().await;
            // Clients that watch the health service switch to another replica.
            health.set_not_serving::<BillingServiceServer<Billing>>().await;
        })
        .await?;
    Ok(())
}

struct Billing {
    pool: Pool,
}

#[tonic::async_trait]
impl BillingService for Billing {
    async fn create_billing_account(
        &self,
        request: Request<BillingRequest>,
    ) -> Result<Response<BillingResponse>, Status> {
        let request = request.into_inner();
        let holder = holder(&request.patient_id, request.name, request.email, request.version)?;
        let account = account::open(&self.pool, &holder)
            .await
            .map_err(|error| to_status(&error))?;
        let status = account.status.as_str();
        tracing::info!(patient.id = %holder.patient_id, account.id = %account.account_id, status, "billing account requested");
        Ok(Response::new(response(&account)))
    }

    async fn update_billing_account(
        &self,
        request: Request<UpdateBillingAccountRequest>,
    ) -> Result<Response<BillingResponse>, Status> {
        let request = request.into_inner();
        let holder = holder(&request.patient_id, request.name, request.email, request.version)?;
        let account = account::update_holder(&self.pool, &holder)
            .await
            .map_err(|error| to_status(&error))?
            .ok_or_else(|| Status::not_found("the patient has no account"))?;
        tracing::info!(patient.id = %holder.patient_id, account.id = %account.account_id, patient.version = holder.version, "billing account updated");
        Ok(Response::new(response(&account)))
    }

    async fn close_billing_account(
        &self,
        request: Request<CloseBillingAccountRequest>,
    ) -> Result<Response<CloseBillingAccountResponse>, Status> {
        let patient_id = patient_id(&request.into_inner().patient_id)?;
        let account_id = account::close(&self.pool, patient_id)
            .await
            .map_err(|error| to_status(&error))?;
        tracing::info!(patient.id = %patient_id, "billing account closed");
        Ok(Response::new(CloseBillingAccountResponse {
            account_id: account_id.map(|id| id.to_string()).unwrap_or_default(),
            status: account::Status::Closed.as_str().to_owned(),
        }))
    }
}

fn response(account: &Account) -> BillingResponse {
    BillingResponse {
        account_id: account.account_id.to_string(),
        status: account.status.as_str().to_owned(),
    }
}

fn holder(id: &str, name: String, email: String, version: i64) -> Result<Holder, Status> {
    if version < 0 {
        return Err(Status::invalid_argument("version is negative"));
    }
    Ok(Holder {
        patient_id: patient_id(id)?,
        name: text("name", name)?,
        email: text("email", email)?,
        version,
    })
}

fn patient_id(text: &str) -> Result<Uuid, Status> {
    text.parse()
        .map_err(|_| Status::invalid_argument("patient_id is missing or not a UUID"))
}

/// Validates a holder's name or email address: PostgreSQL does not store NUL, and the length limits the storage of one call.
fn text(field: &str, value: String) -> Result<String, Status> {
    if value.trim().is_empty() {
        Err(Status::invalid_argument(format!("{field} is missing")))
    } else if value.len() > MAX_TEXT_BYTES || value.contains('\0') {
        Err(Status::invalid_argument(format!(
            "{field} is longer than {MAX_TEXT_BYTES} bytes or contains a NUL character"
        )))
    } else {
        Ok(value)
    }
}

/// Logs a database error, and returns the status that tells the client if a retry can help.
fn to_status(error: &sqlx::Error) -> Status {
    database::record_error(error);
    tracing::error!(error = %database::describe(error), "a billing call failed in the database");
    if database::is_transient(error) {
        Status::unavailable("the database is unavailable; retry")
    } else {
        Status::internal("the account could not be written")
    }
}
