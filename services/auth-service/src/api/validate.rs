//! `GET /validate`: is this access token good?

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use kit::{Caller, Problem};

/// Check an access token
///
/// Signature, issuer, audience and lifetime are checked; the body is empty either way.
#[utoipa::path(
    get, path = "/validate", tag = "Session", security(("token" = [])),
    responses((status = 200, description = "The token is good"), (status = 401, description = "It is not"))
)]
pub async fn validate(caller: Result<Caller, Problem>) -> Response {
    match caller {
        Ok(_) => (StatusCode::OK, [(header::CACHE_CONTROL, "no-store")]).into_response(),
        Err(_) => (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response(),
    }
}
