//! The gRPC client of billing-service.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use contracts::{
    LINK_SECRET_HEADER,
    billing::v1::{
        BillingRequest, BillingResponse, CloseBillingAccountRequest, UpdateBillingAccountRequest,
        billing_service_client::BillingServiceClient, billing_service_server,
    },
};
use kit::{
    grpc::{repeat_if_cancelled, traced_call},
    trace::{HEADER, traceparent},
};
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use tokio::{net::TcpStream, time::timeout};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};
use uuid::Uuid;

use super::{
    account::{AccountHolder, AccountState},
    circuit_breaker::{CallSource, CircuitBreaker},
};

/// Full name of the service in its contract.
const SERVICE: &str = billing_service_server::SERVICE_NAME;
const CONNECT_TIMEOUT: Duration = Duration::from_millis(700);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// Timeout of the health check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// Calls billing-service; connects at the first call, and again whenever the connection is lost.
pub struct BillingClient {
    address: String,
    client: BillingServiceClient<Channel>,
    secret: Option<MetadataValue<Ascii>>,
    breaker: Mutex<CircuitBreaker>,
}

impl BillingClient {
    /// Returns a client of the service at `address` (host:port), which is not called yet.
    ///
    /// # Errors
    /// Fails if the address or the link's secret is malformed.
    pub fn new(address: &str, secret: Option<&SecretString>) -> anyhow::Result<Self> {
        let channel = Endpoint::from_shared(format!("http://{address}"))
            .with_context(|| format!("BILLING_SERVICE_ADDRESS `{address}` must be host:port"))?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_while_idle(true)
            .connect_lazy();
        let secret = secret.map(|secret| {
            let value = secret.expose_secret().parse::<MetadataValue<Ascii>>();
            // The parser's error could quote the secret.
            let mut value =
                value.map_err(|_| anyhow::anyhow!("BILLING_LINK_SECRET must be visible ASCII characters"))?;
            value.set_sensitive(true);
            anyhow::Ok(value)
        });
        Ok(Self {
            address: address.to_owned(),
            client: BillingServiceClient::new(channel),
            secret: secret.transpose()?,
            breaker: Mutex::default(),
        })
    }

    /// Returns true if the circuit breaker allows this call; see [`CircuitBreaker::allows`].
    pub(super) fn allows(&self, source: CallSource) -> bool {
        let allowed = self.breaker.lock().allows(source, Instant::now());
        if !allowed && source == CallSource::Request {
            metrics::counter!("billing_circuit_breaker_rejected_total").increment(1);
        }
        allowed
    }

    /// Returns true if the circuit breaker is closed.
    pub(super) fn is_closed(&self) -> bool {
        self.breaker.lock().is_closed()
    }

    /// Records the result of a call in the circuit breaker.
    fn record<T>(&self, result: Result<T, Status>) -> Result<T, Status> {
        let mut breaker = self.breaker.lock();
        let was_closed = breaker.is_closed();
        match &result {
            Err(status) if is_unavailable(status.code()) => breaker.record_failure(Instant::now()),
            _ => breaker.record_response(),
        }
        let is_closed = breaker.is_closed();
        drop(breaker);
        metrics::gauge!("billing_circuit_breaker_open").set(if is_closed { 0.0 } else { 1.0 });
        match (was_closed, is_closed) {
            (true, false) => tracing::warn!("billing-service does not respond; requests no longer call it"),
            (false, true) => tracing::info!("billing-service responds again"),
            _ => {}
        }
        result
    }

    /// Opens the patient's account, or returns the one that is open, with a holder that is at least as new.
    ///
    /// # Errors
    /// The status of the call; `DEADLINE_EXCEEDED` if it takes longer than `limit`.
    pub async fn open(&self, holder: AccountHolder<'_>, limit: Duration) -> Result<AccountState, Status> {
        let message = BillingRequest {
            patient_id: holder.patient_id.to_string(),
            name: holder.name.to_owned(),
            email: holder.email.to_owned(),
            version: holder.version,
        };
        // idempotent: an account belongs to its patient
        let call = traced_call(SERVICE, "CreateBillingAccount", async {
            let create = async || {
                let request = self.request(message.clone(), limit);
                self.client.clone().create_billing_account(request).await
            };
            with_deadline(limit, repeat_if_cancelled(create)).await
        });
        self.record(call.await).map(state)
    }

    /// Updates the holder of the patient's account, which has an older version of the patient.
    ///
    /// # Errors
    /// The status of the call; `NOT_FOUND` if the patient has no account, `DEADLINE_EXCEEDED` if it takes longer than `limit`.
    pub async fn update(&self, holder: AccountHolder<'_>, limit: Duration) -> Result<AccountState, Status> {
        let message = UpdateBillingAccountRequest {
            patient_id: holder.patient_id.to_string(),
            name: holder.name.to_owned(),
            email: holder.email.to_owned(),
            version: holder.version,
        };
        let call = traced_call(SERVICE, "UpdateBillingAccount", async {
            let update = async || {
                let request = self.request(message.clone(), limit);
                self.client.clone().update_billing_account(request).await
            };
            with_deadline(limit, repeat_if_cancelled(update)).await
        });
        self.record(call.await).map(state)
    }

    /// Closes the patient's account.
    ///
    /// # Errors
    /// The status of the call; `DEADLINE_EXCEEDED` if it takes longer than `limit`.
    pub async fn close(&self, patient: Uuid, limit: Duration) -> Result<(), Status> {
        let message = CloseBillingAccountRequest {
            patient_id: patient.to_string(),
        };
        let call = traced_call(SERVICE, "CloseBillingAccount", async {
            let close = async || {
                let request = self.request(message.clone(), limit);
                self.client.clone().close_billing_account(request).await
            };
            with_deadline(limit, repeat_if_cancelled(close)).await
        });
        self.record(call.await).map(drop)
    }

    /// Checks if the service accepts a connection.
    ///
    /// # Errors
    /// Fails if it does not within one second.
    pub async fn check(self: Arc<Self>) -> anyhow::Result<()> {
        let connected = timeout(CHECK_TIMEOUT, TcpStream::connect(&self.address)).await;
        connected.with_context(|| format!("no connection within {} s", CHECK_TIMEOUT.as_secs()))??;
        Ok(())
    }

    fn request<T>(&self, message: T, limit: Duration) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(limit);
        let metadata = request.metadata_mut();
        if let Some(secret) = &self.secret {
            metadata.insert(LINK_SECRET_HEADER, secret.clone());
        }
        if let Some(trace) = traceparent().and_then(|header| header.parse().ok()) {
            metadata.insert(HEADER, trace);
        }
        request
    }
}

fn state(account: BillingResponse) -> AccountState {
    AccountState {
        status: account.status,
        account_id: Some(account.account_id),
    }
}

async fn with_deadline<T>(
    limit: Duration,
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, Status> {
    let exceeded = |_| Status::deadline_exceeded("billing-service did not respond in time");
    timeout(limit, call)
        .await
        .map_err(exceeded)?
        .map(tonic::Response::into_inner)
}

/// Returns true if the code means that billing-service, or its database, did not respond; any other code is a response.
pub(super) fn is_unavailable(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Unknown
            | Code::Internal
            | Code::Cancelled
            | Code::ResourceExhausted
    )
}
