//! Changes by the API, outside of a stack.

use serde_json::{Value, json};

use super::listener::{self, LISTENERS};
use super::load_balancer::{self, LOAD_BALANCERS};
use super::rule::{self, RULES};
use super::target_group::{self, TARGET_GROUPS};
use super::{describe, text, wanted};
use crate::records::{Record, WriteLock};
use crate::service::Call;
use crate::{AwsError, Context};

pub fn target_group(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut record = target_group::named(cx, &call.required("TargetGroupArn")?)?;
    lay_over(&mut record, call, "TargetGroupArn");
    TARGET_GROUPS.put(cx, &record)?;
    wanted::apply(cx)?;
    Ok(json!({"TargetGroups": [describe::target_group(cx, &record)?]}))
}

pub fn listener(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut record = listener::named(cx, &call.required("ListenerArn")?)?;
    lay_over(&mut record, call, "ListenerArn");
    listener::checked(cx, &record)?;
    LISTENERS.put(cx, &record)?;
    wanted::apply(cx)?;
    Ok(json!({"Listeners": [describe::listener(&record)]}))
}

pub fn rule(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let arn = call.required("RuleArn")?;
    let found = RULES.get(cx, &arn)?;
    let mut record = found.ok_or_else(|| AwsError::new("RuleNotFound", format!("Rules '[{arn}]' not found")))?;
    lay_over(&mut record, call, "RuleArn");
    rule::checked(cx, &record)?;
    RULES.put(cx, &record)?;
    wanted::apply(cx)?;
    Ok(json!({"Rules": [describe::rule(&record)]}))
}

pub fn attributes(cx: &Context, call: &Call, kind: &str) -> Result<Value, AwsError> {
    let arn = call.required(&format!("{kind}Arn"))?;
    {
        let lock = cx.extension::<WriteLock>();
        let _guard = lock.lock();
        let balancer = kind == "LoadBalancer";
        let mut record = if balancer {
            load_balancer::named(cx, &arn)?
        } else {
            target_group::named(cx, &arn)?
        };
        let property = format!("{kind}Attributes");
        let mut all = record
            .properties
            .get(&property)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        for new in call.list("Attributes") {
            all.retain(|old| text(old, "Key") != text(&new, "Key"));
            all.push(new);
        }
        record.properties.insert(property, all.into());
        if balancer { LOAD_BALANCERS } else { TARGET_GROUPS }.put(cx, &record)?;
    }
    wanted::apply(cx)?;
    describe::attributes(cx, call, kind)
}

fn lay_over(record: &mut Record, call: &Call, except: &str) {
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
