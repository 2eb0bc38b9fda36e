//! The account of the credentials (STS).

use crate::error::Result;
use crate::session::Session;

/// The caller's identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The 12 digits of the account.
    pub account: String,
    /// The ARN of the identity: a user, or an assumed role with its session.
    pub arn: String,
}

/// Returns the caller's identity.
///
/// # Errors
/// The credentials are rejected, or the request fails.
pub async fn identity(aws: &Session) -> Result<Identity> {
    let identity = aws.sts.get_caller_identity().send().await?;
    Ok(Identity {
        account: identity.account().unwrap_or_default().to_owned(),
        arn: identity.arn().unwrap_or_default().to_owned(),
    })
}

/// Returns the number of the account.
///
/// # Errors
/// The credentials are rejected, or the request fails.
pub async fn id(aws: &Session) -> Result<String> {
    Ok(identity(aws).await?.account)
}
