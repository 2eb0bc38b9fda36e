//! Errors as HTTP answers: problem details for HTTP APIs (RFC 9457).

use std::{collections::BTreeMap, fmt};

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::database;

/// What a handler gives: an answer, or the problem that is answered instead.
pub type Result<T> = std::result::Result<T, Problem>;

/// An error as the client sees it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// A URI of the kind of problem; `about:blank` says that the status tells all.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What went wrong, for a person.
    detail: String,
    /// For a validation error: the message for each field.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    errors: BTreeMap<String, String>,
}

impl Problem {
    /// A problem with any status.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            errors: BTreeMap::new(),
        }
    }

    /// 400: the request makes no sense.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 400 with a message for each field that is wrong.
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

    /// 401: nobody, or a token that does not hold.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "A valid access token is required")
    }

    /// 403: somebody who may not.
    pub fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "Your role does not allow this")
    }

    /// 404: what was looked up is not there.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 409: the state of the resource forbids it.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 412: a precondition, such as If-Match, does not hold.
    pub fn precondition_failed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, detail)
    }

    /// 413: the body is larger than the limit.
    pub fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "The request body is too large")
    }

    /// 422: well-formed, and yet it cannot be done.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// 429: too many requests; the caller adds Retry-After.
    pub fn too_many_requests(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail)
    }

    /// 503 with Retry-After: a part is missing for now.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// 504: a peer took too long.
    pub fn timeout(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, detail)
    }

    /// 500: logs the error and tells the client nothing of it.
    pub fn internal(error: impl fmt::Display) -> Self {
        tracing::error!(error = %error, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on our side")
    }

    /// The status that is answered.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What went wrong, in words.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The message for each field, for a validation error.
    pub fn errors(&self) -> &BTreeMap<String, String> {
        &self.errors
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (status, Json(self)).into_response();
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

/// A database error that no handler expected; 503 when the database cannot be reached or is too busy.
impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        database::observe(&error);
        if database::is_unreachable(&error) {
            tracing::warn!(error = %database::describe(&error), "the database cannot be reached");
            return Self::unavailable("The database cannot be reached; try again in a moment");
        }
        if database::is_passing(&error) {
            tracing::warn!(error = %database::describe(&error), "a statement gave way to another one");
            return Self::unavailable("The database is busy with what this needs; try again in a moment");
        }
        Self::internal(database::describe(&error))
    }
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        Self::internal(format_args!("{error:#}"))
    }
}
