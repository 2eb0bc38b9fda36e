//! `AWS::SNS::Topic`, `AWS::SNS::TopicPolicy` and the operations on topics.

use serde_json::{Map, Value, json};

use super::{attributes, invalid, subscription};
use crate::records::{Record, RecordType, Records, texts};
use crate::service::Call;
use crate::service::input::only;
use crate::{AwsError, Context, Desired, Resource, Schema};

pub const TOPICS: Records = Records("sns.topics");
pub const POLICIES: Records = Records("sns.policies");

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
            return Err(invalid(format!("Topic Name '{name}'")));
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

/// `CreateTopic`: the same call twice returns the same topic.
pub async fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    only(call, "InvalidParameter", &["Name", "Attributes", "Tags"])?;
    let name = call.required("Name")?;
    let mut wanted = Map::new();
    let mut policy = None;
    for (attribute, value) in attributes::given(call) {
        match attribute.as_str() {
            "Policy" => policy = Some(value),
            _ => attributes::insert(&mut wanted, attributes::TOPIC, &attribute, &value)?,
        }
    }
    if let Some(existing) = TOPICS.get(cx, &cx.arn("sns", &name))? {
        let differs = |(name, value): (&String, &Value)| existing.properties.get(name) != Some(value);
        return if wanted.iter().any(differs) {
            Err(invalid(
                "Attributes Reason: Topic already exists with different attributes",
            ))
        } else {
            Ok(json!({"TopicArn": existing.id}))
        };
    }
    wanted.insert("TopicName".into(), name.into());
    wanted.insert("Tags".into(), call.list("Tags").into());
    let created = cx.create_resource(Topic::TYPE, Value::Object(wanted)).await?;
    if let Some(policy) = policy {
        attributes::set_policy(cx, &created.physical_id, &policy)?;
    }
    Ok(json!({"TopicArn": created.physical_id}))
}

/// `DeleteTopic`, which succeeds if there is no such topic.
pub async fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    cx.delete_resource(Topic::TYPE, &call.required("TopicArn")?).await?;
    Ok(json!({}))
}

pub fn find_topic(cx: &Context, arn: &str) -> Result<Record, AwsError> {
    let not_found = || AwsError::new("NotFound", format!("Topic does not exist: {arn}")).with_status(404);
    TOPICS.get(cx, arn)?.ok_or_else(not_found)
}
