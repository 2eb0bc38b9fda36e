//! The errors that AWS clients and stack events show.

use std::borrow::Cow;
use std::sync::Arc;

/// An API error as the protocols carry it: a code, a message, and an HTTP status.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{code}: {message}")]
pub struct AwsError {
    /// The code that the API reference of the service names, such as `ResourceNotFoundException`.
    pub code: String,
    /// Text for people; clients decide by the code.
    pub message: String,
    /// 400 for errors of the caller, except where the API reference names another status.
    pub status: u16,
}

impl AwsError {
    /// Creates an error of the caller, HTTP 400.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            status: 400,
        }
    }

    /// Creates a `ValidationError`, HTTP 400, the code of the query protocol's services.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationError", message)
    }

    /// Creates an error of this endpoint, HTTP 500.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new("InternalFailure", message).with_status(500)
    }

    /// Creates the error for an operation that this endpoint does not implement; the message names it.
    pub fn not_implemented(service: &str, operation: &str) -> Self {
        let message = format!("The embedded endpoint does not implement {service}:{operation}.");
        Self::new("NotImplemented", message).with_status(501)
    }

    /// Replaces the HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}

impl From<anyhow::Error> for AwsError {
    fn from(error: anyhow::Error) -> Self {
        Self::internal(format!("{error:#}"))
    }
}

impl From<Failure> for AwsError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Api(error) => error,
            Failure::Refused(reason) => Self::validation(reason),
            Failure::Internal(error) => Self::internal(format!("{error:#}")),
        }
    }
}

/// The reason why a resource could not be created, updated or deleted; stack events show it as text.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// The service rejected the operation.
    #[error("{} ({})", .0.message, .0.code)]
    Api(#[from] AwsError),
    /// The resource type itself refuses the change, or the resource did not become stable.
    #[error("{0}")]
    Refused(Cow<'static, str>),
    /// This endpoint failed, for example at its state file.
    #[error("{0:#}")]
    Internal(Arc<anyhow::Error>),
}

impl Failure {
    /// Creates the failure of a resource type, with its reason as text.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused(reason.into())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(Arc::new(error))
    }
}
