//! The secret of the link: who may call this service over gRPC.

use std::sync::Arc;

use contracts::LINK_SECRET_HEADER;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tonic::{Request, Status, service::Interceptor};

/// Lets a call pass only when it shows the link's secret, so that being inside the VPC is not enough.
#[derive(Clone)]
pub struct LinkGuard {
    secret: Arc<SecretString>,
}

impl LinkGuard {
    /// # Errors
    /// When the secret is empty, since an empty secret would let everybody in.
    pub fn new(secret: SecretString) -> anyhow::Result<Self> {
        anyhow::ensure!(
            !secret.expose_secret().is_empty(),
            "BILLING_LINK_SECRET is empty: set it to the secret that patient-service was given too"
        );
        Ok(Self {
            secret: Arc::new(secret),
        })
    }
}

impl Interceptor for LinkGuard {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let shown = request
            .metadata()
            .get(LINK_SECRET_HEADER)
            .map_or(&b""[..], |value| value.as_bytes());
        // Compared in constant time: the time of an answer must not tell how much of a guess was right.
        if bool::from(shown.ct_eq(self.secret.expose_secret().as_bytes())) {
            Ok(request)
        } else {
            Err(Status::unauthenticated(format!(
                "the metadata `{LINK_SECRET_HEADER}` does not hold this link's secret"
            )))
        }
    }
}
