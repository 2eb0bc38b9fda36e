//! `CreateTopic` and `Subscribe`.

use serde_json::{Map, Value, json};

use super::model::{SUBSCRIPTIONS, TOPICS};
use super::subscription::{Subscription, is_pending};
use super::topic::Topic;
use super::{attributes, invalid};
use crate::records::{Record, RecordType};
use crate::service::Call;
use crate::service::input::only;
use crate::{AwsError, Context};

/// `CreateTopic`: the same call twice returns the same topic.
pub async fn topic(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    only(call, "InvalidParameter", &["Name", "Attributes", "Tags"])?;
    let name = call.required("Name")?;
    let mut desired = Map::new();
    let mut policy = None;
    for (attribute, value) in attributes::given(call) {
        match attribute.as_str() {
            "Policy" => policy = Some(value),
            _ => attributes::insert(&mut desired, attributes::TOPIC, &attribute, &value)?,
        }
    }
    if let Some(existing) = TOPICS.get(cx, &cx.arn("sns", &name))? {
        let differs = |(name, value): (&String, &Value)| existing.properties.get(name) != Some(value);
        return if desired.iter().any(differs) {
            Err(invalid(
                "Attributes Reason: Topic already exists with different attributes",
            ))
        } else {
            Ok(json!({"TopicArn": existing.id}))
        };
    }
    desired.insert("TopicName".into(), name.into());
    desired.insert("Tags".into(), call.list("Tags").into());
    let created = cx.create_resource(Topic::TYPE, Value::Object(desired)).await?;
    if let Some(policy) = policy {
        attributes::set_policy(cx, &created.physical_id, &policy)?;
    }
    Ok(json!({"TopicArn": created.physical_id}))
}

/// `Subscribe`: the same topic, protocol and endpoint twice give the same subscription.
pub async fn subscription(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let members = [
        "TopicArn",
        "Protocol",
        "Endpoint",
        "Attributes",
        "ReturnSubscriptionArn",
    ];
    only(call, "InvalidParameter", &members)?;
    let mut desired = Map::new();
    for (attribute, value) in attributes::given(call) {
        attributes::insert(&mut desired, attributes::SUBSCRIPTION, &attribute, &value)?;
    }
    for member in ["TopicArn", "Protocol", "Endpoint"] {
        desired.insert(member.into(), call.required(member)?.into());
    }
    let same = |s: &Record| {
        ["TopicArn", "Protocol", "Endpoint"]
            .iter()
            .all(|m| s.properties.get(*m) == desired.get(*m))
    };
    let arn = if let Some(existing) = SUBSCRIPTIONS.find(cx, same)? {
        existing.id
    } else {
        let created = cx.create_resource(Subscription::TYPE, Value::Object(desired)).await?;
        created.physical_id
    };
    let pending = SUBSCRIPTIONS.get(cx, &arn)?.is_some_and(|s| is_pending(&s));
    let shown = if pending && call.boolean("ReturnSubscriptionArn") != Some(true) {
        "pending confirmation".to_owned()
    } else {
        arn
    };
    Ok(json!({"SubscriptionArn": shown}))
}
