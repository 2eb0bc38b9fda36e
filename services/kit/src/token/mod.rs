//! Access tokens: ES256, checked against the keys that auth-service publishes.

mod extract;
mod failure;
mod keys;
mod revocations;
mod source;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use extract::{Admin, Auditor, AuditorOrAdmin, Authenticated, Caller, bearer};
pub use keys::{LEEWAY, REFRESH_INTERVAL, Verifier};
pub use revocations::REVOCATION_WINDOW;
pub use source::RevokedSessions;

/// The `iss` of every token.
pub const ISSUER: &str = "auth-service";

/// The role of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Role {
    /// Works with patients.
    User,
    /// Also deletes patients, reads billing and analytics, and manages users.
    Admin,
    /// Reads the audit trail and the histories of patients, and nothing else.
    Auditor,
}

impl Role {
    /// Returns the role as in tokens and databases.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "USER",
            Self::Admin => "ADMIN",
            Self::Auditor => "AUDITOR",
        }
    }

    /// Parses a role as in tokens and databases.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::User, Self::Admin, Self::Auditor]
            .into_iter()
            .find(|role| role.as_str() == text)
    }
}

/// The claims of an access token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    /// The user's id.
    pub sub: Uuid,
    /// The user's address.
    pub email: String,
    /// The user's role.
    pub role: Role,
    /// Always [`ISSUER`].
    pub iss: String,
    /// The project's name.
    pub aud: String,
    /// Issued at, in seconds since 1970.
    pub iat: i64,
    /// Not before, in seconds since 1970.
    pub nbf: i64,
    /// Expires, in seconds since 1970.
    pub exp: i64,
    /// The token's own id.
    pub jti: Uuid,
    /// The session, which lasts from a login over all refreshes; its end revokes the token.
    pub sid: Uuid,
}

/// Reason for rejecting a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Malformed, forged, expired, of a session that ended, or issued for another audience.
    #[error("the token is invalid")]
    Invalid,
    /// The signing keys were never loaded, so tokens cannot be verified.
    #[error("the signing keys of auth-service are not loaded")]
    Unavailable,
}

/// Issuer and audience of tokens.
#[derive(Debug, Clone, clap::Args)]
pub struct TokenArgs {
    /// Base URL of auth-service, which publishes its keys under /.well-known/jwks.json
    #[arg(long, env = "AUTH_SERVICE_URL", default_value = "http://127.0.0.1:4005")]
    pub auth_service_url: String,
    /// The `aud` of every token, which is the project's name
    #[arg(long, env = "TOKEN_AUDIENCE", default_value = "patient-management")]
    pub token_audience: String,
}

impl TokenArgs {
    /// Returns the verifier for these settings.
    ///
    /// # Errors
    /// If the URL is malformed.
    pub fn verifier(&self) -> anyhow::Result<Verifier> {
        Verifier::new(&self.auth_service_url, &self.token_audience)
    }
}
