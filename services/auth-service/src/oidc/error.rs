//! Failures of a login by single sign-on, and their responses.

use http::StatusCode;
use kit::Problem;

/// Reason for which a login by single sign-on failed.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The provider did not respond in time; the text is for the log.
    #[error("the identity provider did not respond: {0}")]
    Unreachable(String),
    /// A response of the provider cannot be used; the text is for the log.
    #[error("a response of the identity provider cannot be used: {0}")]
    Unusable(String),
    /// No login of this browser has this state, or it is too old or used.
    #[error("the state is unknown, used or expired")]
    UnknownState,
    /// The code is not one of this login.
    #[error("the code is not valid")]
    InvalidCode,
    /// The provider or the user ended the login.
    #[error("the provider ended the login")]
    Ended,
    /// The claims contain no value that the role map has.
    #[error("the claims give no role")]
    NoRole,
    /// The claims contain no address, or one that nobody has verified.
    #[error("the claims have no verified email address")]
    NoVerifiedEmail,
    /// Another account has the address.
    #[error("another account has the email address")]
    EmailTaken,
    /// An administrator has disabled the user.
    #[error("the user is disabled")]
    Disabled,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl OidcError {
    /// Returns the outcome, as a label of the metric.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Unreachable(_) | Self::Unusable(_) | Self::Database(_) => "failed",
            Self::UnknownState | Self::InvalidCode | Self::Ended => "rejected",
            Self::NoRole | Self::NoVerifiedEmail | Self::EmailTaken | Self::Disabled => "refused",
        }
    }
}

impl From<OidcError> for Problem {
    fn from(error: OidcError) -> Self {
        let (status, detail) = match error {
            OidcError::Database(error) => return error.into(),
            OidcError::Unreachable(_) => {
                tracing::warn!(error = %error, "a login by single sign-on failed");
                return Self::unavailable("The identity provider does not respond; try again in a moment");
            }
            OidcError::Unusable(_) => {
                tracing::error!(error = %error, "a login by single sign-on failed");
                (
                    StatusCode::BAD_GATEWAY,
                    "The identity provider gave a response that cannot be used; tell an administrator",
                )
            }
            OidcError::UnknownState => (
                StatusCode::BAD_REQUEST,
                "This login is unknown, used or older than 10 minutes; start again at /auth/oidc/login",
            ),
            OidcError::InvalidCode => (
                StatusCode::BAD_REQUEST,
                "The code is unknown, used, expired or of another login; start again at /auth/oidc/login",
            ),
            OidcError::Ended => (
                StatusCode::FORBIDDEN,
                "The identity provider ended the login; start again at /auth/oidc/login",
            ),
            OidcError::NoRole => (
                StatusCode::FORBIDDEN,
                "The identity provider gives you no role here; ask an administrator for one",
            ),
            OidcError::NoVerifiedEmail => (
                StatusCode::FORBIDDEN,
                "The identity provider knows no verified email address of you; verify it there",
            ),
            OidcError::EmailTaken => (
                StatusCode::CONFLICT,
                "Another account has your email address; ask an administrator to delete it",
            ),
            OidcError::Disabled => (StatusCode::FORBIDDEN, "Your account is disabled; ask an administrator"),
        };
        Self::new(status, detail)
    }
}
