//! Security and cache headers of every response, and the maximum length of a request's URI.

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::problem::Problem;

/// Maximum length of path and query, in bytes.
const MAX_URI: usize = 8 * 1024;

/// Headers that are added unless the response has its own.
const DEFAULTS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
    // Responses contain tokens and patients' data, which no cache may store.
    (header::CACHE_CONTROL, "no-store"),
];

/// Adds the headers; HSTS only for clients that use TLS, which ends at the load balancer.
pub(super) async fn add_headers(request: Request, next: Next) -> Response {
    let secure = request
        .headers()
        .get("x-forwarded-proto")
        .is_some_and(|proto| proto == "https");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in DEFAULTS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if secure {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
    }
    response
}

/// Rejects a URI that is too long, with 414.
pub(super) async fn limit_uri(request: Request, next: Next) -> Response {
    let length = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if length > MAX_URI {
        return Problem::new(
            StatusCode::URI_TOO_LONG,
            format!("Path and query cannot exceed {MAX_URI} bytes"),
        )
        .into_response();
    }
    next.run(request).await
}
