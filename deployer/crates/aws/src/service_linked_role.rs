//! Service-linked roles: the roles that AWS services take in an account.
//!
//! A service creates its own at its first use and assumes it at once. IAM is eventually consistent, so that the first cluster of an
//! account may fail: "Unable to assume the service linked role. Please verify that the ECS service linked role exists"
//! (aws-cloudformation/cloudformation-coverage-roadmap 818, 1Password/scim-examples 356).

use serde_json::json;

use crate::error::Result;
use crate::session::Session;
use crate::signed_request::{CREATE_SERVICE_LINKED_ROLE, GET_ROLE};

/// A service-linked role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceLinkedRole {
    /// The principal that assumes it, such as `ecs.amazonaws.com`.
    pub service: &'static str,
    /// The name, the same in every account.
    pub name: &'static str,
}

/// Returns whether the account has a role.
///
/// # Errors
/// The request fails.
pub async fn exists(aws: &Session, role: ServiceLinkedRole) -> Result<bool> {
    match aws.signed.call(GET_ROLE, &json!({ "RoleName": role.name })).await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == "NoSuchEntity" => Ok(false),
        Err(error) => Err(error),
    }
}

/// Creates a role. Returns false if the account has it already.
///
/// # Errors
/// The request fails.
pub async fn create(aws: &Session, role: ServiceLinkedRole) -> Result<bool> {
    let input = json!({ "AWSServiceName": role.service });
    match aws.signed.call(CREATE_SERVICE_LINKED_ROLE, &input).await {
        Ok(_) => Ok(true),
        // "Service role name … has been taken in this account, please try a different suffix."
        Err(error) if error.code() == "InvalidInput" && error.to_string().contains("has been taken") => Ok(false),
        Err(error) => Err(error),
    }
}
