//! `AWS::SNS::Topic`, `AWS::SNS::TopicPolicy` and the operations on topics.

use serde_json::{Value, json};

use super::model::{POLICIES, TOPICS, find_topic};
use super::{invalid, subscription};
use crate::records::{Record, RecordType, Records, texts};
use crate::service::Call;
use crate::{AwsError, Context, Desired, Resource, Schema};

pub struct Topic;

impl RecordType for Topic {
    const TYPE: &'static str = "AWS::SNS::Topic";
    const RECORDS: Records = TOPICS;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "ArchivePolicy",
                "ContentBasedDeduplication",
                "DataProtectionPolicy",
                "DeliveryStatusLogging",
                "DisplayName",
                "FifoThroughputScope",
                "FifoTopic",
                "KmsMasterKeyId",
                "SignatureVersion",
                "Subscription",
                "Tags",
                "TopicName",
                "TracingConfig",
            ],
            create_only: &["TopicName", "FifoTopic"],
            attributes: &["TopicArn", "TopicName"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        let fifo = record.has("FifoTopic", "true");
        let generated = || {
            if fifo {
                desired.generated_name(251) + ".fifo"
            } else {
                desired.generated_name(256)
            }
        };
        let name = record.text("TopicName").unwrap_or_else(generated);
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        // The names of FIFO topics, and only theirs, end with `.fifo` (`CreateTopic`, `Name`).
        let stem = if fifo { name.strip_suffix(".fifo") } else { Some(&*name) };
        if !stem.is_some_and(|stem| !stem.is_empty() && name.len() <= 256 && stem.chars().all(allowed)) {
            return Err(invalid("Topic Name"));
        }
        record.id = cx.arn("sns", &name);
        if TOPICS.get(cx, &record.id)?.is_some() {
            return Err(invalid(format!(
                "Topic already exists with different attributes: {name}"
            )));
        }
        record.computed.insert("Name".into(), name.into());
        subscription::declare(cx, &record)?;
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id)
            .with("TopicArn", record.id.clone())
            .with("TopicName", record.computed("Name").unwrap_or_default())
    }

    fn update(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        subscription::declare(cx, record)
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        POLICIES.delete(cx, &record.id)?;
        subscription::delete_all(cx, &record.id)
    }
}

pub struct TopicPolicy;

impl RecordType for TopicPolicy {
    const TYPE: &'static str = "AWS::SNS::TopicPolicy";
    const RECORDS: Records = POLICIES;

    fn schema() -> Schema {
        Schema {
            properties: &["PolicyDocument", "Topics"],
            required: &["PolicyDocument", "Topics"],
            attributes: &["Id"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let record = Record::new(desired.generated_name(128), desired);
        check_policy(cx, &record)?;
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Id", record.id.clone())
    }

    fn update(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        check_policy(cx, record)
    }
}

pub fn check_policy(cx: &Context, record: &Record) -> Result<(), AwsError> {
    for topic in texts(record.properties.get("Topics")) {
        find_topic(cx, &topic)?;
    }
    match record.properties.get("PolicyDocument").and_then(|d| d.get("Statement")) {
        Some(Value::Array(statements)) if !statements.is_empty() => Ok(()),
        _ => Err(invalid("Policy: it has no statements")),
    }
}

/// `DeleteTopic`, which succeeds if there is no such topic.
pub async fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    cx.delete_resource(Topic::TYPE, &call.required("TopicArn")?).await?;
    Ok(json!({}))
}
