//! `AWS::EC2::FlowLog`: stored only. The endpoint sees no packets that it could log.

use serde_json::{Value, json};

use super::error::{invalid_parameter, required};
use super::model::{self, FLOW_LOGS, new_id};
use crate::records::{Record, RecordType, Records, iso};
use crate::{AwsError, Context, Desired, Resource, Schema};

/// The fields of a flow log without `LogFormat` (Amazon VPC User Guide, "Flow log records").
const DEFAULT_FORMAT: &str = "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} \
                              ${packets} ${bytes} ${start} ${end} ${action} ${log-status}";

pub struct FlowLog;

impl RecordType for FlowLog {
    const TYPE: &'static str = "AWS::EC2::FlowLog";
    const RECORDS: Records = FLOW_LOGS;

    fn schema() -> Schema {
        const PROPERTIES: &[&str] = &[
            "ResourceId",
            "ResourceType",
            "TrafficType",
            "LogDestination",
            "LogDestinationType",
            "LogGroupName",
            "LogFormat",
            "DeliverLogsPermissionArn",
            "DeliverCrossAccountRole",
            "DestinationOptions",
            "MaxAggregationInterval",
            "Tags",
        ];
        Schema {
            properties: PROPERTIES,
            required: &["ResourceId", "ResourceType"],
            // Everything except the tags, which are last.
            create_only: PROPERTIES.split_last().map_or(&[], |(_, rest)| rest),
            attributes: &["Id"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let record = Record::new(new_id("fl"), desired);
        let id = required(&record, "ResourceId")?;
        match required(&record, "ResourceType")?.as_str() {
            "VPC" => model::vpc(cx, &id)?,
            "Subnet" => model::subnet(cx, &id)?,
            other => {
                return Err(invalid_parameter(format!(
                    "The embedded endpoint supports flow logs of VPC and Subnet only, not {other}."
                )));
            }
        };
        let same = |other: &Record| {
            [
                "ResourceId",
                "TrafficType",
                "LogDestination",
                "LogDestinationType",
                "LogGroupName",
            ]
            .iter()
            .all(|property| other.text(property) == record.text(property))
        };
        if FLOW_LOGS.find(cx, same)?.is_some() {
            let reason = "Error. There is an existing Flow Log with the same configuration and log destination.";
            return Err(AwsError::new("FlowLogAlreadyExists", reason));
        }
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Id", record.id.clone())
    }
}

pub fn describe(cx: &Context) -> Result<Vec<Value>, AwsError> {
    let shown = |log: &Record| {
        json!({
            "FlowLogId": log.id, "FlowLogStatus": "ACTIVE", "DeliverLogsStatus": "SUCCESS",
            "LogFormat": log.text("LogFormat").unwrap_or_else(|| DEFAULT_FORMAT.into()),
            "MaxAggregationInterval": log.text("MaxAggregationInterval").and_then(|text| text.parse::<u16>().ok()).unwrap_or(600), "ResourceId": log.text("ResourceId"),
            "TrafficType": log.text("TrafficType"), "LogGroupName": log.text("LogGroupName"),
            "LogDestination": log.text("LogDestination"), "CreationTime": iso(log.created),
            "LogDestinationType": log.text("LogDestinationType").unwrap_or_else(|| "cloud-watch-logs".into()),
            "DeliverLogsPermissionArn": log.text("DeliverLogsPermissionArn"), "Tags": log.tag_list(),
        })
    };
    Ok(FLOW_LOGS.list(cx)?.iter().map(shown).collect())
}
