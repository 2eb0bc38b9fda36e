//! IAM: roles and policies are stored, and their syntax is checked. Only the SASL proxies of brokers evaluate them.

pub mod access;
mod document;
mod instance_profile;
mod managed;
mod model;
mod policy;
mod principal;
mod role;
mod role_policies;
mod service_linked_role;
#[cfg(test)]
mod tests;
mod version;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use model::{INSTANCE_PROFILES, MANAGED_POLICIES, ROLES};

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
            "CreateRole" => role::create(cx, &call).await,
            "UpdateRole"
            | "UpdateRoleDescription"
            | "UpdateAssumeRolePolicy"
            | "PutRolePermissionsBoundary"
            | "DeleteRolePermissionsBoundary" => role::update(cx, &call).await,
            "DeleteRole" => role::delete(cx, &call).await,
            "PutRolePolicy" => role_policies::put(cx, &call).await,
            "DeleteRolePolicy" => role_policies::delete(cx, &call).await,
            "AttachRolePolicy" => role_policies::attach(cx, &call).await,
            "DetachRolePolicy" => role_policies::detach(cx, &call).await,
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
            "TagPolicy" | "UntagPolicy" | "ListPolicyTags" => tags(cx, &call, MANAGED_POLICIES, "PolicyArn"),
            "TagInstanceProfile" | "UntagInstanceProfile" | "ListInstanceProfileTags" => {
                tags(cx, &call, INSTANCE_PROFILES, "InstanceProfileName")
            }
            "GetRole" => role::get(cx, &call),
            "ListRoles" => role::list(cx, &call),
            "ListRolePolicies" => {
                let names: Vec<String> = policy::inline(cx, &call)?.into_iter().map(|(name, _)| name).collect();
                Ok(json!({"PolicyNames": names, "IsTruncated": false}))
            }
            "GetRolePolicy" => policy::get_inline(cx, &call),
            "ListAttachedRolePolicies" => policy::attached(cx, &call),
            "GetPolicy" => policy::get(cx, &call),
            "ListPolicies" => policy::list(cx, &call),
            other => Err(AwsError::not_implemented("iam", other)),
        }
    }
}

/// Adds, removes or lists the tags of the record that the member names.
fn tags(cx: &Context, call: &Call, records: Records, member: &str) -> Result<Value, AwsError> {
    let id = call.required(member)?;
    let missing = || model::not_found("entity", &id);
    if call.operation.starts_with("List") {
        let record = records.get(cx, &id)?.ok_or_else(missing)?;
        return Ok(json!({"Tags": record.tag_list(), "IsTruncated": false}));
    }
    if retag(cx, records, &id, &call.input["Tags"], &call.input["TagKeys"])? {
        Ok(json!({}))
    } else {
        Err(missing())
    }
}
