//! `AWS::EC2::FlowLog`: kept; no packets pass here that it could record.

use serde_json::{Value, json};

use super::ids::{self, invalid, required};
use super::{subnet, vpc};
use crate::records::{Record, RecordType, Records, iso};
use crate::{AwsError, Context, Desired, Resource, Schema};

pub const FLOW_LOGS: Records = Records("ec2.flow-logs");

pub struct FlowLog;

impl RecordType for FlowLog {
    const TYPE: &'static str = "AWS::EC2::FlowLog";
    const RECORDS: Records = FLOW_LOGS;

    fn schema() -> Schema {
        const CREATE_ONLY: &[&str] = &[
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
        ];
        Schema {
            properties: &[
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
            ],
            required: &["ResourceId", "ResourceType"],
            create_only: CREATE_ONLY,
            attributes: &["Id"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let record = Record::new(ids::new("fl"), desired);
        let id = required(&record, "ResourceId")?;
        match required(&record, "ResourceType")?.as_str() {
            "VPC" => vpc::named(cx, &id)?,
            "Subnet" => subnet::named(cx, &id)?,
            other => {
                return Err(invalid(format!(
                    "Flow logs of {other} do not exist here: VPC or Subnet."
                )));
            }
        };
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Id", record.id.clone())
    }
}

pub fn describe(cx: &Context) -> Result<Vec<Value>, AwsError> {
    let shown = |log: &Record| {
        json!({
            "FlowLogId": log.id, "FlowLogStatus": "ACTIVE", "ResourceId": log.text("ResourceId"),
            "TrafficType": log.text("TrafficType"), "LogGroupName": log.text("LogGroupName"),
            "LogDestination": log.text("LogDestination"), "CreationTime": iso(log.created),
            "LogDestinationType": log.text("LogDestinationType").unwrap_or_else(|| "cloud-watch-logs".into()),
            "DeliverLogsPermissionArn": log.text("DeliverLogsPermissionArn"), "Tags": log.tag_list(),
        })
    };
    Ok(FLOW_LOGS.list(cx)?.iter().map(shown).collect())
}
