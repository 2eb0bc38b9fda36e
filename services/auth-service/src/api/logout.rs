//! `POST /logout`: the end of a session.

use axum::extract::State;
use http::StatusCode;
use kit::Json;
use kit::problem::Result;

use super::refresh::RefreshToken;
use crate::app::App;
use crate::refresh_token;

/// Log out
///
/// Ends the family of the refresh token. The access token stays good until it expires, 15 minutes at most.
#[utoipa::path(
    post, path = "/logout", operation_id = "logOut", tag = "Session", request_body = RefreshToken,
    responses(
        (status = 204, description = "The session is over, or there was none"),
    )
)]
pub async fn logout(State(app): State<App>, Json(body): Json<RefreshToken>) -> Result<StatusCode> {
    refresh_token::end(&app.pool, &body.required()?).await?;
    Ok(StatusCode::NO_CONTENT)
}
