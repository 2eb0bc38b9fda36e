//! Errors of requests to AWS.

mod response;
mod sdk;
#[cfg(test)]
mod tests;

pub(crate) use sdk::{ExpiredCredentials, find_cause, from_sdk_error, root_cause};

/// The result of a request.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A request that failed. `operation` is service and operation, such as `cloudformation DescribeStacks`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The service rejected the credentials, or they lack a permission.
    #[error("{operation} was denied: {message}")]
    Denied {
        /// The service and its operation.
        operation: String,
        /// The service's message.
        message: String,
    },
    /// The credentials have expired, and their source has no new ones.
    #[error("{operation} was denied: the credentials have expired, and there are no new ones")]
    Expired {
        /// The service and its operation.
        operation: String,
    },
    /// The endpoint lacks the operation, the service, or a license for it.
    #[error("{operation} is not supported by this endpoint: {message}")]
    Unsupported {
        /// The service and its operation.
        operation: String,
        /// The endpoint's message.
        message: String,
    },
    /// The service answered with another error.
    #[error("{operation}: {message}")]
    Service {
        /// The service and its operation.
        operation: String,
        /// The service's error code.
        code: String,
        /// The service's message.
        message: String,
    },
    /// The connection failed, or closed before the response was complete.
    #[error("{operation}: no response from the endpoint: {reason}")]
    NoResponse {
        /// The service and its operation.
        operation: String,
        /// The cause of the failed connection.
        reason: String,
    },
    /// The response is not one of an AWS service: a page, an empty body, or another protocol.
    #[error("{operation}: unexpected response: {response}")]
    InvalidResponse {
        /// The service and its operation.
        operation: String,
        /// The HTTP status.
        status: u16,
        /// A description of the body.
        response: String,
    },
    /// The request could not be built or signed.
    #[error("{operation}: invalid request: {reason}")]
    InvalidRequest {
        /// The service and its operation.
        operation: String,
        /// The fault of the request.
        reason: String,
    },
}

/// Codes of a service that is overloaded or failed for a moment ("Common error types" of the API references), and of S3, where a
/// bucket that was just deleted blocks a new one of its name.
const RETRYABLE: [&str; 11] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "SlowDown",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "InternalFailure",
    "InternalError",
    "OperationAborted",
];

impl Error {
    /// Returns the error for a code that a service answered with.
    pub(crate) fn from_code(operation: String, status: u16, code: &str, message: String) -> Self {
        match code {
            "AccessDenied"
            | "AccessDeniedException"
            | "UnauthorizedOperation"
            | "InvalidClientTokenId"
            | "InvalidAccessKeyId"
            | "UnrecognizedClientException"
            | "SignatureDoesNotMatch"
            | "AuthFailure"
            | "OptInRequired" => Self::Denied { operation, message },
            "ExpiredToken" | "ExpiredTokenException" => Self::Expired { operation },
            _ if response::is_unsupported(status, code, &message) => Self::Unsupported { operation, message },
            _ => Self::Service {
                operation,
                code: code.to_owned(),
                message,
            },
        }
    }

    /// Returns the error for a response that is not one of the operation's; `body` is `None` if the connection closed too early.
    pub(crate) fn from_response(operation: String, status: u16, content_type: &str, body: Option<&[u8]>) -> Self {
        let response = response::describe(status, content_type, body);
        match body {
            None => Self::NoResponse {
                operation,
                reason: response,
            },
            Some(_) if status == 501 => Self::Unsupported {
                operation,
                message: response,
            },
            Some(_) => Self::InvalidResponse {
                operation,
                status,
                response,
            },
        }
    }

    /// Returns the service's error code; empty if there is none.
    pub fn code(&self) -> &str {
        match self {
            Self::Service { code, .. } => code,
            _ => "",
        }
    }

    /// Returns whether the service reports that the named thing does not exist, by its code.
    pub fn is_not_found(&self) -> bool {
        let code = self.code();
        code.ends_with("NotFound") || code.ends_with("NotFoundException")
    }

    /// Returns whether the endpoint lacks the operation. Each imitation of AWS reports that in its own way.
    pub fn is_unsupported(&self) -> bool {
        match self {
            Self::Unsupported { .. } => true,
            Self::Service { message, .. } => response::reports_unsupported(message),
            _ => false,
        }
    }

    /// Returns whether the endpoint's license, and not the endpoint itself, lacks the service.
    pub fn is_license(&self) -> bool {
        matches!(self, Self::Unsupported { message, .. } if response::is_license(message))
    }

    /// Returns whether CloudFormation, or LocalStack, rejects resource types that it does not know.
    pub fn is_unknown_type(&self) -> bool {
        matches!(self, Self::Service { message, .. } if response::names_types(message))
    }

    /// Returns whether the endpoint, or a proxy in front of it, failed.
    pub fn is_fault(&self) -> bool {
        match self {
            Self::InvalidResponse { .. } => true,
            Self::Service { code, .. } => {
                matches!(
                    code.as_str(),
                    "InternalError" | "InternalFailure" | "ServiceUnavailable"
                )
            }
            _ => false,
        }
    }

    /// Returns whether the same request may succeed later: no response, a gateway without its backend, throttling, or a failure
    /// of the service.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NoResponse { .. } => true,
            Self::InvalidResponse { status, .. } => matches!(status, 502..=504),
            Self::Service { code, .. } => RETRYABLE.contains(&code.as_str()),
            _ => false,
        }
    }
}
