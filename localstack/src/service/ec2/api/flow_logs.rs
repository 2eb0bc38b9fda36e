//! Flow logs.

use serde_json::{Value, json};

use super::super::error::invalid_parameter;
use super::super::flow_log::FlowLog;
use super::super::model::FLOW_LOGS;
use super::input;
use crate::records::RecordType;
use crate::service::Call;
use crate::{AwsError, Context};

const MEMBERS: [&str; 9] = [
    "ResourceType",
    "TrafficType",
    "LogDestinationType",
    "LogDestination",
    "LogGroupName",
    "DeliverLogsPermissionArn",
    "LogFormat",
    "MaxAggregationInterval",
    "ResourceIds",
];

/// Creates a flow log for each resource; `Unsuccessful` has the resources for which that fails.
pub async fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut properties = input::properties(call, "vpc-flow-log", &MEMBERS, &[])?;
    properties.shift_remove("ResourceIds");
    check(call)?;
    let (mut created, mut unsuccessful) = (Vec::new(), Vec::new());
    for id in call.texts("ResourceIds") {
        let missing = match call
            .text("LogDestination")
            .filter(|_| call.text("LogDestinationType").as_deref() == Some("s3"))
        {
            Some(destination) => missing_bucket(cx, &destination).await,
            None => None,
        };
        if let Some(bucket) = missing {
            let message = format!("LogDestination: {bucket} does not exist.");
            unsuccessful.push(json!({"ResourceId": id, "Error": {"Code": "400", "Message": message}}));
            continue;
        }
        let mut properties = properties.clone();
        properties.insert("ResourceId".into(), id.clone().into());
        created.push(cx.create_resource(FlowLog::TYPE, properties.into()).await?.physical_id);
    }
    Ok(json!({"FlowLogIds": created, "Unsuccessful": unsuccessful, "ClientToken": call.text("ClientToken")}))
}

/// Checks the destination (EC2 API Reference, `CreateFlowLogs`).
fn check(call: &Call) -> Result<(), AwsError> {
    let given = |member: &str| call.text(member).filter(|text| !text.is_empty());
    let kind = given("LogDestinationType").unwrap_or_else(|| "cloud-watch-logs".into());
    let (group, destination) = (given("LogGroupName"), given("LogDestination"));
    let reason = if given("MaxAggregationInterval").is_some_and(|interval| !["60", "600"].contains(&interval.as_str()))
    {
        "Invalid Flow Log Max Aggregation Interval"
    } else if group.is_none() && destination.is_none() {
        "LogDestination can't be empty if LogGroupName is not provided."
    } else if group.is_some() && kind != "cloud-watch-logs" {
        "LogDestination type must be cloud-watch-logs if LogGroupName is provided."
    } else if kind == "cloud-watch-logs" && given("DeliverLogsPermissionArn").is_none() {
        "DeliverLogsPermissionArn can't be empty if LogDestinationType is cloud-watch-logs."
    } else if !["cloud-watch-logs", "s3"].contains(&kind.as_str()) {
        return Err(invalid_parameter(format!(
            "The embedded endpoint does not support the LogDestinationType {kind}."
        )));
    } else {
        return Ok(());
    };
    Err(AwsError::new("InvalidParameter", reason))
}

/// Returns the name of a bucket that does not exist.
async fn missing_bucket(cx: &Context, destination: &str) -> Option<String> {
    let bucket = destination.rsplit(":::").next().unwrap_or_default();
    let bucket = bucket.split('/').next().unwrap_or_default().to_owned();
    let known = cx.resource_type("AWS::S3::Bucket")?;
    match known.read(cx, &bucket).await {
        Ok(Some(_)) => None,
        _ => Some(bucket),
    }
}

/// Deletes flow logs: all of them, or none if one does not exist.
pub async fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let ids = call.texts("FlowLogIds");
    let mut missing = Vec::new();
    for id in &ids {
        if FLOW_LOGS.get(cx, id)?.is_none() {
            missing.push(id.clone());
        }
    }
    if !missing.is_empty() {
        let (count, list) = (missing.len(), missing.join(" "));
        let reason = format!("These flow log ids in the input list are not found: [TotalCount: {count}] {list}");
        return Err(AwsError::new("InvalidFlowLogId.NotFound", reason));
    }
    for id in ids {
        cx.delete_resource(FlowLog::TYPE, &id).await?;
    }
    Ok(json!({"Unsuccessful": []}))
}
