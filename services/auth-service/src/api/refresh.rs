//! `POST /refresh`: exchanges a refresh token for the next session.

use axum::extract::State;
use http::StatusCode;
use kit::Json;
use kit::problem::{Problem, Result};
use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::refresh_token::{self, Rotation};
use crate::session::{self, Session};
use crate::state::AppState;
use crate::user;

/// A refresh token, as returned by login or refresh.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefreshToken {
    #[schema(
        required = true,
        nullable = false,
        min_length = 1,
        example = "the refreshToken of the previous response"
    )]
    pub refresh_token: Option<String>,
}

impl RefreshToken {
    /// Returns the token.
    ///
    /// # Errors
    /// 400 if there is none.
    pub fn required(self) -> Result<String> {
        let token = self.refresh_token.filter(|token| !token.is_empty());
        token.ok_or_else(|| Problem::field("refreshToken", "Refresh token is required"))
    }
}

/// Renew a session
///
/// Each refresh token is valid for one use. A second use revokes the whole family, because the token was copied.
#[utoipa::path(
    post, path = "/refresh", operation_id = "refresh", tag = "Session", request_body = RefreshToken,
    responses(
        (status = 200, description = "The next session", body = Session),
        (status = 401, description = "The token is unknown, expired, revoked or used", body = Problem),
    )
)]
pub async fn refresh(State(state): State<AppState>, Json(body): Json<RefreshToken>) -> Result<Json<Session>> {
    let token = body.required()?;
    let now = OffsetDateTime::now_utc();
    let mut transaction = state.pool.begin().await?;
    let rotation = refresh_token::rotate(&mut transaction, &token, now).await?;
    let renewed = match rotation {
        Rotation::Rotated { user, session, token } => user::find(&mut *transaction, user)
            .await?
            .filter(|user| !user.disabled)
            .map(|user| (user, session, token)),
        Rotation::Reused { user } => {
            tracing::warn!(user.id = %user, "a refresh token was used twice; its family is revoked");
            metrics::counter!("auth_refresh_reuse_total").increment(1);
            None
        }
        Rotation::Invalid => None,
    };
    transaction.commit().await?;
    let Some((user, session, refresh_token)) = renewed else {
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "The refresh token is not valid; log in again",
        ));
    };
    Ok(Json(session::renew(&state, &user, session, refresh_token, now)?))
}
