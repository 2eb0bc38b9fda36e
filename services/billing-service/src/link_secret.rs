//! The secret of the link from patient-service.

use std::sync::Arc;

use contracts::LINK_SECRET_HEADER;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tonic::{Request, Status, service::Interceptor};

/// Rejects calls without the link's secret, because access to the VPC alone must not be sufficient.
#[derive(Clone)]
pub struct LinkSecretInterceptor {
    secret: Arc<SecretString>,
}

/// Rejection of an empty secret, which every call without one would match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("BILLING_LINK_SECRET is empty; set it to the same secret as for patient-service")]
pub struct EmptySecret;

impl LinkSecretInterceptor {
    /// Returns an interceptor that accepts this secret.
    ///
    /// # Errors
    /// [`EmptySecret`].
    pub fn new(secret: SecretString) -> Result<Self, EmptySecret> {
        if secret.expose_secret().is_empty() {
            return Err(EmptySecret);
        }
        Ok(Self {
            secret: Arc::new(secret),
        })
    }
}

impl Interceptor for LinkSecretInterceptor {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let received = request
            .metadata()
            .get(LINK_SECRET_HEADER)
            .map_or(&b""[..], |value| value.as_bytes());
        // Compared in constant time: the response time must not reveal how much of a guess is correct.
        if bool::from(received.ct_eq(self.secret.expose_secret().as_bytes())) {
            Ok(request)
        } else {
            Err(Status::unauthenticated(format!(
                "the metadata `{LINK_SECRET_HEADER}` does not contain this link's secret"
            )))
        }
    }
}
