//! What ECR wants to be shown.

use super::Aws;
use crate::error::{Error, Result};
use crate::image::Credentials;

/// User name and password for the registry of an account, from ECR.
pub async fn login(aws: &Aws) -> Result<Credentials> {
    let answer = aws.ecr.get_authorization_token().send().await?;
    let token = answer
        .authorization_data()
        .first()
        .and_then(|data| data.authorization_token())
        .unwrap_or_default();
    Credentials::decode(token)
        .ok_or_else(|| Error::Other(anyhow::anyhow!("ECR gave an authorization token that cannot be read")))
}
