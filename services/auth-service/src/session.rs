//! Sessions: a short-lived access token, and a refresh token for the next one.

use kit::Problem;
use serde::Serialize;
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::state::AppState;
use crate::user::{self, User};
use crate::{access_token, refresh_token};

/// The response to a login or a refresh.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The access token, a JWT signed with ES256, for `Authorization: Bearer`.
    pub token: String,
    /// Valid for one use at `/refresh`.
    pub refresh_token: String,
    /// Lifetime of the access token, in seconds.
    #[schema(minimum = 1, example = 900)]
    pub expires_in: i64,
}

/// Starts a session of a user who was verified, which ends after `lifetime` however often it is refreshed; returns `None` if the user was disabled or deleted, or got
/// another password in between: the sessions were ended then, and this one would outlive that.
///
/// # Errors
/// Fails if the database fails or no key can sign.
pub async fn start(
    state: &AppState,
    user: &User,
    lifetime: Duration,
    now: OffsetDateTime,
) -> kit::Result<Option<Session>> {
    let mut transaction = state.pool.begin().await?;
    let Some(user) = user::lock_unchanged(&mut *transaction, user).await? else {
        return Ok(None);
    };
    let (session, refresh_token) = refresh_token::issue(&mut *transaction, user.id, lifetime, now).await?;
    transaction.commit().await?;
    renew(state, &user, session, refresh_token, now).map(Some)
}

/// Returns the session with its next access token.
///
/// # Errors
/// Fails if no key can sign.
pub fn renew(
    state: &AppState,
    user: &User,
    session: Uuid,
    refresh_token: String,
    now: OffsetDateTime,
) -> kit::Result<Session> {
    let claims = access_token::claims(user, session, &state.audience, now);
    Ok(Session {
        token: state.keyring.sign(&claims, now).map_err(Problem::internal)?,
        refresh_token,
        expires_in: access_token::LIFETIME.whole_seconds(),
    })
}
