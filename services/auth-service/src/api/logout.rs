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
/// Revokes the family of the refresh token. Its access token is rejected everywhere within 2 seconds.
#[utoipa::path(
    post, path = "/logout", operation_id = "logOut", tag = "Session", request_body = RefreshToken,
    responses(
        (status = 204, description = "The session has ended, or there was none"),
    )
)]
pub async fn logout(State(state): State<AppState>, Json(body): Json<RefreshToken>) -> Result<StatusCode> {
    let token = body.required()?;
    let mut transaction = state.pool.begin().await?;
    refresh_token::revoke_family(&mut transaction, &token).await?;
    transaction.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
