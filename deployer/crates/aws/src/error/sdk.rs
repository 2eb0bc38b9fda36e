//! Errors of the SDK as [`Error`]s.

use std::any::type_name;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_cloudformation::config::http::HttpResponse;
use aws_sdk_cloudformation::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use super::Error;

/// Cause of a credentials error: the service rejected the current ones as expired, and their source has no new ones.
#[derive(Debug, thiserror::Error)]
#[error("the credentials have expired, and there are no new ones")]
pub(crate) struct ExpiredCredentials;

impl<E> From<SdkError<E, HttpResponse>> for Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let operation = operation::<E>();
        let response = error.raw_response();
        let Some(service) = error.as_service_error() else {
            return without_response(operation, &error);
        };
        let status = response.map_or(0, |response| response.status().as_u16());
        match (service.code(), response) {
            (Some(code), _) => {
                let message = service.message().unwrap_or(code).to_owned();
                Self::from_code(operation, status, code, message)
            }
            (None, Some(response)) => Self::from_http(operation, response),
            (None, None) => Self::NoResponse {
                operation,
                reason: DisplayErrorContext(&error).to_string(),
            },
        }
    }
}

impl Error {
    /// Returns the error for an SDK's response that is not one of the operation's.
    pub(crate) fn from_http(operation: String, response: &HttpResponse) -> Self {
        let content_type = response.headers().get("content-type").unwrap_or_default();
        let status = response.status().as_u16();
        Self::from_response(operation, status, content_type, response.body().bytes())
    }
}

fn without_response<E>(operation: String, error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    if let (SdkError::ResponseError(_), Some(response)) = (error, error.raw_response()) {
        return Error::from_http(operation, response);
    }
    if find_cause::<ExpiredCredentials>(error).is_some() {
        return Error::Expired { operation };
    }
    if find_cause::<CredentialsError>(error).is_some() {
        return Error::Denied {
            operation,
            message: format!("no usable credentials were found ({})", summary(error)),
        };
    }
    Error::NoResponse {
        operation,
        reason: root_cause(error),
    }
}

/// Returns the innermost cause, such as `Connection refused`: the errors around it only name the layer that failed.
pub(crate) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let innermost = std::iter::successors(Some(error), |error| error.source()).last();
    let text = innermost.map(ToString::to_string).unwrap_or_default();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// Returns an error and its causes in one line, without their debug output.
fn summary(error: &(dyn std::error::Error + 'static)) -> String {
    let complete = DisplayErrorContext(error).to_string();
    complete.split(" (").next().unwrap_or(&complete).to_owned()
}

/// Returns the first error of a type in the chain of causes.
pub(crate) fn find_cause<'a, T: std::error::Error + 'static>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a T> {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.find_map(|error| error.downcast_ref())
}

/// Returns `cloudformation DescribeStacks` from the type of that operation's error.
fn operation<E>() -> String {
    let mut parts = type_name::<E>().split("::");
    let service = parts.next().unwrap_or_default().trim_start_matches("aws_sdk_");
    let name = parts.last().unwrap_or_default().trim_end_matches("Error");
    format!("{service} {name}")
}

/// Lets `?` turn an SDK's error into a module's error, through its variant `Request`.
macro_rules! from_sdk_error {
    ($error:ty) => {
        impl<E> From<aws_sdk_cloudformation::error::SdkError<E, aws_sdk_cloudformation::config::http::HttpResponse>>
            for $error
        where
            $crate::Error:
                From<aws_sdk_cloudformation::error::SdkError<E, aws_sdk_cloudformation::config::http::HttpResponse>>,
        {
            fn from(
                error: aws_sdk_cloudformation::error::SdkError<E, aws_sdk_cloudformation::config::http::HttpResponse>,
            ) -> Self {
                Self::Request(error.into())
            }
        }
    };
}
pub(crate) use from_sdk_error;

#[cfg(test)]
mod tests {
    use aws_sdk_cloudformation::operation::describe_stacks::DescribeStacksError;

    use super::*;

    #[test]
    fn an_operation_is_named_after_its_error_type() {
        assert_eq!(operation::<DescribeStacksError>(), "cloudformation DescribeStacks");
    }
}
