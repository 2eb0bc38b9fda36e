//! `GET /validate`: checks an access token.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use kit::{Authenticated, Problem};

use crate::state::AppState;
use crate::user;

/// Check an access token
///
/// Checks signature, issuer, audience and lifetime, that the session has not ended, and that the user was neither disabled
/// nor changed to another role since. The body is empty either way.
#[utoipa::path(
    get, path = "/validate", operation_id = "validate", tag = "Session", security(("bearer" = [])),
    responses((status = 200, description = "The token is valid"), (status = 401, description = "The token is not valid"))
)]
pub async fn validate(State(state): State<AppState>, caller: Result<Authenticated, Problem>) -> kit::Result<Response> {
    let is_valid = match caller {
        Ok(Authenticated(claims)) => user::is_current(&state.pool, &claims).await?,
        Err(_) => false,
    };
    Ok(if is_valid {
        (StatusCode::OK, [(header::CACHE_CONTROL, "no-store")]).into_response()
    } else {
        (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response()
    })
}
