//! A login that waits for the browser to come back from the provider.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;
use time::{Duration, OffsetDateTime};

use super::OidcError;
use crate::refresh_token::{fingerprint, generate};
use crate::seal::{Seal, SealError};

/// Time for a login at the provider.
pub const LIFETIME: Duration = Duration::minutes(10);
/// Name under which the values are sealed.
const SEALED_NAME: &str = "single sign-on";

/// Values of one login; the browser carries them in a sealed cookie, so that nobody else can complete it.
#[derive(Serialize, Deserialize)]
pub struct PendingLogin {
    /// Comes back with the code.
    pub state: String,
    /// Comes back in the ID token.
    pub nonce: String,
    /// Proof for the code (RFC 7636).
    pub verifier: String,
    expires_at: i64,
}

impl PendingLogin {
    /// Creates random values.
    pub fn new(now: OffsetDateTime) -> Self {
        Self {
            state: generate().0,
            nonce: generate().0,
            verifier: generate().0,
            expires_at: (now + LIFETIME).unix_timestamp(),
        }
    }

    /// Returns the PKCE challenge of the method S256.
    pub fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(fingerprint(&self.verifier))
    }

    /// Returns the value of the cookie.
    ///
    /// # Errors
    /// Fails if the encryption fails.
    pub fn seal(&self, seal: &Seal) -> Result<String, SealError> {
        let plaintext = serde_json::to_vec(self).map_err(|_| SealError::Crypto)?;
        Ok(URL_SAFE_NO_PAD.encode(seal.seal(SEALED_NAME, &plaintext)?))
    }

    /// Opens a cookie; `None` unless it is that of a login with this state that has not expired.
    pub fn open(seal: &Seal, cookie: &str, state: &str, now: OffsetDateTime) -> Option<Self> {
        let sealed = URL_SAFE_NO_PAD.decode(cookie).ok()?;
        let opened = seal.open(SEALED_NAME, &sealed)?;
        let login: Self = serde_json::from_slice(&opened.plaintext).ok()?;
        (login.state == state && login.expires_at > now.unix_timestamp()).then_some(login)
    }

    /// Marks the state as used.
    ///
    /// # Errors
    /// [`OidcError::UnknownState`] if it was used before.
    pub async fn consume(&self, db: impl PgExecutor<'_>, now: OffsetDateTime) -> Result<(), OidcError> {
        let inserted =
            sqlx::query("insert into used_oidc_states (digest, used_at) values ($1, $2) on conflict do nothing")
                .bind(fingerprint(&self.state))
                .bind(now)
                .execute(db)
                .await?;
        match inserted.rows_affected() {
            0 => Err(OidcError::UnknownState),
            _ => Ok(()),
        }
    }
}

/// Deletes used states whose cookies have expired.
///
/// # Errors
/// Fails if the database fails.
pub async fn delete_expired(db: impl PgExecutor<'_>, now: OffsetDateTime) -> sqlx::Result<()> {
    sqlx::query("delete from used_oidc_states where used_at < $1")
        .bind(now - 2 * LIFETIME)
        .execute(db)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_opens_for_its_own_state_until_it_expires() {
        let seal = Seal::new(&"a".repeat(32).into(), None).unwrap();
        let now = OffsetDateTime::now_utc();
        let login = PendingLogin::new(now);
        let cookie = login.seal(&seal).unwrap();
        let open = |cookie: &str, state: &str, at| PendingLogin::open(&seal, cookie, state, at);
        assert_eq!(open(&cookie, &login.state, now).unwrap().verifier, login.verifier);
        assert!(open(&cookie, &login.state, now + LIFETIME).is_none());
        assert!(open(&cookie, &PendingLogin::new(now).state, now).is_none());
        assert!(open(&cookie[1..], &login.state, now).is_none());
        assert!(open("not base64!", &login.state, now).is_none());
    }

    #[test]
    fn the_challenge_is_that_of_rfc_7636() {
        let login = PendingLogin {
            verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned(),
            ..PendingLogin::new(OffsetDateTime::UNIX_EPOCH)
        };
        assert_eq!(login.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
