//! SNS: topics, their policies and subscriptions are stored. Nothing is delivered: a subscription that needs a confirmation
//! stays unconfirmed, and messages for any other are refused.

mod attributes;
mod create;
mod model;
mod permission;
mod publish;
mod subscription;
mod topic;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::input::retag;
use crate::records::{page, record_type, tags_of};
use crate::service::Call;
use crate::{AwsError, Context, ResourceType, Service};

use model::{TOPICS, find_topic};

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
            record_type::<topic::Topic>(),
            record_type::<topic::TopicPolicy>(),
            record_type::<subscription::Subscription>(),
        ]
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        match call.operation.as_str() {
            "CreateTopic" => create::topic(cx, &call).await,
            "DeleteTopic" => topic::delete(cx, &call).await,
            "GetTopicAttributes" => attributes::of_topic(cx, &call),
            "SetTopicAttributes" => attributes::set_of_topic(cx, &call).await,
            "Subscribe" => create::subscription(cx, &call).await,
            "Unsubscribe" => subscription::delete(cx, &call).await,
            "GetSubscriptionAttributes" => attributes::of_subscription(cx, &call),
            "SetSubscriptionAttributes" => attributes::set_of_subscription(cx, &call).await,
            "Publish" => publish::one(cx, &call),
            "PublishBatch" => publish::batch(cx, &call),
            "ConfirmSubscription" => {
                // No message is delivered here, so nobody has received a token.
                find_topic(cx, &call.required("TopicArn")?)?;
                Err(invalid("Token"))
            }
            "AddPermission" | "RemovePermission" => permission::change(cx, &call),
            "ListTagsForResource" => {
                let topic = topic_of_tags(cx, &call)?;
                Ok(json!({"Tags": TOPICS.get(cx, &topic)?.map(|topic| topic.tag_list())}))
            }
            "TagResource" | "UntagResource" => {
                let topic = topic_of_tags(cx, &call)?;
                check_number_of_tags(cx, &call, &topic)?;
                retag(cx, TOPICS, &topic, &call.input["Tags"], &call.input["TagKeys"])?;
                Ok(json!({}))
            }
            _ => list(cx, &call),
        }
    }
}

fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (member, found): (&str, Vec<Value>) = match call.operation.as_str() {
        "ListTopics" => {
            let topics = TOPICS.list(cx)?;
            ("Topics", topics.iter().map(|t| json!({"TopicArn": t.id})).collect())
        }
        "ListSubscriptions" => ("Subscriptions", subscription::list(cx, None)?),
        "ListSubscriptionsByTopic" => {
            let topic = find_topic(cx, &call.required("TopicArn")?)?;
            ("Subscriptions", subscription::list(cx, Some(&topic.id))?)
        }
        other => return Err(AwsError::not_implemented("sns", other)),
    };
    let (shown, next) = page(found, 100, call.text("NextToken").as_deref())?;
    let mut response = json!({member: shown});
    if let Some(token) = next {
        response["NextToken"] = token.into();
    }
    Ok(response)
}

/// Returns the ARN of the topic whose tags a call reads or changes.
fn topic_of_tags(cx: &Context, call: &Call) -> Result<String, AwsError> {
    let missing = |_| AwsError::new("ResourceNotFound", "Resource does not exist").with_status(404);
    let found = find_topic(cx, &call.required("ResourceArn")?).map_err(missing)?;
    Ok(found.id)
}

/// Refuses more than 50 tags of a topic (`TagResource`).
fn check_number_of_tags(cx: &Context, call: &Call, topic: &str) -> Result<(), AwsError> {
    let mut tags = TOPICS.get(cx, topic)?.unwrap_or_default().tags;
    tags.extend(tags_of(&call.input["Tags"]));
    if tags.len() > 50 {
        let message = "Could not complete request: tag quota of per resource exceeded";
        return Err(AwsError::new("TagLimitExceeded", message));
    }
    Ok(())
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
        let error = create(
            &cx,
            "AWS::SNS::Subscription",
            "Other",
            to("arn:aws:sns:us-east-1:000000000000:no"),
        )
        .await;
        assert_eq!(error_code(&error.unwrap_err()), Some("NotFound"));
        let input = json!({"TopicArn": topic.physical_id});
        let found = cx.call("sns", "ListSubscriptionsByTopic", input).await.unwrap();
        assert_eq!(found["Subscriptions"][0]["Endpoint"], "a@example.org");
        assert_eq!(found["Subscriptions"][0]["SubscriptionArn"], "PendingConfirmation");
    }

    #[tokio::test]
    async fn the_subscriptions_of_a_topic_follow_its_template() {
        let (cx, _folder) = context_with(vec![service()]);
        let to = |endpoint: &str| json!({"Subscription": [{"Protocol": "email", "Endpoint": endpoint}]});
        let topic = create(&cx, "AWS::SNS::Topic", "Alarms", to("a@example.org"))
            .await
            .unwrap();
        let endpoints = async || {
            let found = cx.call("sns", "ListSubscriptions", json!({})).await.unwrap();
            let found = found["Subscriptions"].as_array().unwrap().clone();
            found
                .iter()
                .map(|s| s["Endpoint"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(endpoints().await, ["a@example.org"]);
        let of_type = cx.resource_type("AWS::SNS::Topic").unwrap();
        let desired = crate::service::testing::desired("Alarms", to("b@example.org"));
        of_type
            .update(&cx, &topic.physical_id, &Value::Null, &desired)
            .await
            .unwrap();
        assert_eq!(endpoints().await, ["b@example.org"]);
    }

    #[tokio::test]
    async fn a_topic_of_the_api_is_read_back_and_a_fifo_topic_needs_its_suffix() {
        let (cx, _folder) = context_with(vec![service()]);
        let call = async |operation: &'static str, input: Value| cx.call("sns", operation, input).await;
        let desired =
            json!({"Name": "t", "Attributes": {"DisplayName": "shown"}, "Tags": [{"Key": "a", "Value": "b"}]});
        let arn = call("CreateTopic", desired.clone()).await.unwrap()["TopicArn"].clone();
        assert_eq!(call("CreateTopic", desired).await.unwrap()["TopicArn"], arn);
        let other = json!({"Name": "t", "Attributes": {"DisplayName": "other"}});
        for (operation, input, code) in [
            ("CreateTopic", other, "InvalidParameter"),
            (
                "CreateTopic",
                json!({"Name": "f", "Attributes": {"FifoTopic": "true"}}),
                "InvalidParameter",
            ),
            ("CreateTopic", json!({"Name": "f.fifo"}), "InvalidParameter"),
            (
                "GetTopicAttributes",
                json!({"TopicArn": "arn:aws:sns:us-east-1:000000000000:no"}),
                "NotFound",
            ),
            (
                "ListTagsForResource",
                json!({"ResourceArn": "arn:no"}),
                "ResourceNotFound",
            ),
        ] {
            assert_eq!(call(operation, input).await.unwrap_err().code, code, "{operation}");
        }
        let set = json!({"TopicArn": arn, "AttributeName": "DisplayName", "AttributeValue": "new"});
        call("SetTopicAttributes", set).await.unwrap();
        call("UntagResource", json!({"ResourceArn": arn, "TagKeys": ["a"]}))
            .await
            .unwrap();
        let subscription =
            json!({"TopicArn": arn, "Protocol": "email", "Endpoint": "a@example.org", "ReturnSubscriptionArn": "true"});
        let subscription = call("Subscribe", subscription).await.unwrap()["SubscriptionArn"].clone();
        let raw =
            json!({"SubscriptionArn": subscription, "AttributeName": "RawMessageDelivery", "AttributeValue": "true"});
        call("SetSubscriptionAttributes", raw).await.unwrap();
        let shown = call("GetSubscriptionAttributes", json!({"SubscriptionArn": subscription}))
            .await
            .unwrap();
        assert_eq!(shown["Attributes"]["RawMessageDelivery"], "true");
        assert_eq!(shown["Attributes"]["PendingConfirmation"], "true");
        let shown = call("GetTopicAttributes", json!({"TopicArn": arn})).await.unwrap();
        assert_eq!(shown["Attributes"]["DisplayName"], "new");
        assert_eq!(shown["Attributes"]["SubscriptionsPending"], "1");
        let tags = call("ListTagsForResource", json!({"ResourceArn": arn})).await.unwrap();
        assert_eq!(tags["Tags"], json!([]));
        assert!(call("Publish", json!({"TopicArn": arn, "Message": "x"})).await.unwrap()["MessageId"].is_string());
        call("DeleteTopic", json!({"TopicArn": arn})).await.unwrap();
        assert_eq!(
            call("ListSubscriptions", json!({})).await.unwrap()["Subscriptions"],
            json!([])
        );
    }
    #[tokio::test]
    async fn a_batch_is_checked_and_permissions_are_statements_of_the_policy() {
        let (cx, _folder) = context_with(vec![service()]);
        let call = async |operation: &'static str, input: Value| cx.call("sns", operation, input).await;
        let fifo = json!({"Name": "t.fifo", "Attributes": {"FifoTopic": "true", "ContentBasedDeduplication": "true"}});
        let arn = call("CreateTopic", fifo).await.unwrap()["TopicArn"].clone();
        let entry = |id: &str, group: &str| json!({"Id": id, "Message": "m", "MessageGroupId": group});
        let batch = |entries: Value| json!({"TopicArn": arn, "PublishBatchRequestEntries": entries});
        for (entries, code) in [
            (json!([entry("a", "g"), entry("a", "g")]), "BatchEntryIdsNotDistinct"),
            (json!([{"Id": "a", "Message": "m"}]), "InvalidParameter"),
            (json!([]), "EmptyBatchRequest"),
        ] {
            assert_eq!(call("PublishBatch", batch(entries)).await.unwrap_err().code, code);
        }
        let sent = call("PublishBatch", batch(json!([entry("a", "g")]))).await.unwrap();
        assert_eq!(sent["Successful"][0]["Id"], "a");

        let statements = async || {
            let shown = call("GetTopicAttributes", json!({"TopicArn": arn})).await.unwrap();
            let policy = shown["Attributes"]["Policy"].as_str().unwrap().to_owned();
            serde_json::from_str::<Value>(&policy).unwrap()["Statement"].clone()
        };
        let add = json!({"TopicArn": arn, "Label": "l", "AWSAccountId": ["1"], "ActionName": ["Publish"]});
        call("AddPermission", add.clone()).await.unwrap();
        assert_eq!(statements().await[1]["Action"], "SNS:Publish");
        assert_eq!(
            call("AddPermission", add.clone()).await.unwrap_err().code,
            "InvalidParameter"
        );
        call("RemovePermission", json!({"TopicArn": arn, "Label": "l"}))
            .await
            .unwrap();
        assert_eq!(statements().await.as_array().unwrap().len(), 1);
    }
}
