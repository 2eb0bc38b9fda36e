//! The collections of load-balancing records, look-ups that return AWS's own errors, and readers of properties.

use serde_json::Value;

use crate::records::{Record, Records, scalar};
use crate::{AwsError, Context};

pub const LOAD_BALANCERS: Records = Records("elbv2.load-balancers");
pub const TARGET_GROUPS: Records = Records("elbv2.target-groups");
pub const LISTENERS: Records = Records("elbv2.listeners");
pub const RULES: Records = Records("elbv2.rules");

pub fn load_balancer(cx: &Context, arn: &str) -> Result<Record, AwsError> {
    find(cx, LOAD_BALANCERS, arn, "LoadBalancerNotFound", "Load balancers")
}

pub fn target_group(cx: &Context, arn: &str) -> Result<Record, AwsError> {
    find(cx, TARGET_GROUPS, arn, "TargetGroupNotFound", "Target groups")
}

pub fn listener(cx: &Context, arn: &str) -> Result<Record, AwsError> {
    find(cx, LISTENERS, arn, "ListenerNotFound", "Listeners")
}

pub fn rule(cx: &Context, arn: &str) -> Result<Record, AwsError> {
    find(cx, RULES, arn, "RuleNotFound", "Rules")
}

fn find(cx: &Context, records: Records, arn: &str, code: &str, objects: &str) -> Result<Record, AwsError> {
    records
        .get(cx, arn)?
        .ok_or_else(|| AwsError::new(code, format!("One or more {} not found", objects.to_lowercase())))
}

/// Returns the protocol of a target group.
pub fn target_protocol(group: &Record) -> String {
    group.text("Protocol").unwrap_or_else(|| "HTTP".into())
}

pub fn listener_port(listener: &Record) -> Option<u16> {
    port(listener).filter(|port| *port > 0)
}

/// Returns the registered targets of a target group: address and port.
pub fn targets(group: &Record) -> Vec<(String, u16)> {
    let default = port(group);
    let list = group.computed.get("Targets").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|t| {
            Some((
                text(t, "Id")?,
                text(t, "Port").and_then(|p| p.parse().ok()).or(default)?,
            ))
        })
        .collect()
}

/// Returns the `Port` property of a listener or a target group.
pub fn port(record: &Record) -> Option<u16> {
    integer(record, "Port").and_then(|port| u16::try_from(port).ok())
}

/// Returns the last part of an ARN: 16 hexadecimal digits.
pub fn arn_suffix() -> String {
    format!("{:016x}", rand::random::<u64>())
}

pub fn integer(record: &Record, property: &str) -> Option<i64> {
    record.text(property)?.parse().ok()
}

/// Returns a scalar member as text.
pub fn text(value: &Value, member: &str) -> Option<String> {
    value.get(member).and_then(scalar)
}

/// Returns the value of a key in a property that is a list of `{"Key": …, "Value": …}`.
pub fn attribute(record: &Record, property: &str, key: &str) -> Option<String> {
    let list = record.properties.get(property)?.as_array()?;
    list.iter()
        .find(|a| text(a, "Key").as_deref() == Some(key))
        .and_then(|a| text(a, "Value"))
}
