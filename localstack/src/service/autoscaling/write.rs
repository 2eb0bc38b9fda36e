//! Writes of targets and policies, with the rules of their resource types.

use serde_json::{Map, Value, json};

use super::{POLICIES, Policy, TARGETS, Target, target_arn};
use crate::records::RecordType;
use crate::service::Call;
use crate::service::input::{only, properties, retag};
use crate::{AwsError, Context};

const CODE: &str = "ValidationException";

/// `RegisterScalableTarget`: creates a target, or changes the members that the call has.
pub async fn register(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    const STORED: [&str; 7] = [
        "ServiceNamespace",
        "ResourceId",
        "ScalableDimension",
        "MinCapacity",
        "MaxCapacity",
        "RoleARN",
        "SuspendedState",
    ];
    only(call, CODE, &[&STORED[..], &["Tags"]].concat())?;
    let id = target_id(call)?;
    let given = properties(&call.input, &STORED.map(|member| (member, member)));
    if TARGETS.get(cx, &id)?.is_none() {
        cx.create_resource(Target::TYPE, Value::Object(given)).await?;
    } else {
        cx.update_resource(Target::TYPE, &id, |properties| {
            properties.extend(given);
            Ok(())
        })
        .await?;
    }
    retag(cx, TARGETS, &id, &call.input["Tags"], &Value::Null)?;
    let target = TARGETS.get(cx, &id)?.unwrap_or_default();
    Ok(json!({"ScalableTargetARN": target_arn(cx, &target)}))
}

/// `DeregisterScalableTarget`, which deletes the policies of the target too.
pub async fn deregister(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let id = target_id(call)?;
    if cx.delete_resource(Target::TYPE, &id).await? {
        return Ok(json!({}));
    }
    let message = format!("No scalable target registered for {}", id.replace('|', ", "));
    Err(AwsError::new("ObjectNotFoundException", message))
}

/// `PutScalingPolicy`: creates a policy, or replaces the configuration of the one with this name.
pub async fn put_policy(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    const STORED: [&str; 7] = [
        "PolicyName",
        "PolicyType",
        "ServiceNamespace",
        "ResourceId",
        "ScalableDimension",
        "StepScalingPolicyConfiguration",
        "TargetTrackingScalingPolicyConfiguration",
    ];
    only(call, CODE, &STORED)?;
    let mut given = properties(&call.input, &STORED.map(|member| (member, member)));
    given.entry("PolicyType").or_insert_with(|| "StepScaling".into());
    let arn = match policy(cx, call)? {
        Some(existing) => {
            let replace = |properties: &mut Map<String, Value>| {
                *properties = given;
                Ok(())
            };
            cx.update_resource(Policy::TYPE, &existing, replace).await?;
            existing
        }
        None => {
            cx.create_resource(Policy::TYPE, Value::Object(given))
                .await?
                .physical_id
        }
    };
    Ok(json!({"PolicyARN": arn, "Alarms": []}))
}

/// `DeleteScalingPolicy`.
pub async fn delete_policy(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let Some(existing) = policy(cx, call)? else {
        let message = "No scaling policy found for the given name and target.";
        return Err(AwsError::new("ObjectNotFoundException", message));
    };
    cx.delete_resource(Policy::TYPE, &existing).await?;
    Ok(json!({}))
}

/// Returns the ARN of the policy that a call names, if it exists.
fn policy(cx: &Context, call: &Call) -> Result<Option<String>, AwsError> {
    let (name, target) = (call.required("PolicyName")?, target_id(call)?);
    let is_named = |policy: &crate::records::Record| {
        policy.has("PolicyName", &name) && policy.computed("Target").as_ref() == Some(&target)
    };
    Ok(POLICIES.find(cx, is_named)?.map(|policy| policy.id))
}

fn target_id(call: &Call) -> Result<String, AwsError> {
    let member = |name: &str| {
        let missing = || AwsError::new(CODE, format!("The parameter {name} is required."));
        call.text(name).ok_or_else(missing)
    };
    Ok(format!(
        "{}|{}|{}",
        member("ResourceId")?,
        member("ScalableDimension")?,
        member("ServiceNamespace")?
    ))
}
