//! Attributes of topics and subscriptions: texts in the API, properties in a template.

use serde_json::{Map, Value, json};

use super::invalid;
use super::model::{POLICIES, find_topic};
use super::subscription::{self, Subscription, is_pending};
use super::topic::{Topic, check_policy};
use crate::records::{Record, RecordType, WriteLock, scalar, tags_of, texts};
use crate::service::Call;
use crate::{AwsError, Context};

/// The attributes that callers may set, which have the names of the properties; true for those that are JSON.
pub type Attributes = &'static [(&'static str, bool)];

pub const TOPIC: Attributes = &[
    ("DisplayName", false),
    ("KmsMasterKeyId", false),
    ("FifoTopic", false),
    ("ContentBasedDeduplication", false),
    ("FifoThroughputScope", false),
    ("SignatureVersion", false),
    ("TracingConfig", false),
    ("ArchivePolicy", true),
    ("DeliveryPolicy", true),
];
pub const SUBSCRIPTION: Attributes = &[
    ("DeliveryPolicy", true),
    ("FilterPolicy", true),
    ("FilterPolicyScope", false),
    ("RawMessageDelivery", false),
    ("RedrivePolicy", true),
    ("ReplayPolicy", true),
    ("SubscriptionRoleArn", false),
];

/// Returns the member `Attributes` of a call.
pub fn given(call: &Call) -> impl Iterator<Item = (String, String)> {
    tags_of(&call.input["Attributes"]).into_iter()
}

/// Sets the property of an attribute; an empty text removes it.
pub fn insert(properties: &mut Map<String, Value>, known: Attributes, name: &str, text: &str) -> Result<(), AwsError> {
    // Terraform's provider sends the default rate for each protocol; no delivery is logged without a role.
    if name.ends_with("SuccessFeedbackSampleRate") && text == "0" {
        return Ok(());
    }
    let Some((name, is_json)) = known.iter().find(|(known, _)| *known == name) else {
        let reason = format!("AttributeName Reason: the embedded endpoint does not support the attribute {name}");
        return Err(invalid(reason));
    };
    let value = match (text, is_json) {
        ("", _) => {
            properties.shift_remove(*name);
            return Ok(());
        }
        (text, true) => serde_json::from_str(text).map_err(|_| invalid(format!("{name}: failed to parse JSON")))?,
        ("true", false) => true.into(),
        ("false", false) => false.into(),
        (text, false) => text.into(),
    };
    properties.insert((*name).to_owned(), value);
    Ok(())
}

/// Adds the attributes that are set.
fn show(shown: &mut Value, record: &Record, known: Attributes) {
    for (name, _) in known {
        if let Some(value) = record.properties.get(*name) {
            shown[*name] = scalar(value).unwrap_or_else(|| value.to_string()).into();
        }
    }
}

pub fn of_topic(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let topic = find_topic(cx, &call.required("TopicArn")?)?;
    let subscriptions = subscription::of_topic(cx, Some(&topic.id))?;
    let pending = subscriptions.iter().filter(|s| is_pending(s)).count();
    let mut shown = json!({
        "TopicArn": topic.id, "Owner": cx.account(), "Policy": policy(cx, &topic)?, "DisplayName": "",
        "SubscriptionsConfirmed": (subscriptions.len() - pending).to_string(),
        "SubscriptionsPending": pending.to_string(), "SubscriptionsDeleted": "0",
    });
    show(&mut shown, &topic, TOPIC);
    if topic.has("FifoTopic", "true") {
        shown["ContentBasedDeduplication"] = topic.has("ContentBasedDeduplication", "true").to_string().into();
    } else if let Some(shown) = shown.as_object_mut() {
        shown.shift_remove("FifoTopic");
        shown.shift_remove("ContentBasedDeduplication");
    }
    shown["EffectiveDeliveryPolicy"] = effective_delivery_policy(&topic).to_string().into();
    Ok(json!({"Attributes": shown}))
}

/// Returns the delivery policy of a topic: the default of AWS with its own values.
fn effective_delivery_policy(topic: &Record) -> Value {
    let mut policy = json!({"http": {
        "defaultHealthyRetryPolicy": {
            "minDelayTarget": 20, "maxDelayTarget": 20, "numRetries": 3, "numMaxDelayRetries": 0, "numNoDelayRetries": 0,
            "numMinDelayRetries": 0, "backoffFunction": "linear",
        },
        "disableSubscriptionOverrides": false,
        "defaultRequestPolicy": {"headerContentType": "text/plain; charset=UTF-8"},
    }});
    let own = topic
        .properties
        .get("DeliveryPolicy")
        .and_then(|policy| policy["http"].as_object());
    for (member, value) in own.into_iter().flatten() {
        match (&mut policy["http"][member], value.as_object()) {
            (Value::Object(default), Some(value)) => default.extend(value.clone()),
            (default, _) => *default = value.clone(),
        }
    }
    policy
}

pub async fn set_of_topic(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let topic = find_topic(cx, &call.required("TopicArn")?)?.id;
    let (name, text) = (
        call.required("AttributeName")?,
        call.text("AttributeValue").unwrap_or_default(),
    );
    match name.as_str() {
        "Policy" => set_policy(cx, &topic, &text)?,
        "FifoTopic" => return Err(invalid("AttributeName: FifoTopic cannot be changed")),
        _ => {
            let set = |properties: &mut Map<String, Value>| insert(properties, TOPIC, &name, &text);
            cx.update_resource(Topic::TYPE, &topic, set).await?;
        }
    }
    Ok(json!({}))
}

pub fn of_subscription(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let found = subscription::find(cx, &call.required("SubscriptionArn")?)?;
    let pending = is_pending(&found);
    let mut shown = json!({
        "SubscriptionArn": found.id, "TopicArn": found.text("TopicArn"), "Protocol": found.text("Protocol"),
        "Endpoint": found.text("Endpoint"), "Owner": cx.account(), "PendingConfirmation": pending.to_string(),
        "ConfirmationWasAuthenticated": (!pending).to_string(), "RawMessageDelivery": "false",
    });
    show(&mut shown, &found, SUBSCRIPTION);
    Ok(json!({"Attributes": shown}))
}

pub async fn set_of_subscription(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let found = subscription::find(cx, &call.required("SubscriptionArn")?)?;
    let (name, text) = (
        call.required("AttributeName")?,
        call.text("AttributeValue").unwrap_or_default(),
    );
    let set = |properties: &mut Map<String, Value>| insert(properties, SUBSCRIPTION, &name, &text);
    cx.update_resource(Subscription::TYPE, &found.id, set).await?;
    Ok(json!({}))
}

/// Sets the policy of one topic; an empty text restores the default.
pub fn set_policy(cx: &Context, topic: &str, text: &str) -> Result<(), AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    if text.is_empty() {
        return POLICIES.delete(cx, topic).map(drop);
    }
    let document: Value = serde_json::from_str(text).map_err(|_| invalid("Policy: failed to parse JSON"))?;
    let record = Record::from_properties(topic, json!({"PolicyDocument": document, "Topics": [topic]}));
    check_policy(cx, &record)?;
    POLICIES.put(cx, &record)
}

/// The actions that a topic's policy may allow.
pub const ACTIONS: [&str; 8] = [
    "GetTopicAttributes",
    "SetTopicAttributes",
    "AddPermission",
    "RemovePermission",
    "DeleteTopic",
    "Subscribe",
    "ListSubscriptionsByTopic",
    "Publish",
];

/// Returns the newest policy that names the topic, or the default policy.
pub fn policy(cx: &Context, topic: &Record) -> Result<String, AwsError> {
    let mut found = POLICIES.list(cx)?;
    found.retain(|policy| texts(policy.properties.get("Topics")).contains(&topic.id));
    let newest = found.iter().max_by_key(|policy| policy.created);
    if let Some(document) = newest.and_then(|policy| policy.properties.get("PolicyDocument")) {
        return Ok(document.to_string());
    }
    Ok(
        json!({"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [{
            "Effect": "Allow", "Sid": "__default_statement_ID", "Principal": {"AWS": "*"},
            "Action": ACTIONS.map(|action| format!("SNS:{action}")), "Resource": topic.id,
            "Condition": {"StringEquals": {"AWS:SourceOwner": cx.account()}},
        }]})
        .to_string(),
    )
}
