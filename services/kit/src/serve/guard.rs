//! What every answer tells browsers and caches, and how long an address may be.

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::problem::Problem;

/// The longest path and query, in bytes.
const LONGEST: usize = 8 * 1024;

/// Added where the answer does not bring its own.
const DEFAULTS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
    // What an API tells one caller, tokens and patients above all, is for no cache.
    (header::CACHE_CONTROL, "no-store"),
];

/// Sets the headers; HSTS only where the client came over TLS, which ends at the load balancer.
pub(super) async fn headers(request: Request, next: Next) -> Response {
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

/// 414 for an address that is too long.
pub(super) async fn address(request: Request, next: Next) -> Response {
    let length = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if length > LONGEST {
        return Problem::new(
            StatusCode::URI_TOO_LONG,
            format!("Path and query cannot exceed {LONGEST} bytes"),
        )
        .into_response();
    }
    next.run(request).await
}
