//! The gRPC side: opening and closing accounts for patient-service.

use std::time::Duration;

use contracts::{
    FILE_DESCRIPTOR_SET,
    billing::v1::{
        BillingRequest, BillingResponse, CloseBillingAccountRequest, CloseBillingAccountResponse,
        billing_service_server::{BillingService, BillingServiceServer},
    },
};
use kit::{database, grpc::TelemetryLayer};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Response, Status,
    service::interceptor::InterceptedService,
    transport::{Server, server::TcpIncoming},
};
use uuid::Uuid;

use crate::{
    account::{self, Holder},
    link::LinkGuard,
};

/// How long one call may take; patient-service gives up earlier and tries again.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Calls that one connection may have under way; further ones wait at the caller.
const CALLS: u32 = 256;
/// The largest message that is read, in bytes; a real one has some hundred.
const LARGEST: usize = 16 * 1024;

/// Serves billing, health and reflection on `listener` until `shutdown`, then answers what is under way.
///
/// Health and reflection need no secret: a health check has none, and the contract is public.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    pool: PgPool,
    guard: LinkGuard,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<BillingServiceServer<Billing>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let observe = TelemetryLayer::new(&[
        FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    ])?;
    let billing = BillingServiceServer::new(Billing { pool }).max_decoding_message_size(LARGEST);
    Server::builder()
        .timeout(CALL_TIMEOUT)
        .layer(observe)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .max_concurrent_streams(Some(CALLS))
        .add_service(InterceptedService::new(billing, guard))
        .add_service(health_service)
        .add_service(reflection)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), async {
            shutdown.cancelled().await;
            // Callers that watch the health service learn that they must go elsewhere.
            health.set_not_serving::<BillingServiceServer<Billing>>().await;
        })
        .await?;
    Ok(())
}

struct Billing {
    pool: PgPool,
}

#[tonic::async_trait]
impl BillingService for Billing {
    async fn create_billing_account(
        &self,
        request: Request<BillingRequest>,
    ) -> Result<Response<BillingResponse>, Status> {
        self.open(request.into_inner()).await.map(Response::new)
    }

    async fn close_billing_account(
        &self,
        request: Request<CloseBillingAccountRequest>,
    ) -> Result<Response<CloseBillingAccountResponse>, Status> {
        self.close(request.into_inner()).await.map(Response::new)
    }
}

impl Billing {
    async fn open(&self, request: BillingRequest) -> Result<BillingResponse, Status> {
        let holder = Holder {
            patient_id: patient_id(&request.patient_id)?,
            name: text("name", request.name)?,
            email: text("email", request.email)?,
        };
        let account = account::open(&self.pool, &holder).await.map_err(failed)?;
        let status = account.status.as_str();
        tracing::info!(patient.id = %holder.patient_id, account.id = %account.account_id, status, "billing account asked for");
        Ok(BillingResponse {
            account_id: account.account_id.to_string(),
            status: status.to_owned(),
        })
    }

    async fn close(&self, request: CloseBillingAccountRequest) -> Result<CloseBillingAccountResponse, Status> {
        let patient_id = patient_id(&request.patient_id)?;
        let account_id = account::close(&self.pool, patient_id).await.map_err(failed)?;
        tracing::info!(patient.id = %patient_id, "billing account closed");
        Ok(CloseBillingAccountResponse {
            account_id: account_id.map(|id| id.to_string()).unwrap_or_default(),
            status: account::Status::Closed.as_str().to_owned(),
        })
    }
}

fn patient_id(text: &str) -> Result<Uuid, Status> {
    text.parse()
        .map_err(|_| Status::invalid_argument("patient_id is missing or no UUID"))
}

/// A holder's name or email as PostgreSQL can keep it; the limit bounds what one call can make the database store.
fn text(field: &str, value: String) -> Result<String, Status> {
    if value.trim().is_empty() {
        Err(Status::invalid_argument(format!("{field} is missing")))
    } else if value.len() > 1000 || value.contains('\0') {
        Err(Status::invalid_argument(format!(
            "{field} is longer than 1000 bytes or holds a NUL character"
        )))
    } else {
        Ok(value)
    }
}

/// Logs a database error and answers what the caller may know: whether to try again.
fn failed(error: sqlx::Error) -> Status {
    database::record_error(&error);
    tracing::error!(error = %database::describe(&error), "a billing call failed at the database");
    if database::is_transient(&error) {
        Status::unavailable("the database cannot do it now; try again")
    } else {
        Status::internal("the account could not be written")
    }
}
