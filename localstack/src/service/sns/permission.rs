//! `AddPermission` and `RemovePermission`: statements of a topic's policy.

use serde_json::{Value, json};

use super::attributes;
use super::invalid;
use super::model::find_topic;
use crate::service::Call;
use crate::{AwsError, Context};

pub fn change(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let topic = find_topic(cx, &call.required("TopicArn")?)?;
    let label = call.required("Label")?;
    let mut policy: Value = serde_json::from_str(&attributes::policy(cx, &topic)?).unwrap_or_default();
    let statements = match policy["Statement"].take() {
        Value::Array(list) => list,
        one => vec![one],
    };
    let (of_label, mut others): (Vec<Value>, Vec<Value>) =
        statements.into_iter().partition(|statement| statement["Sid"] == *label);
    if call.operation == "AddPermission" {
        if !of_label.is_empty() {
            return Err(invalid("Statement already exists"));
        }
        others.push(statement(call, &label, &topic.id)?);
    }
    policy["Statement"] = others.into();
    attributes::set_policy(cx, &topic.id, &policy.to_string())?;
    Ok(json!({}))
}

fn statement(call: &Call, label: &str, topic: &str) -> Result<Value, AwsError> {
    let actions = call.texts("ActionName");
    if actions
        .iter()
        .any(|action| !attributes::ACTIONS.contains(&action.as_str()))
    {
        return Err(invalid("Policy statement action out of service scope!"));
    }
    let accounts = call.texts("AWSAccountId").into_iter();
    let principals = accounts.map(|account| format!("arn:aws:iam::{account}:root"));
    let actions = actions.into_iter().map(|action| format!("SNS:{action}"));
    Ok(json!({
        "Sid": label, "Effect": "Allow", "Principal": {"AWS": one_or_list(principals.collect())},
        "Action": one_or_list(actions.collect()), "Resource": topic,
    }))
}

/// Returns the only text, or all of them as a list.
fn one_or_list(mut texts: Vec<String>) -> Value {
    match texts.len() {
        1 => texts.remove(0).into(),
        _ => texts.into(),
    }
}
