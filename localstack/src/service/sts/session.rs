//! Temporary credentials of a role.
//!
//! The session's token holds all that is known of the session, sealed, as those of STS do: nothing is kept, and the
//! credentials hold until they end, also when the endpoint was gone meanwhile.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::Context;
use crate::encryption;
use crate::service::iam;

const PURPOSE: &str = "sts.session";

/// Who somebody is for a while. It holds a secret: it has no `Debug`, and goes into no log.
#[derive(Serialize, Deserialize)]
pub struct Session {
    pub key_id: String,
    pub secret: String,
    /// The role's ARN.
    pub role: String,
    /// What the session is called: a task's id, where ECS began it.
    pub name: String,
    /// Seconds since 1970.
    pub expires: i64,
}

impl Session {
    /// A new session of this role, with the token that tells of it.
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

    /// The session that a token tells of, over or not; none when this endpoint did not make the token.
    pub fn of(cx: &Context, token: &str) -> Option<Self> {
        serde_json::from_slice(&encryption::open(cx, PURPOSE, token).ok()?).ok()
    }

    pub fn is_over(&self, now: OffsetDateTime) -> bool {
        now.unix_timestamp() >= self.expires
    }
}
