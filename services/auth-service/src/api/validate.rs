//! `GET /validate`: is this access token good?

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use kit::{Caller, Problem};

use crate::app::App;
use crate::user;

/// Check an access token
///
/// Signature, issuer, audience and lifetime are checked, and that the user is neither disabled nor of another role
/// since; the body is empty either way.
#[utoipa::path(
    get, path = "/validate", operation_id = "validate", tag = "Session", security(("bearer" = [])),
    responses((status = 200, description = "The token is good"), (status = 401, description = "It is not"))
)]
pub async fn validate(State(app): State<App>, caller: Result<Caller, Problem>) -> kit::Result<Response> {
    let holds = match caller {
        Ok(Caller(claims)) => user::holds(&app.pool, &claims).await?,
        Err(_) => false,
    };
    Ok(if holds {
        (StatusCode::OK, [(header::CACHE_CONTROL, "no-store")]).into_response()
    } else {
        (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response()
    })
}
