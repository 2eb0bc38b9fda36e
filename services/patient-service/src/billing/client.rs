//! The gRPC client of billing-service.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context;
use contracts::{
    LINK_SECRET_HEADER,
    billing::v1::{
        BillingRequest, BillingResponse, CloseBillingAccountRequest, billing_service_client::BillingServiceClient,
        billing_service_server,
    },
};
use kit::{
    grpc::traced_call,
    trace::{HEADER, traceparent},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::{net::TcpStream, time::timeout};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};
use uuid::Uuid;

use super::breaker::{Breaker, Caller};

/// The service's full name in its contract.
const SERVICE: &str = billing_service_server::SERVICE_NAME;

/// Where billing-service is, and what opens its door.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "billing")]
pub struct BillingArgs {
    /// host:port of billing-service's gRPC
    #[arg(long, env = "BILLING_SERVICE_ADDRESS", default_value = "127.0.0.1:9001")]
    pub billing_service_address: String,
    /// The secret that both ends of the link to billing-service know
    #[arg(long, env = "BILLING_LINK_SECRET", hide_env_values = true)]
    pub billing_link_secret: Option<SecretString>,
}

/// Calls billing-service; connects when it is first needed and again whenever it must.
pub struct Billing {
    address: String,
    client: BillingServiceClient<Channel>,
    secret: Option<MetadataValue<Ascii>>,
    breaker: Mutex<Breaker>,
}

impl Billing {
    /// A client of the service at the given address.
    ///
    /// # Errors
    /// When the address or the secret is malformed. A service that is down is no error.
    pub fn new(args: &BillingArgs) -> anyhow::Result<Self> {
        let address = &args.billing_service_address;
        let channel = Endpoint::from_shared(format!("http://{address}"))
            .with_context(|| format!("BILLING_SERVICE_ADDRESS `{address}` must be host:port"))?
            .connect_timeout(Duration::from_millis(700))
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_while_idle(true)
            .connect_lazy();
        let secret = args.billing_link_secret.as_ref().map(|secret| {
            let mut value: MetadataValue<Ascii> = secret
                .expose_secret()
                .parse()
                .map_err(|_| anyhow::anyhow!("BILLING_LINK_SECRET must be visible ASCII characters"))?;
            value.set_sensitive(true);
            anyhow::Ok(value)
        });
        Ok(Self {
            address: address.clone(),
            client: BillingServiceClient::new(channel),
            secret: secret.transpose()?,
            breaker: Mutex::default(),
        })
    }

    /// Whether this caller is to make a call now; see [`Breaker::permits`].
    pub(super) fn permits(&self, caller: Caller) -> bool {
        let permitted = self.breaker().permits(caller, Instant::now());
        if !permitted && caller == Caller::Request {
            metrics::counter!("billing_calls_spared_total").increment(1);
        }
        permitted
    }

    /// Whether calls go through: the peer is not known to be dead.
    pub(super) fn is_closed(&self) -> bool {
        self.breaker().is_closed()
    }

    /// Tells the breaker how a call ended.
    fn learn<T>(&self, answer: Result<T, Status>) -> Result<T, Status> {
        let mut breaker = self.breaker();
        let was_closed = breaker.is_closed();
        match &answer {
            Err(status) if is_silence(status.code()) => breaker.failed(Instant::now()),
            _ => breaker.answered(),
        }
        let closed = breaker.is_closed();
        drop(breaker);
        metrics::gauge!("billing_breaker_open").set(if closed { 0.0 } else { 1.0 });
        match (was_closed, closed) {
            (true, false) => tracing::warn!("billing-service does not answer; requests no longer wait for it"),
            (false, true) => tracing::info!("billing-service answers again"),
            _ => {}
        }
        answer
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the patient's account, or finds the one that is open.
    ///
    /// # Errors
    /// The peer's status; `DEADLINE_EXCEEDED` when it takes longer than `limit`.
    pub async fn open(
        &self,
        patient: Uuid,
        name: &str,
        email: &str,
        limit: Duration,
    ) -> Result<BillingResponse, Status> {
        let message = BillingRequest {
            patient_id: patient.to_string(),
            name: name.to_owned(),
            email: email.to_owned(),
        };
        let mut client = self.client.clone();
        let answer = traced_call(SERVICE, "CreateBillingAccount", async {
            let request = self.request(message, limit);
            within(limit, client.create_billing_account(request)).await
        });
        self.learn(answer.await)
    }

    /// Closes the patient's account.
    ///
    /// # Errors
    /// The peer's status; `DEADLINE_EXCEEDED` when it takes longer than `limit`.
    pub async fn close(&self, patient: Uuid, limit: Duration) -> Result<(), Status> {
        let message = CloseBillingAccountRequest {
            patient_id: patient.to_string(),
        };
        let mut client = self.client.clone();
        let answer = traced_call(SERVICE, "CloseBillingAccount", async {
            let request = self.request(message, limit);
            within(limit, client.close_billing_account(request)).await
        });
        self.learn(answer.await).map(drop)
    }

    /// A health check: whether the peer takes a connection.
    ///
    /// # Errors
    /// When it does not.
    pub async fn check(&self) -> anyhow::Result<()> {
        let connected = timeout(Duration::from_secs(1), TcpStream::connect(&self.address)).await;
        connected.context("no connection within 1 s")??;
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

async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, Status> {
    let late = |_| Status::deadline_exceeded("billing-service did not answer in time");
    timeout(limit, call)
        .await
        .map_err(late)?
        .map(tonic::Response::into_inner)
}

/// Whether the code says that the peer, or what it stands on, did not answer; any other is an answer.
pub(super) fn is_silence(code: Code) -> bool {
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
