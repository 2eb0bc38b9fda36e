//! IAM: roles and policies are stored, and their syntax is checked. Only the SASL proxies of brokers evaluate them.

pub mod access;
mod access_key;
mod account;
mod attached;
mod document;
mod entity;
mod entity_policies;
mod grammar;
mod group;
mod instance_profile;
mod managed;
mod model;
mod policy;
mod policy_date;
mod principal;
mod role;
mod service_linked_role;
#[cfg(test)]
mod tests;
mod user;
mod version;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use model::{INSTANCE_PROFILES, MANAGED_POLICIES, ROLES, USERS};

use super::input::retag;
use crate::records::{Records, record_type};
use crate::service::Call;
use crate::{AwsError, Context, ResourceType, Service};

pub use model::{key_id, with_arn};

pub fn service() -> Arc<dyn Service> {
    Arc::new(Iam)
}

struct Iam;

#[async_trait]
impl Service for Iam {
    fn name(&self) -> &'static str {
        "iam"
    }

    fn is_global(&self) -> bool {
        true
    }

    fn types(&self) -> Vec<Arc<dyn ResourceType>> {
        vec![
            record_type::<role::Role>(),
            record_type::<service_linked_role::ServiceLinkedRole>(),
            record_type::<policy::Policy>(),
            record_type::<policy::ManagedPolicy>(),
            record_type::<instance_profile::InstanceProfile>(),
            record_type::<principal::User>(),
            record_type::<principal::Group>(),
            record_type::<principal::AccessKey>(),
        ]
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        match call.operation.as_str() {
            "CreateServiceLinkedRole" => service_linked_role::create(cx, &call),
            "DeleteServiceLinkedRole" | "GetServiceLinkedRoleDeletionStatus" => {
                service_linked_role::delete(cx, &call).await
            }
            "CreateRole" => role::create(cx, &call).await,
            "UpdateRole"
            | "UpdateRoleDescription"
            | "UpdateAssumeRolePolicy"
            | "PutRolePermissionsBoundary"
            | "DeleteRolePermissionsBoundary" => role::update(cx, &call).await,
            "DeleteRole" => role::delete(cx, &call).await,
            "CreateUser"
            | "GetUser"
            | "ListUsers"
            | "UpdateUser"
            | "DeleteUser"
            | "PutUserPermissionsBoundary"
            | "DeleteUserPermissionsBoundary" => user::call(cx, &call).await,
            "CreateGroup"
            | "GetGroup"
            | "ListGroups"
            | "ListGroupsForUser"
            | "UpdateGroup"
            | "DeleteGroup"
            | "AddUserToGroup"
            | "RemoveUserFromGroup" => group::call(cx, &call).await,
            "CreateAccessKey" | "ListAccessKeys" | "GetAccessKeyLastUsed" | "UpdateAccessKey" | "DeleteAccessKey" => {
                access_key::call(cx, &call).await
            }
            "GetAccountSummary"
            | "GetAccountAuthorizationDetails"
            | "CreateAccountAlias"
            | "ListAccountAliases"
            | "DeleteAccountAlias"
            | "GetAccountPasswordPolicy"
            | "UpdateAccountPasswordPolicy"
            | "DeleteAccountPasswordPolicy" => account::call(cx, &call),
            "PutRolePolicy" | "PutUserPolicy" | "PutGroupPolicy" => entity_policies::put(cx, &call).await,
            "GetRolePolicy" | "GetUserPolicy" | "GetGroupPolicy" => entity_policies::get(cx, &call),
            "ListRolePolicies" | "ListUserPolicies" | "ListGroupPolicies" => entity_policies::list(cx, &call),
            "DeleteRolePolicy" | "DeleteUserPolicy" | "DeleteGroupPolicy" => entity_policies::delete(cx, &call).await,
            "AttachRolePolicy" | "AttachUserPolicy" | "AttachGroupPolicy" => entity_policies::attach(cx, &call).await,
            "DetachRolePolicy" | "DetachUserPolicy" | "DetachGroupPolicy" => entity_policies::detach(cx, &call).await,
            "ListAttachedRolePolicies" | "ListAttachedUserPolicies" | "ListAttachedGroupPolicies" => {
                entity_policies::list_attached(cx, &call)
            }
            "ListEntitiesForPolicy" => policy::entities(cx, &call),
            "CreatePolicy" => policy::create(cx, &call).await,
            "DeletePolicy" => policy::delete(cx, &call).await,
            "GetPolicyVersion"
            | "ListPolicyVersions"
            | "CreatePolicyVersion"
            | "SetDefaultPolicyVersion"
            | "DeletePolicyVersion" => version::call(cx, &call),
            "CreateInstanceProfile"
            | "GetInstanceProfile"
            | "DeleteInstanceProfile"
            | "ListInstanceProfiles"
            | "ListInstanceProfilesForRole"
            | "AddRoleToInstanceProfile"
            | "RemoveRoleFromInstanceProfile" => instance_profile::call(cx, &call).await,
            "TagRole" | "UntagRole" | "ListRoleTags" => tags(cx, &call, ROLES, "RoleName"),
            "TagUser" | "UntagUser" | "ListUserTags" => tags(cx, &call, USERS, "UserName"),
            "TagPolicy" | "UntagPolicy" | "ListPolicyTags" => tags(cx, &call, MANAGED_POLICIES, "PolicyArn"),
            "TagInstanceProfile" | "UntagInstanceProfile" | "ListInstanceProfileTags" => {
                tags(cx, &call, INSTANCE_PROFILES, "InstanceProfileName")
            }
            "GetRole" => role::get(cx, &call),
            "ListRoles" => role::list(cx, &call),
            "GetPolicy" => policy::get(cx, &call),
            "ListPolicies" => policy::list(cx, &call),
            other => Err(AwsError::not_implemented("iam", other)),
        }
    }
}

/// Adds, removes or lists the tags of the record that the member names.
fn tags(cx: &Context, call: &Call, records: Records, member: &str) -> Result<Value, AwsError> {
    let id = call.required(member)?;
    let missing = || match member {
        "PolicyArn" => model::policy_not_found(&id),
        "InstanceProfileName" => model::profile_not_found(&id),
        _ => model::not_found(&member.trim_end_matches("Name").to_lowercase(), &id),
    };
    if call.operation.starts_with("List") {
        let record = records.get(cx, &id)?.ok_or_else(missing)?;
        let tags = record.tag_list().as_array().cloned().unwrap_or_default();
        return model::listed(call, "Tags", tags);
    }
    model::check_tags(&call.input["Tags"])?;
    if retag(cx, records, &id, &call.input["Tags"], &call.input["TagKeys"])? {
        Ok(json!({}))
    } else {
        Err(missing())
    }
}
