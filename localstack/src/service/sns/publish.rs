//! `Publish` and `PublishBatch` to topics whose subscriptions are all unconfirmed, where AWS delivers nothing either. Texts of errors
//! are recorded on AWS (LocalStack's tests of SNS).

use std::collections::HashSet;

use serde_json::{Value, json};
use uuid::Uuid;

use super::invalid;
use super::model::find_topic;
use super::subscription::{is_pending, is_phone_number, of_topic};
use crate::records::{Record, scalar};
use crate::service::Call;
use crate::{AwsError, Context};

const MAX_MESSAGE: usize = 262_144;
const MAX_ENTRIES: usize = 10;

/// `Publish`.
///
/// # Errors
/// `NotImplemented` if a subscription, a telephone or a mobile endpoint would receive the message.
pub fn one(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    if let Some(number) = call.text("PhoneNumber") {
        if !number.starts_with('+') || !is_phone_number(&number) {
            return Err(invalid(format!(
                "PhoneNumber Reason: {number} is not valid to publish to"
            )));
        }
        return Err(AwsError::not_implemented("sns", "Publish to a phone number"));
    }
    let arn = call.text("TopicArn").or(call.text("TargetArn"));
    let arn = arn.ok_or_else(|| invalid("TopicArn or TargetArn Reason: no value for required parameter"))?;
    if arn.contains(":endpoint/") {
        return Err(invalid(
            "TargetArn Reason: No endpoint found for the target arn specified",
        ));
    }
    let topic = find_topic(cx, &arn)?;
    check(&topic, &call.input)?;
    check_receivers(cx, &topic)?;
    Ok(published(&topic))
}

/// `PublishBatch`.
///
/// # Errors
/// As for [`one`], and if the entries are none, too many, too long, or not distinct.
pub fn batch(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let topic = find_topic(cx, &call.required("TopicArn")?)?;
    let entries = call.list("PublishBatchRequestEntries");
    let error = |code: &str, message: &str| Err(AwsError::new(code, message));
    if entries.is_empty() {
        return error("EmptyBatchRequest", "The batch request doesn't contain any entries.");
    }
    if entries.len() > MAX_ENTRIES {
        return error(
            "TooManyEntriesInBatchRequest",
            "The batch request contains more entries than permissible.",
        );
    }
    let mut ids = HashSet::new();
    if !entries
        .iter()
        .all(|entry| ids.insert(entry["Id"].as_str().unwrap_or_default()))
    {
        return error(
            "BatchEntryIdsNotDistinct",
            "Two or more batch entries in the request have the same Id.",
        );
    }
    let length: usize = entries
        .iter()
        .map(|entry| entry["Message"].as_str().map_or(0, str::len))
        .sum();
    if length > MAX_MESSAGE {
        return error(
            "BatchRequestTooLong",
            "The length of all the messages put together is more than the limit.",
        );
    }
    entries.iter().try_for_each(|entry| check(&topic, entry))?;
    check_receivers(cx, &topic)?;
    let successful = entries.iter().map(|entry| {
        let mut shown = published(&topic);
        shown["Id"] = entry["Id"].clone();
        shown
    });
    Ok(json!({"Successful": successful.collect::<Vec<_>>(), "Failed": []}))
}

fn published(topic: &Record) -> Value {
    let mut shown = json!({"MessageId": Uuid::new_v4()});
    if topic.has("FifoTopic", "true") {
        shown["SequenceNumber"] = format!("{:020}", crate::records::now()).into();
    }
    shown
}

fn check_receivers(cx: &Context, topic: &Record) -> Result<(), AwsError> {
    let subscriptions = of_topic(cx, Some(&topic.id))?;
    let Some(receiver) = subscriptions.iter().find(|subscription| !is_pending(subscription)) else {
        return Ok(());
    };
    let protocol = receiver.text("Protocol").unwrap_or_default();
    let operation = format!("Publish to a subscription with the protocol {protocol}");
    Err(AwsError::not_implemented("sns", &operation))
}

/// Checks a message with its subject, its attributes and its ids.
fn check(topic: &Record, message: &Value) -> Result<(), AwsError> {
    let text = |member: &str| message.get(member).and_then(scalar);
    let body = text("Message").unwrap_or_default();
    if body.is_empty() {
        return Err(invalid("Empty message"));
    }
    if body.len() > MAX_MESSAGE {
        return Err(invalid("Message too long"));
    }
    let is_subject = |subject: &String| (1..=100).contains(&subject.chars().count()) && !subject.contains(['\n', '\r']);
    if text("Subject").is_some_and(|subject| !is_subject(&subject)) {
        return Err(invalid("Subject"));
    }
    if text("MessageStructure").as_deref() == Some("json") {
        let parts: Value = serde_json::from_str(&body)
            .map_err(|_| invalid("Message Structure - JSON message body failed to parse"))?;
        if !parts["default"].is_string() {
            return Err(invalid("Message Structure - No default entry in JSON message body"));
        }
    }
    let is_fifo = topic.has("FifoTopic", "true");
    if is_fifo && text("MessageGroupId").is_none() {
        return Err(invalid("The MessageGroupId parameter is required for FIFO topics"));
    }
    let has_deduplication = text("MessageDeduplicationId").is_some();
    if is_fifo && !has_deduplication && !topic.has("ContentBasedDeduplication", "true") {
        return Err(invalid(
            "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
        ));
    }
    if !is_fifo && has_deduplication {
        return Err(invalid(
            "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type",
        ));
    }
    let attributes = message.get("MessageAttributes").and_then(Value::as_object);
    let mut attributes = attributes.into_iter().flatten();
    attributes.try_for_each(|(name, attribute)| check_attribute(name, attribute))
}

fn check_attribute(name: &str, attribute: &Value) -> Result<(), AwsError> {
    let refuse = |message: String| Err(AwsError::new("ParameterValueInvalid", message));
    let kind = attribute["DataType"].as_str().unwrap_or_default();
    let base = kind.split('.').next().unwrap_or_default();
    let (field, member) = match base {
        "String" | "Number" => ("String", "StringValue"),
        "Binary" => ("Binary", "BinaryValue"),
        _ => {
            return refuse(format!(
                "The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String."
            ));
        }
    };
    let given = ["StringValue", "BinaryValue"].map(|member| attribute.get(member).and_then(scalar));
    match attribute.get(member).and_then(scalar) {
        Some(value) if !value.is_empty() => {}
        None if given.iter().flatten().any(|value| !value.is_empty()) => {
            return refuse(format!(
                "The message attribute '{name}' with type '{base}' must use field '{field}'."
            ));
        }
        _ => {
            return refuse(format!(
                "The message attribute '{name}' must contain non-empty message attribute value for message attribute type '{kind}'."
            ));
        }
    }
    if base == "Number"
        && attribute["StringValue"]
            .as_str()
            .is_some_and(|text| text.parse::<f64>().is_err())
    {
        return refuse(format!("Could not cast message attribute '{name}' value to number."));
    }
    Ok(())
}
