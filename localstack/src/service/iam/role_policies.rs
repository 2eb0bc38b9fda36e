//! Writes of a role's policies: inline ones, and attachments of managed ones.

use serde_json::{Map, Value, json};

use super::model::{self, MANAGED_POLICIES, POLICIES, attached_to, not_found};
use super::policy::{ManagedPolicy, Policy};
use super::role::Role;
use super::{document, managed};
use crate::records::{Record, RecordType, texts};
use crate::service::Call;
use crate::{AwsError, Context};

/// `PutRolePolicy`: adds an inline policy, or replaces the one with this name.
pub async fn put(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (role, name) = (call.required("RoleName")?, call.required("PolicyName")?);
    let document = document::parse(&call.required("PolicyDocument")?)?;
    if let Some(policy) = resource(cx, &role, &name)? {
        let set = |properties: &mut Map<String, Value>| {
            properties.insert("PolicyDocument".into(), document);
            Ok(())
        };
        cx.update_resource(Policy::TYPE, &policy.id, set).await?;
        return Ok(json!({}));
    }
    edit(cx, &role, "Policies", |policies| {
        policies.retain(|policy| policy["PolicyName"] != *name);
        policies.push(json!({"PolicyName": name, "PolicyDocument": document}));
        Ok(())
    })
    .await
}

/// `DeleteRolePolicy`.
pub async fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (role, name) = (call.required("RoleName")?, call.required("PolicyName")?);
    if let Some(policy) = resource(cx, &role, &name)? {
        return detach_from_resource(cx, Policy::TYPE, &policy.id, &role).await;
    }
    edit(cx, &role, "Policies", |policies| {
        let before = policies.len();
        policies.retain(|policy| policy["PolicyName"] != *name);
        if policies.len() == before {
            return Err(not_found("role policy", &name));
        }
        Ok(())
    })
    .await
}

/// `AttachRolePolicy`, which succeeds if the policy is attached already.
pub async fn attach(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (role, arn) = (call.required("RoleName")?, call.required("PolicyArn")?);
    if !arn.starts_with(managed::PREFIX) && MANAGED_POLICIES.get(cx, &arn)?.is_none() {
        let message = format!("Policy {arn} does not exist or is not attachable.");
        return Err(AwsError::new("NoSuchEntity", message).with_status(404));
    }
    if attached_to(cx, &role)?.iter().any(|policy| policy.id == arn) {
        return Ok(json!({}));
    }
    edit(cx, &role, "ManagedPolicyArns", |arns| {
        if !arns.iter().any(|one| *one == *arn) {
            arns.push(arn.into());
        }
        Ok(())
    })
    .await
}

/// `DetachRolePolicy`.
pub async fn detach(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (role, arn) = (call.required("RoleName")?, call.required("PolicyArn")?);
    model::role(cx, &role)?;
    if attached_to(cx, &role)?.iter().any(|policy| policy.id == arn) {
        return detach_from_resource(cx, ManagedPolicy::TYPE, &arn, &role).await;
    }
    edit(cx, &role, "ManagedPolicyArns", |arns| {
        let before = arns.len();
        arns.retain(|one| *one != *arn);
        if arns.len() == before {
            let message = format!("Policy {arn} was not found.");
            return Err(AwsError::new("NoSuchEntity", message).with_status(404));
        }
        Ok(())
    })
    .await
}

/// Returns the `AWS::IAM::Policy` of this name that is attached to the role.
fn resource(cx: &Context, role: &str, name: &str) -> Result<Option<Record>, AwsError> {
    POLICIES.find(cx, |policy| {
        policy.has("PolicyName", name) && texts(policy.properties.get("Roles")).iter().any(|one| one == role)
    })
}

/// Removes the role from a policy that names its roles.
async fn detach_from_resource(cx: &Context, type_name: &str, id: &str, role: &str) -> Result<Value, AwsError> {
    let remove = |properties: &mut Map<String, Value>| {
        if let Some(roles) = properties.get_mut("Roles").and_then(Value::as_array_mut) {
            roles.retain(|one| *one != *role);
        }
        Ok(())
    };
    cx.update_resource(type_name, id, remove).await?;
    Ok(json!({}))
}

/// Changes a list of a role's properties.
async fn edit(
    cx: &Context,
    role: &str,
    property: &str,
    change: impl FnOnce(&mut Vec<Value>) -> Result<(), AwsError> + Send,
) -> Result<Value, AwsError> {
    let edit = |properties: &mut Map<String, Value>| {
        let list = properties.entry(property).or_insert_with(|| json!([]));
        change(
            list.as_array_mut()
                .ok_or_else(|| AwsError::internal("a list of a role is none"))?,
        )
    };
    let changed = cx.update_resource(Role::TYPE, role, edit).await?;
    changed.ok_or_else(|| not_found("role", role)).map(|_| json!({}))
}
