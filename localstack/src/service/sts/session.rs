//! Temporary credentials of a role.
//!
//! The session token contains the session in encrypted form, as on STS. Nothing is stored, and the credentials stay
//! valid until they expire, even if the endpoint restarts.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::Context;
use crate::encryption;
use crate::service::iam;

const PURPOSE: &str = "sts.session";

/// The temporary identity of a role. It contains a secret: it has no `Debug` and must not be logged.
#[derive(Serialize, Deserialize)]
pub struct Session {
    pub key_id: String,
    pub secret: String,
    /// The role's ARN.
    pub role: String,
    /// The name of the session; for ECS, the task's ID.
    pub name: String,
    /// Seconds since 1970.
    pub expires: i64,
}

impl Session {
    /// Creates a session of this role and its session token.
    ///
    /// # Errors
    /// Returns an error if the encryption key cannot be read or created.
    pub fn begin(cx: &Context, role: &str, name: &str, expires: OffsetDateTime) -> anyhow::Result<(Self, String)> {
        let secret: [u8; 30] = rand::random();
        let session = Self {
            key_id: iam::key_id(),
            secret: BASE64_STANDARD.encode(secret),
            role: role.to_owned(),
            name: name.to_owned(),
            expires: expires.unix_timestamp(),
        };
        let token = encryption::seal(cx, PURPOSE, &serde_json::to_vec(&session)?)?;
        Ok((session, token))
    }

    /// Decrypts a session token, expired or not; returns `None` if this endpoint did not create it.
    pub fn of(cx: &Context, token: &str) -> Option<Self> {
        serde_json::from_slice(&encryption::open(cx, PURPOSE, token).ok()?).ok()
    }

    pub fn is_over(&self, now: OffsetDateTime) -> bool {
        now.unix_timestamp() >= self.expires
    }
}
