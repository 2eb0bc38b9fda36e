//! Claims of access tokens.

use kit::token::{Claims, ISSUER};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::user::User;

/// Lifetime of an access token.
pub const LIFETIME: Duration = Duration::minutes(15);

/// Returns the claims of a new token of the user, with the present role, in a session.
pub fn claims(user: &User, session: Uuid, audience: &str, now: OffsetDateTime) -> Claims {
    let issued_at = now.unix_timestamp();
    Claims {
        sub: user.id,
        email: user.email.clone(),
        role: user.role,
        iss: ISSUER.to_owned(),
        aud: audience.to_owned(),
        iat: issued_at,
        nbf: issued_at,
        exp: issued_at + LIFETIME.whole_seconds(),
        jti: Uuid::new_v4(),
        sid: session,
    }
}
