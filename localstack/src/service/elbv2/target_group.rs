//! Target groups.

use serde_json::{Value, json};

use super::wanted::{forwards_to, users_of};
use super::{refused, suffix, text};
use crate::records::{Record, RecordType, Records};
use crate::{AwsError, Context, Desired, Resource, Schema};

pub const TARGET_GROUPS: Records = Records("elbv2.target-groups");

pub struct TargetGroup;

impl RecordType for TargetGroup {
    const TYPE: &'static str = "AWS::ElasticLoadBalancingV2::TargetGroup";
    const RECORDS: Records = TARGET_GROUPS;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "HealthCheckEnabled",
                "HealthCheckIntervalSeconds",
                "HealthCheckPath",
                "HealthCheckPort",
                "HealthCheckProtocol",
                "HealthCheckTimeoutSeconds",
                "HealthyThresholdCount",
                "IpAddressType",
                "Matcher",
                "Name",
                "Port",
                "Protocol",
                "ProtocolVersion",
                "Tags",
                "TargetGroupAttributes",
                "TargetType",
                "Targets",
                "UnhealthyThresholdCount",
                "VpcId",
            ],
            create_only: &[
                "IpAddressType",
                "Name",
                "Port",
                "Protocol",
                "ProtocolVersion",
                "TargetType",
                "VpcId",
            ],
            attributes: &[
                "LoadBalancerArns",
                "TargetGroupArn",
                "TargetGroupFullName",
                "TargetGroupName",
            ],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        for (property, only) in [
            ("Protocol", "HTTP"),
            ("HealthCheckProtocol", "HTTP"),
            ("ProtocolVersion", "HTTP1"),
            ("TargetType", "ip"),
        ] {
            if let Some(other) = record.text(property).filter(|value| value != only) {
                return Err(refused(format!(
                    "The embedded endpoint has target groups with {property} {only} only, not {other}."
                )));
            }
        }
        let name = record.text("Name").unwrap_or_else(|| desired.generated_name(32));
        if name.len() > 32 || name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(refused(format!(
                "Target group name '{name}' must be 1 to 32 letters, digits and hyphens"
            )));
        }
        if TARGET_GROUPS
            .find(cx, |r| r.computed("Name").as_ref() == Some(&name))?
            .is_some()
        {
            let words = format!("A target group with the same name '{name}' exists, but with different settings");
            return Err(AwsError::new("DuplicateTargetGroupName", words));
        }
        let full = format!("targetgroup/{name}/{}", suffix());
        record.id = cx.arn("elasticloadbalancing", &full);
        record.computed.insert("Name".into(), name.into());
        record.computed.insert("FullName".into(), full.into());
        let targets = record.properties.get("Targets").cloned().unwrap_or_else(|| json!([]));
        record.computed.insert("Targets".into(), targets);
        Ok(record)
    }

    fn resource(cx: &Context, record: &Record) -> Resource {
        let users = users_of(cx, &record.id).unwrap_or_default();
        Resource::new(&record.id)
            .with("TargetGroupArn", record.id.clone())
            .with("TargetGroupFullName", record.computed("FullName").unwrap_or_default())
            .with("TargetGroupName", record.computed("Name").unwrap_or_default())
            .with("LoadBalancerArns", users)
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        let used = |r: &Record| forwards_to(r).contains(&record.id);
        if super::listener::LISTENERS.find(cx, used)?.is_some() || super::rule::RULES.find(cx, used)?.is_some() {
            let words = format!(
                "Target group '{}' is currently in use by a listener or a rule",
                record.id
            );
            return Err(AwsError::new("ResourceInUse", words));
        }
        Ok(())
    }
}

pub fn named(cx: &Context, arn: &str) -> Result<Record, AwsError> {
    TARGET_GROUPS
        .get(cx, arn)?
        .ok_or_else(|| AwsError::new("TargetGroupNotFound", format!("Target groups '[{arn}]' not found")))
}

/// The registered targets: address and port.
pub fn targets(record: &Record) -> Vec<(String, u16)> {
    let port = super::whole(record, "Port").and_then(|p| u16::try_from(p).ok());
    let list = record
        .computed
        .get("Targets")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    list.iter()
        .filter_map(|t| Some((text(t, "Id")?, text(t, "Port").and_then(|p| p.parse().ok()).or(port)?)))
        .collect()
}
