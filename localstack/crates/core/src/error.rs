//! What an AWS client is told when a request cannot be answered.

/// An API error, as the protocols carry it: a code, words, and an HTTP status.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{code}: {message}")]
pub struct AwsError {
    /// The code that the service's API reference names, such as `ResourceNotFoundException`.
    pub code: String,
    pub message: String,
    /// 400 for the caller's faults unless the API reference says otherwise.
    pub status: u16,
}

impl AwsError {
    /// A fault of the caller, HTTP 400.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            status: 400,
        }
    }

    /// `ValidationError`, HTTP 400, as the query protocol's services say it.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationError", message)
    }

    /// A fault of this endpoint, HTTP 500.
    pub fn internal(message: impl Into<String>) -> Self {
        Self {
            code: "InternalFailure".into(),
            message: message.into(),
            status: 500,
        }
    }

    /// An operation that this endpoint does not know; the message names it.
    pub fn not_implemented(service: &str, operation: &str) -> Self {
        Self {
            code: "NotImplemented".into(),
            message: format!("The embedded endpoint does not implement {service}:{operation}."),
            status: 501,
        }
    }

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

/// Why a resource could not be created, updated or deleted: the reason that stack events show.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub String);

impl Failure {
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl From<AwsError> for Failure {
    fn from(error: AwsError) -> Self {
        Self(format!("{} ({})", error.message, error.code))
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self(format!("{error:#}"))
    }
}
