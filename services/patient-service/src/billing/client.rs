//! The gRPC client of billing-service.

use std::time::Duration;

use anyhow::Context;
use contracts::{
    LINK_SECRET_HEADER,
    billing::v1::{
        BillingRequest, BillingResponse, CloseBillingAccountRequest, billing_service_client::BillingServiceClient,
        billing_service_server,
    },
};
use kit::{
    grpc::observed,
    trace::{HEADER, Trace},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::{net::TcpStream, time::timeout};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};
use uuid::Uuid;

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
        })
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
        observed(SERVICE, "CreateBillingAccount", async {
            let request = self.request(message, limit);
            within(limit, client.create_billing_account(request)).await
        })
        .await
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
        observed(SERVICE, "CloseBillingAccount", async {
            let request = self.request(message, limit);
            within(limit, client.close_billing_account(request)).await
        })
        .await
        .map(drop)
    }

    /// A health check: whether the peer takes a connection.
    ///
    /// # Errors
    /// When it does not.
    pub async fn check(&self) -> Result<(), String> {
        match timeout(Duration::from_secs(1), TcpStream::connect(&self.address)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no connection within 1 s".into()),
        }
    }

    fn request<T>(&self, message: T, limit: Duration) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(limit);
        let metadata = request.metadata_mut();
        if let Some(secret) = &self.secret {
            metadata.insert(LINK_SECRET_HEADER, secret.clone());
        }
        if let Some(trace) = Trace::current().and_then(|trace| trace.to_string().parse().ok()) {
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
