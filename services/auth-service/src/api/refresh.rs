//! `POST /refresh`: a refresh token for the next session.

use axum::extract::State;
use http::StatusCode;
use kit::Json;
use kit::problem::{Problem, Result};
use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::app::App;
use crate::refresh_token::{self, Rotation};
use crate::session::{self, Session};
use crate::user;

/// A refresh token, as login or refresh gave it.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefreshToken {
    #[schema(
        required = true,
        nullable = false,
        min_length = 1,
        example = "the refreshToken of the answer before"
    )]
    pub refresh_token: Option<String>,
}

impl RefreshToken {
    /// The token; 400 when there is none.
    pub fn required(self) -> Result<String> {
        let token = self.refresh_token.filter(|token| !token.is_empty());
        token.ok_or_else(|| Problem::field("refreshToken", "Refresh token is required"))
    }
}

/// Renew a session
///
/// Each refresh token is good for one use. A second use ends the whole family: somebody has a copy.
#[utoipa::path(
    post, path = "/refresh", operation_id = "refresh", tag = "Session", request_body = RefreshToken,
    responses(
        (status = 200, description = "The next session", body = Session),
        (status = 401, description = "The token is unknown, expired, revoked or used", body = Problem),
    )
)]
pub async fn refresh(State(app): State<App>, Json(body): Json<RefreshToken>) -> Result<Json<Session>> {
    let token = body.required()?;
    let now = OffsetDateTime::now_utc();
    let mut transaction = app.pool.begin().await?;
    let rotation = refresh_token::rotate(&mut transaction, &token, now).await?;
    let renewed = match rotation {
        Rotation::Fresh { user, token } => user::find(&mut *transaction, user)
            .await?
            .filter(|user| !user.disabled)
            .map(|user| (user, token)),
        Rotation::Reused { user } => {
            tracing::warn!(user.id = %user, "a used refresh token came again; its family is revoked");
            metrics::counter!("auth_refresh_reuse_total").increment(1);
            None
        }
        Rotation::Unknown => None,
    };
    transaction.commit().await?;
    let Some((user, refresh_token)) = renewed else {
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "The refresh token is not valid; log in again",
        ));
    };
    Ok(Json(session::continued(&app, &user, refresh_token, now)?))
}
