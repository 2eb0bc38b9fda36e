//! The policies of entities, and their documents.

use serde_json::Value;

use super::entity::Entity;
use super::managed;
use super::model::{MANAGED_POLICIES, POLICIES};
use crate::records::{Record, texts};
use crate::{AwsError, Context};

/// Returns the policy resources that name the role, user or group.
pub fn attached_to(cx: &Context, entity: Entity, name: &str) -> Result<Vec<Record>, AwsError> {
    let mut policies = POLICIES.list(cx)?;
    policies.extend(MANAGED_POLICIES.list(cx)?);
    policies.retain(|policy| {
        let attached = texts(policy.properties.get(entity.property()));
        attached.iter().any(|one| one == name)
    });
    Ok(policies)
}

/// Returns the documents of all policies of a role; of the policies that AWS manages, a few are known here.
pub fn documents(cx: &Context, role: &Record) -> Result<Vec<Value>, AwsError> {
    let inline = role.properties.get("Policies").and_then(Value::as_array);
    let mut found: Vec<Value> = inline
        .into_iter()
        .flatten()
        .map(|policy| policy["PolicyDocument"].clone())
        .collect();
    let document = |policy: &Record| policy.properties.get("PolicyDocument").cloned();
    found.extend(attached_to(cx, Entity::Role, &role.id)?.iter().filter_map(document));
    for arn in texts(role.properties.get("ManagedPolicyArns")) {
        found.extend(managed_document(cx, &arn)?);
    }
    Ok(found)
}

/// Returns the document of a managed policy, if the policy is known here.
pub fn managed_document(cx: &Context, arn: &str) -> Result<Option<Value>, AwsError> {
    if let Some(document) = managed::document(arn) {
        return Ok(Some(document));
    }
    let policy = MANAGED_POLICIES.get(cx, arn)?;
    Ok(policy.and_then(|policy| policy.properties.get("PolicyDocument").cloned()))
}
