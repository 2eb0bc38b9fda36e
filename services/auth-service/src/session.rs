//! A session: a short access token, and a refresh token for the next one.

use kit::token::{Claims, ISSUER};
use serde::Serialize;
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::refresh_token;
use crate::user::User;

/// How long an access token is good.
pub const ACCESS: Duration = Duration::minutes(15);

/// What a login gives.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The access token, a JWT under ES256, for `Authorization: Bearer`.
    pub token: String,
    /// Good for one use at `/refresh`.
    pub refresh_token: String,
    /// Seconds that the access token is good.
    #[schema(minimum = 1, example = 900)]
    pub expires_in: i64,
}

/// A new session for a user who has shown the right password.
pub async fn open(app: &App, user: &User, now: OffsetDateTime) -> kit::Result<Session> {
    let refresh_token = refresh_token::start(&app.pool, user.id, now).await?;
    continued(app, user, refresh_token, now)
}

/// The next access token of a session, with the user's present role.
pub fn continued(app: &App, user: &User, refresh_token: String, now: OffsetDateTime) -> kit::Result<Session> {
    let issued = now.unix_timestamp();
    let claims = Claims {
        sub: user.id,
        email: user.email.clone(),
        role: user.role,
        iss: ISSUER.to_owned(),
        aud: app.audience.to_string(),
        iat: issued,
        nbf: issued,
        exp: issued + ACCESS.whole_seconds(),
        jti: Uuid::new_v4(),
    };
    let token = app.keyring.sign(&claims, now)?;
    Ok(Session {
        token,
        refresh_token,
        expires_in: ACCESS.whole_seconds(),
    })
}
