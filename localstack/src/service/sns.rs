//! SNS: topics, their policies and subscriptions are stored. Nothing is delivered, since no alarm fires here.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::records::{Record, RecordType, Records, page, record_type, texts};
use crate::service::Call;
use crate::{AwsError, Context, Desired, Resource, ResourceType, Schema, Service};

const TOPICS: Records = Records("sns.topics");
const POLICIES: Records = Records("sns.policies");
const SUBSCRIPTIONS: Records = Records("sns.subscriptions");

pub fn service() -> Arc<dyn Service> {
    Arc::new(Sns)
}

struct Sns;

#[async_trait]
impl Service for Sns {
    fn name(&self) -> &'static str {
        "sns"
    }

    fn types(&self) -> Vec<Arc<dyn ResourceType>> {
        vec![
            record_type::<Topic>(),
            record_type::<TopicPolicy>(),
            record_type::<Subscription>(),
        ]
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        let token = call.text("NextToken");
        let (member, found): (&str, Vec<Value>) = match call.operation.as_str() {
            "ListTopics" => {
                let topics = TOPICS.list(cx)?;
                ("Topics", topics.iter().map(|t| json!({"TopicArn": t.id})).collect())
            }
            "ListSubscriptions" => ("Subscriptions", subscriptions(cx, None)?),
            "ListSubscriptionsByTopic" => {
                let topic = find_topic(cx, &call.required("TopicArn")?)?;
                ("Subscriptions", subscriptions(cx, Some(&topic.id))?)
            }
            other => return Err(AwsError::not_implemented("sns", other)),
        };
        let (shown, next) = page(found, 100, token.as_deref())?;
        let mut response = json!({member: shown});
        if let Some(token) = next {
            response["NextToken"] = token.into();
        }
        Ok(response)
    }
}

struct Topic;

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
        let name = record.text("TopicName").unwrap_or_else(|| desired.generated_name(256));
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > 256 || !name.chars().all(allowed) {
            return Err(invalid(format!("Topic Name '{name}'")));
        }
        record.id = cx.arn("sns", &name);
        if TOPICS.get(cx, &record.id)?.is_some() {
            return Err(invalid(format!(
                "Topic already exists with different attributes: {name}"
            )));
        }
        record.computed.insert("Name".into(), name.into());
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id)
            .with("TopicArn", record.id.clone())
            .with("TopicName", record.computed("Name").unwrap_or_default())
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        for subscription in SUBSCRIPTIONS.list(cx)? {
            if subscription.has("TopicArn", &record.id) {
                SUBSCRIPTIONS.delete(cx, &subscription.id)?;
            }
        }
        Ok(())
    }
}

struct TopicPolicy;

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

fn check_policy(cx: &Context, record: &Record) -> Result<(), AwsError> {
    for topic in texts(record.properties.get("Topics")) {
        find_topic(cx, &topic)?;
    }
    match record.properties.get("PolicyDocument").and_then(|d| d.get("Statement")) {
        Some(Value::Array(statements)) if !statements.is_empty() => Ok(()),
        _ => Err(invalid("Policy: it has no statements")),
    }
}

struct Subscription;

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
        let mut record = Record::new("", desired);
        let topic = find_topic(cx, &record.text("TopicArn").unwrap_or_default())?;
        let protocol = record.text("Protocol").unwrap_or_default();
        if !PROTOCOLS.contains(&protocol.as_str()) {
            return Err(invalid(format!("Does not support this protocol string: {protocol}")));
        }
        record.id = format!("{}:{}", topic.id, Uuid::new_v4());
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Arn", record.id.clone())
    }
}

/// Describes the subscriptions of all topics or of one. Each counts as confirmed, since no confirmation is sent.
fn subscriptions(cx: &Context, topic: Option<&str>) -> Result<Vec<Value>, AwsError> {
    let mut found = SUBSCRIPTIONS.list(cx)?;
    found.retain(|s| topic.is_none_or(|topic| s.has("TopicArn", topic)));
    let shown = found.iter().map(|s| {
        json!({
            "SubscriptionArn": s.id, "Owner": cx.account(), "Protocol": s.text("Protocol"),
            "Endpoint": s.text("Endpoint"), "TopicArn": s.text("TopicArn"),
        })
    });
    Ok(shown.collect())
}

fn find_topic(cx: &Context, arn: &str) -> Result<Record, AwsError> {
    let not_found = || AwsError::new("NotFound", format!("Topic does not exist: {arn}")).with_status(404);
    TOPICS.get(cx, arn)?.ok_or_else(not_found)
}

fn invalid(what: impl AsRef<str>) -> AwsError {
    AwsError::new("InvalidParameter", format!("Invalid parameter: {}", what.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::{context_with, create, error_code};

    #[tokio::test]
    async fn a_subscription_needs_an_existing_topic() {
        let (cx, _folder) = context_with(vec![service()]);
        let topic = create(&cx, "AWS::SNS::Topic", "Alarms", json!({})).await.unwrap();
        let to = |topic: &str| json!({"TopicArn": topic, "Protocol": "email", "Endpoint": "a@example.org"});
        let created = create(&cx, "AWS::SNS::Subscription", "Email", to(&topic.physical_id)).await;
        assert!(created.unwrap().physical_id.starts_with(&topic.physical_id));
        let error = create(&cx, "AWS::SNS::Subscription", "Other", to("arn:no")).await;
        assert_eq!(error_code(&error.unwrap_err()), Some("NotFound"));
        let call = |operation: &str, input: Value| Call {
            operation: operation.into(),
            input,
            region: "us-east-1".into(),
        };
        let found = Sns
            .call(
                &cx,
                call("ListSubscriptionsByTopic", json!({"TopicArn": topic.physical_id})),
            )
            .await
            .unwrap();
        assert_eq!(found["Subscriptions"][0]["Endpoint"], "a@example.org");
    }
}
