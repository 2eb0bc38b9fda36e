//! The policies of a role, a user or a group: inline ones, and attachments of managed ones.

use serde_json::{Map, Value, json};

use super::attached::attached_to;
use super::entity::Entity;
use super::model::{MANAGED_POLICIES, POLICIES, listed, not_found};
use super::policy::{ManagedPolicy, Policy};
use super::{document, grammar, managed};
use crate::records::{Record, RecordType, texts};
use crate::service::Call;
use crate::{AwsError, Context};

/// The number of managed policies that one entity may have (IAM quotas).
const MAX_ATTACHED: usize = 10;

/// Returns the names and documents of the inline policies of an entity, by name.
pub fn inline(cx: &Context, entity: Entity, holder: &Record) -> Result<Vec<(String, Value)>, AwsError> {
    let own = holder.properties.get("Policies").and_then(Value::as_array);
    let named = |policy: &Value| {
        Some((
            policy["PolicyName"].as_str()?.to_owned(),
            policy["PolicyDocument"].clone(),
        ))
    };
    let mut found: Vec<(String, Value)> = own.into_iter().flatten().filter_map(named).collect();
    for policy in attached_to(cx, entity, &holder.id)? {
        if let Some(name) = policy.text("PolicyName") {
            let document = policy.properties.get("PolicyDocument").cloned();
            found.push((name, document.unwrap_or_default()));
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

/// Returns the ARNs of the managed policies that are attached to an entity.
pub fn attached(cx: &Context, entity: Entity, holder: &Record) -> Result<Vec<String>, AwsError> {
    let mut arns = texts(holder.properties.get("ManagedPolicyArns"));
    let by_policy = attached_to(cx, entity, &holder.id)?.into_iter().map(|policy| policy.id);
    for arn in by_policy.filter(|id| id.starts_with("arn:")) {
        if !arns.contains(&arn) {
            arns.push(arn);
        }
    }
    Ok(arns)
}

/// Returns attachments in the form of the API.
pub fn shown_attached(arns: &[String]) -> Vec<Value> {
    let shown = |arn: &String| json!({"PolicyArn": arn, "PolicyName": arn.rsplit('/').next()});
    arns.iter().map(shown).collect()
}

/// `ListRolePolicies` and those of users and groups.
pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (entity, holder) = Entity::of(cx, call)?;
    let names = inline(cx, entity, &holder)?.into_iter().map(|(name, _)| name.into());
    listed(call, "PolicyNames", names.collect())
}

/// `GetRolePolicy` and those of users and groups.
pub fn get(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (entity, holder) = Entity::of(cx, call)?;
    let requested = call.required("PolicyName")?;
    let found = inline(cx, entity, &holder)?;
    let found = found.into_iter().find(|(name, _)| *name == requested);
    let (name, document) = found.ok_or_else(|| missing(entity, &requested))?;
    let document = document::encoded(Some(&document));
    Ok(json!({entity.member(): holder.id, "PolicyName": name, "PolicyDocument": document}))
}

/// `ListAttachedRolePolicies` and those of users and groups.
pub fn list_attached(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (entity, holder) = Entity::of(cx, call)?;
    let prefix = call.text("PathPrefix").unwrap_or_default();
    let mut arns = attached(cx, entity, &holder)?;
    let path = |arn: &str| arn.split_once(":policy").map(|(_, path)| path.to_owned());
    arns.retain(|arn| path(arn).is_some_and(|path| path.starts_with(&prefix)));
    listed(call, "AttachedPolicies", shown_attached(&arns))
}

/// `PutRolePolicy` and those of users and groups: adds an inline policy, or replaces the one with this name.
pub async fn put(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (entity, holder) = Entity::of(cx, call)?;
    let name = call.required("PolicyName")?;
    let document = document::parse(&call.required("PolicyDocument")?)?;
    let others = inline(cx, entity, &holder)?;
    let others = others
        .iter()
        .filter(|(other, _)| *other != name)
        .map(|(_, document)| document);
    let size: usize = others.chain([&document]).map(grammar::size).sum();
    let max = entity.max_inline_size();
    if size > max {
        let kind = entity.name().to_lowercase();
        let message = format!("Maximum policy size of {max} bytes exceeded for {kind} {}", holder.id);
        return Err(AwsError::new("LimitExceeded", message).with_status(409));
    }
    if let Some(policy) = resource(cx, entity, &holder.id, &name)? {
        let set = |properties: &mut Map<String, Value>| {
            properties.insert("PolicyDocument".into(), document);
            Ok(())
        };
        cx.update_resource(Policy::TYPE, &policy.id, set).await?;
        return Ok(json!({}));
    }
    edit(cx, entity, &holder.id, "Policies", |policies| {
        policies.retain(|policy| policy["PolicyName"] != *name);
        policies.push(json!({"PolicyName": name, "PolicyDocument": document}));
        Ok(())
    })
    .await
}

/// `DeleteRolePolicy` and those of users and groups.
pub async fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (entity, holder) = Entity::of(cx, call)?;
    let name = call.required("PolicyName")?;
    if let Some(policy) = resource(cx, entity, &holder.id, &name)? {
        return detach_from_resource(cx, Policy::TYPE, &policy.id, entity, &holder.id).await;
    }
    edit(cx, entity, &holder.id, "Policies", |policies| {
        let before = policies.len();
        policies.retain(|policy| policy["PolicyName"] != *name);
        if policies.len() == before {
            return Err(missing(entity, &name));
        }
        Ok(())
    })
    .await
}

/// `AttachRolePolicy` and those of users and groups, which succeed if the policy is attached already.
pub async fn attach(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (entity, holder) = Entity::of(cx, call)?;
    let arn = call.required("PolicyArn")?;
    check_arn(&arn)?;
    if !arn.starts_with(managed::PREFIX) && MANAGED_POLICIES.get(cx, &arn)?.is_none() {
        let message = format!("Policy {arn} does not exist or is not attachable.");
        return Err(AwsError::new("NoSuchEntity", message).with_status(404));
    }
    let existing = attached(cx, entity, &holder)?;
    if existing.contains(&arn) {
        return Ok(json!({}));
    }
    if existing.len() >= MAX_ATTACHED {
        let message = format!("Cannot exceed quota for PoliciesPer{}: {MAX_ATTACHED}", entity.name());
        return Err(AwsError::new("LimitExceeded", message).with_status(409));
    }
    edit(cx, entity, &holder.id, "ManagedPolicyArns", |arns| {
        if !arns.iter().any(|one| *one == *arn) {
            arns.push(arn.into());
        }
        Ok(())
    })
    .await
}

/// `DetachRolePolicy` and those of users and groups.
pub async fn detach(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (entity, holder) = Entity::of(cx, call)?;
    let arn = call.required("PolicyArn")?;
    check_arn(&arn)?;
    let by_policy = attached_to(cx, entity, &holder.id)?;
    if by_policy.iter().any(|policy| policy.id == arn) {
        return detach_from_resource(cx, ManagedPolicy::TYPE, &arn, entity, &holder.id).await;
    }
    edit(cx, entity, &holder.id, "ManagedPolicyArns", |arns| {
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

fn missing(entity: Entity, policy: &str) -> AwsError {
    not_found(&format!("{} policy", entity.name().to_lowercase()), policy)
}

/// Checks that a text is an ARN.
fn check_arn(arn: &str) -> Result<(), AwsError> {
    if arn.starts_with("arn:") && arn.split(':').count() >= 6 {
        return Ok(());
    }
    Err(AwsError::validation("Invalid ARN:  Could not be parsed!"))
}

/// Returns the `AWS::IAM::Policy` of this name that is attached to the entity.
fn resource(cx: &Context, entity: Entity, holder: &str, name: &str) -> Result<Option<Record>, AwsError> {
    POLICIES.find(cx, |policy| {
        let attached = texts(policy.properties.get(entity.property()));
        policy.has("PolicyName", name) && attached.iter().any(|one| one == holder)
    })
}

/// Removes the entity from a policy that names its entities.
async fn detach_from_resource(
    cx: &Context,
    type_name: &str,
    id: &str,
    entity: Entity,
    holder: &str,
) -> Result<Value, AwsError> {
    let remove = |properties: &mut Map<String, Value>| {
        if let Some(attached) = properties.get_mut(entity.property()).and_then(Value::as_array_mut) {
            attached.retain(|one| *one != *holder);
        }
        Ok(())
    };
    cx.update_resource(type_name, id, remove).await?;
    Ok(json!({}))
}

/// Changes a list of an entity's properties.
async fn edit(
    cx: &Context,
    entity: Entity,
    holder: &str,
    property: &str,
    change: impl FnOnce(&mut Vec<Value>) -> Result<(), AwsError> + Send,
) -> Result<Value, AwsError> {
    let edit = |properties: &mut Map<String, Value>| {
        let list = properties.entry(property).or_insert_with(|| json!([]));
        change(
            list.as_array_mut()
                .ok_or_else(|| AwsError::internal("a list of an entity is none"))?,
        )
    };
    let changed = cx.update_resource(entity.type_name(), holder, edit).await?;
    changed
        .ok_or_else(|| not_found(&entity.name().to_lowercase(), holder))
        .map(|_| json!({}))
}
