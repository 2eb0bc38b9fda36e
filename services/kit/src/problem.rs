//! Errors as HTTP responses: problem details for HTTP APIs (RFC 9457).

use std::{collections::BTreeMap, fmt};

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::database;

/// The result of a handler: a response, or a problem.
pub type Result<T> = std::result::Result<T, Problem>;

/// An error as the client receives it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// A URI of the type of problem; `about:blank` if the status says everything.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status as text.
    title: String,
    /// The HTTP status.
    status: u16,
    /// A sentence that says what went wrong.
    detail: String,
    /// For a validation error: a message for each invalid field.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    errors: BTreeMap<String, String>,
}

impl Problem {
    /// Creates a problem with any status.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            errors: BTreeMap::new(),
        }
    }

    /// 400: the request is malformed.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 400 with a message for each invalid field.
    pub fn validation(errors: BTreeMap<String, String>) -> Self {
        Self {
            errors,
            ..Self::bad_request("Validation failed")
        }
    }

    /// 400 with a message for one field.
    pub fn field(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::validation(BTreeMap::from([(name.into(), message.into())]))
    }

    /// 401: no token, or an invalid one.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "A valid access token is required")
    }

    /// 403: the user's role does not allow the request.
    pub fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "Your role does not allow this")
    }

    /// 404: the resource does not exist.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 409: the state of the resource does not allow the request.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 412: a precondition, such as If-Match, is not met.
    pub fn precondition_failed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, detail)
    }

    /// 413: the body is larger than the limit.
    pub fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "The request body is too large")
    }

    /// 422: well-formed, but it cannot be processed.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// 429: too many requests; the caller adds Retry-After.
    pub fn too_many_requests(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail)
    }

    /// 503 with Retry-After: a dependency is temporarily unavailable.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// 504: a peer exceeded its time limit.
    pub fn timeout(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, detail)
    }

    /// 500: logs the error and hides it from the client.
    pub fn internal(error: impl fmt::Display) -> Self {
        tracing::error!(error = %error, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on our side")
    }

    /// Returns the status of the response.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Returns what went wrong, as text.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Returns the message of each invalid field.
    pub fn errors(&self) -> &BTreeMap<String, String> {
        &self.errors
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (status, Json(&self)).into_response();
        // For layers that answer in another format.
        response.extensions_mut().insert(self);
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}

/// A database error that no handler expected: 503 if it is transient, 500 otherwise.
impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        database::record_error(&error);
        if database::is_unreachable(&error) {
            tracing::warn!(error = %database::describe(&error), "the database is unreachable");
            return Self::unavailable("The database is unreachable; try again in a moment");
        }
        if database::is_transient(&error) {
            tracing::warn!(error = %database::describe(&error), "a statement was aborted because of concurrent ones");
            return Self::unavailable("The database is busy with concurrent changes; try again in a moment");
        }
        Self::internal(database::describe(&error))
    }
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        Self::internal(format_args!("{error:#}"))
    }
}
