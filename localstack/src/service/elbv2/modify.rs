//! The Modify operations, which change records outside of a stack.

use serde_json::{Value, json};

use super::load_balancer::LoadBalancer;
use super::model::{self, LISTENERS, LOAD_BALANCERS, RULES, TARGET_GROUPS};
use super::{describe, listener, rule, sync, target_group};
use crate::records::{Record, RecordType, WriteLock};
use crate::service::Call;
use crate::{AwsError, Context};

pub fn target_group(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut record = model::target_group(cx, &call.required("TargetGroupArn")?)?;
    set_members(&mut record, call, "TargetGroupArn");
    target_group::check(&record)?;
    TARGET_GROUPS.put(cx, &record)?;
    sync::apply(cx)?;
    Ok(json!({"TargetGroups": [describe::target_group(cx, &record)?]}))
}

pub fn listener(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut record = model::listener(cx, &call.required("ListenerArn")?)?;
    set_members(&mut record, call, "ListenerArn");
    listener::check(cx, &record)?;
    LISTENERS.put(cx, &record)?;
    sync::apply(cx)?;
    Ok(json!({"Listeners": [describe::listener(&record)]}))
}

pub fn rule(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut record = model::rule(cx, &call.required("RuleArn")?)?;
    set_members(&mut record, call, "RuleArn");
    rule::check(cx, &record)?;
    RULES.put(cx, &record)?;
    sync::apply(cx)?;
    Ok(json!({"Rules": [describe::rule(&record)]}))
}

/// Deletes a load balancer with its listeners and their rules. Succeeds if it does not exist.
///
/// # Errors
/// `OperationNotPermitted` while deletion protection is enabled.
pub fn delete_load_balancer(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let arn = call.required("LoadBalancerArn")?;
    {
        let lock = cx.shared::<WriteLock>();
        let _guard = lock.lock();
        if let Some(record) = LOAD_BALANCERS.get(cx, &arn)? {
            LoadBalancer::delete(cx, &record)?;
        }
        for listener in LISTENERS.list(cx)?.iter().filter(|l| l.has("LoadBalancerArn", &arn)) {
            for rule in RULES.list(cx)?.iter().filter(|r| r.has("ListenerArn", &listener.id)) {
                RULES.delete(cx, &rule.id)?;
            }
            LISTENERS.delete(cx, &listener.id)?;
        }
        LOAD_BALANCERS.delete(cx, &arn)?;
    }
    sync::apply(cx)?;
    Ok(json!({}))
}

/// Sets the members of a call as properties of a record, except the one that names the record.
fn set_members(record: &mut Record, call: &Call, except: &str) {
    for (member, value) in call
        .input
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(member, _)| *member != except)
    {
        record.properties.insert(member.clone(), value.clone());
    }
}
