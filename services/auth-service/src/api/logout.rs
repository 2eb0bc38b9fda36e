//! `POST /logout`: ends a session.

use axum::extract::State;
use http::StatusCode;
use kit::Json;
use kit::problem::Result;

use super::refresh::RefreshToken;
use crate::refresh_token;
use crate::state::AppState;

/// Log out
///
/// Revokes the family of the refresh token. The access token stays valid until it expires, for at most 15 minutes.
#[utoipa::path(
    post, path = "/logout", operation_id = "logOut", tag = "Session", request_body = RefreshToken,
    responses(
        (status = 204, description = "The session has ended, or there was none"),
    )
)]
pub async fn logout(State(state): State<AppState>, Json(body): Json<RefreshToken>) -> Result<StatusCode> {
    refresh_token::revoke_family(&state.pool, &body.required()?).await?;
    Ok(StatusCode::NO_CONTENT)
}
