//! `AWS::SNS::Subscription`, the subscriptions that a topic declares, and the operations on them.

use serde_json::{Value, json};
use uuid::Uuid;

use super::invalid;
use super::model::{SUBSCRIPTIONS, find_topic};
use crate::records::{Record, RecordType, Records};
use crate::service::Call;
use crate::{AwsError, Context, Desired, Resource, Schema};

/// The computed value of a subscription that its topic declares.
const DECLARED: &str = "DeclaredByTopic";
const PROTOCOLS: [&str; 9] = [
    "http",
    "https",
    "email",
    "email-json",
    "sms",
    "sqs",
    "application",
    "lambda",
    "firehose",
];
/// The protocols whose endpoints confirm a subscription, which none does here.
const CONFIRMED_BY_ENDPOINT: [&str; 4] = ["http", "https", "email", "email-json"];

pub struct Subscription;

impl RecordType for Subscription {
    const TYPE: &'static str = "AWS::SNS::Subscription";
    const RECORDS: Records = SUBSCRIPTIONS;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "DeliveryPolicy",
                "Endpoint",
                "FilterPolicy",
                "FilterPolicyScope",
                "Protocol",
                "RawMessageDelivery",
                "RedrivePolicy",
                "Region",
                "ReplayPolicy",
                "SubscriptionRoleArn",
                "TopicArn",
            ],
            required: &["Protocol", "TopicArn"],
            create_only: &["Endpoint", "Protocol", "TopicArn"],
            attributes: &["Arn"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let record = Record::new("", desired);
        let topic = find_topic(cx, &record.text("TopicArn").unwrap_or_default())?;
        checked(&topic.id, record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Arn", record.id.clone())
    }
}

fn checked(topic: &str, mut record: Record) -> Result<Record, AwsError> {
    let protocol = record.text("Protocol").unwrap_or_default();
    if !PROTOCOLS.contains(&protocol.as_str()) {
        return Err(invalid(format!("Does not support this protocol string: {protocol}")));
    }
    let endpoint = record.text("Endpoint").unwrap_or_default();
    if protocol == "sms" && !is_phone_number(&endpoint) {
        let message = format!("Invalid SMS endpoint: {endpoint}");
        return Err(AwsError::new("InvalidParameter", message));
    }
    if protocol == "sqs" && !endpoint.starts_with("arn:") {
        return Err(invalid("SQS endpoint ARN"));
    }
    record.id = format!("{topic}:{}", Uuid::new_v4());
    Ok(record)
}

/// Returns true for a number in the form E.164, in which hyphens, dots, slashes and spaces may separate digits.
pub fn is_phone_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let is_separator = |c: char| "-. /".contains(c);
    let count = digits.chars().filter(char::is_ascii_digit).count();
    (1..=15).contains(&count)
        && digits.chars().all(|c| c.is_ascii_digit() || is_separator(c))
        && digits.split(is_separator).all(|part| !part.is_empty())
}

/// Makes the declared subscriptions of a topic those of its property `Subscription`.
pub fn declare(cx: &Context, topic: &Record) -> Result<(), AwsError> {
    let declared = topic.properties.get("Subscription").and_then(Value::as_array);
    let mut desired = Vec::new();
    for one in declared.into_iter().flatten() {
        let mut record = Record::from_properties("", one.clone());
        record.properties.insert("TopicArn".into(), topic.id.clone().into());
        record.computed.insert(DECLARED.into(), true.into());
        desired.push(checked(&topic.id, record)?);
    }
    for existing in of_topic(cx, Some(&topic.id))? {
        match desired.iter().position(|one| one.properties == existing.properties) {
            Some(position) => drop(desired.remove(position)),
            None if existing.computed(DECLARED).is_some() => drop(SUBSCRIPTIONS.delete(cx, &existing.id)?),
            None => {}
        }
    }
    desired.iter().try_for_each(|record| SUBSCRIPTIONS.put(cx, record))
}

/// Deletes the subscriptions of a topic that is being deleted.
pub fn delete_all(cx: &Context, topic: &str) -> Result<(), AwsError> {
    for subscription in of_topic(cx, Some(topic))? {
        SUBSCRIPTIONS.delete(cx, &subscription.id)?;
    }
    Ok(())
}

pub fn of_topic(cx: &Context, topic: Option<&str>) -> Result<Vec<Record>, AwsError> {
    let mut found = SUBSCRIPTIONS.list(cx)?;
    found.retain(|s| topic.is_none_or(|topic| s.has("TopicArn", topic)));
    Ok(found)
}

/// Returns true if the endpoint of a subscription has not confirmed it.
pub fn is_pending(subscription: &Record) -> bool {
    let protocol = subscription.text("Protocol").unwrap_or_default();
    CONFIRMED_BY_ENDPOINT.contains(&protocol.as_str())
}

/// Describes the subscriptions of all topics or of one.
pub fn list(cx: &Context, topic: Option<&str>) -> Result<Vec<Value>, AwsError> {
    let found = of_topic(cx, topic)?;
    let shown = found.iter().map(|s| {
        json!({
            "SubscriptionArn": if is_pending(s) { "PendingConfirmation" } else { &s.id },
            "Owner": cx.account(), "Protocol": s.text("Protocol"),
            "Endpoint": s.text("Endpoint"), "TopicArn": s.text("TopicArn"),
        })
    });
    Ok(shown.collect())
}

/// `Unsubscribe`, which succeeds if there is no such subscription.
pub async fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let arn = call.required("SubscriptionArn")?;
    cx.delete_resource(Subscription::TYPE, &arn).await?;
    Ok(json!({}))
}

pub fn find(cx: &Context, arn: &str) -> Result<Record, AwsError> {
    let missing = || AwsError::new("NotFound", "Subscription does not exist").with_status(404);
    SUBSCRIPTIONS.get(cx, arn)?.ok_or_else(missing)
}
