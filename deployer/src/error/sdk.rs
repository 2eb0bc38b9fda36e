//! The SDK's errors, and answers that are none, as ours.

use std::any::type_name;

use aws_sdk_cloudformation::config::http::HttpResponse;
use aws_sdk_cloudformation::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use super::{Error, answer};

/// Every SDK error, mapped once.
impl<E> From<SdkError<E, HttpResponse>> for Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let operation = operation::<E>();
        let response = error.raw_response();
        let Some(service) = error.as_service_error() else {
            return unanswered(operation, &error, response);
        };
        let status = response.map_or(0, |response| response.status().as_u16());
        let Some(code) = service.code().map(str::to_owned) else {
            let message = response.map_or_else(|| DisplayErrorContext(&error).to_string(), answer::describe);
            return no_answer(operation, status, message);
        };
        let message = service.message().map_or_else(|| code.clone(), str::to_owned);
        Self::refused(operation, status, &code, message)
    }
}

impl Error {
    /// An answer that is none of AWS: its status, content type and body.
    pub fn no_answer(operation: String, status: u16, kind: &str, body: &str) -> Self {
        let told = answer::describe_parts(status, kind, Some(body.as_bytes()));
        no_answer(operation, status, told)
    }
}

/// The request got no answer, or one that cannot be read as any.
fn unanswered<E>(operation: String, error: &SdkError<E, HttpResponse>, response: Option<&HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    if let (SdkError::ResponseError(_), Some(response)) = (error, response) {
        let status = response.status().as_u16();
        return no_answer(operation, status, answer::describe(response));
    }
    let whole = DisplayErrorContext(error).to_string();
    let message = whole.split(" (").next().unwrap_or(&whole).to_owned();
    let text = whole.to_lowercase();
    if text.contains("credentials have expired") {
        return Error::Expired { operation };
    }
    if text.contains("credential") {
        return Error::Denied {
            operation,
            message: format!("no usable credentials were found ({message})"),
        };
    }
    Error::unreached(operation, &message)
}

/// Something that is no AWS answer. An empty code says that asking again may help.
fn no_answer(operation: String, status: u16, message: String) -> Error {
    if status == 501 {
        return Error::Unsupported { operation, message };
    }
    let passing = answer::is_gateway(status) || message.contains("connection ended");
    Error::Aws {
        operation,
        code: if passing {
            String::new()
        } else {
            format!("Http{status}")
        },
        message: format!("the endpoint answered {message}"),
    }
}

/// `cloudformation DescribeStacks` from the type of that operation's error.
fn operation<E>() -> String {
    let mut parts = type_name::<E>().split("::");
    let service = parts.next().unwrap_or_default().trim_start_matches("aws_sdk_");
    let name = parts.last().unwrap_or_default().trim_end_matches("Error");
    format!("{service} {name}")
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudformation::operation::describe_stacks::DescribeStacksError;

    use super::*;

    #[test]
    fn an_operation_is_named_after_its_error_type() {
        assert_eq!(operation::<DescribeStacksError>(), "cloudformation DescribeStacks");
    }
}
