//! Target groups.

use serde_json::json;

use super::action::{forwards_to, load_balancers_of};
use super::attribute_kind::Kind;
use super::model::{LISTENERS, RULES, TARGET_GROUPS, arn_suffix, integer, target_protocol};
use super::{proxy_settings, stickiness};
use crate::records::{Record, RecordType, Records};
use crate::runtime::load_balancer::TargetProtocol;
use crate::{AwsError, Context, Desired, Resource, Schema};

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
        check(&record)?;
        let name = record.text("Name").unwrap_or_else(|| desired.generated_name(32));
        check_name(&name)?;
        if TARGET_GROUPS
            .find(cx, |r| r.computed("Name").as_ref() == Some(&name))?
            .is_some()
        {
            let message = format!("A target group with the same name '{name}' exists, but with different settings");
            return Err(AwsError::new("DuplicateTargetGroupName", message));
        }
        let full = format!("targetgroup/{name}/{}", arn_suffix());
        record.id = cx.arn("elasticloadbalancing", &full);
        record.computed.insert("Name".into(), name.into());
        record.computed.insert("FullName".into(), full.into());
        let targets = record.properties.get("Targets").cloned().unwrap_or_else(|| json!([]));
        record.computed.insert("Targets".into(), targets);
        Ok(record)
    }

    fn resource(cx: &Context, record: &Record) -> Resource {
        let load_balancers = load_balancers_of(cx, &record.id).unwrap_or_default();
        Resource::new(&record.id)
            .with("TargetGroupArn", record.id.clone())
            .with("TargetGroupFullName", record.computed("FullName").unwrap_or_default())
            .with("TargetGroupName", record.computed("Name").unwrap_or_default())
            .with("LoadBalancerArns", load_balancers)
    }

    fn update(_cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        check(record)
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        let used = |r: &Record| forwards_to(r).contains(&record.id);
        if LISTENERS.find(cx, used)?.is_some() || RULES.find(cx, used)?.is_some() {
            let message = format!(
                "Target group '{}' is currently in use by a listener or a rule",
                record.id
            );
            return Err(AwsError::new("ResourceInUse", message));
        }
        Ok(())
    }
}

/// Checks the attributes and the health check of a target group.
pub fn check(record: &Record) -> Result<(), AwsError> {
    check_protocols(record)?;
    let kind = Kind::TargetGroup;
    kind.check(record)?;
    stickiness::check(record)?;
    if !target_protocol(record).starts_with("HTTP") {
        return Ok(());
    }
    let is_on = |key, off: &str| kind.value(record, key) != off;
    if kind.is_true(record, "stickiness.enabled")
        && kind.value(record, "stickiness.type") == "app_cookie"
        && !is_on("stickiness.app_cookie.cookie_name", "")
    {
        return Err(AwsError::validation(
            "You must specify a value for the attribute 'stickiness.app_cookie.cookie_name'",
        ));
    }
    if kind
        .value(record, "stickiness.app_cookie.cookie_name")
        .starts_with("AWSALB")
    {
        return Err(AwsError::validation(
            "The cookie names that begin with AWSALB are reserved for the load balancer",
        ));
    }
    if is_on("slow_start.duration_seconds", "0") && is_on("load_balancing.algorithm.type", "round_robin") {
        return Err(AwsError::validation(
            "Slow start requires the load balancing algorithm round_robin",
        ));
    }
    let settings = proxy_settings::of_target_group(record)?;
    let (member, codes) = proxy_settings::matcher(record);
    let (low, high) = match settings.protocol {
        TargetProtocol::Grpc => (0, 99),
        TargetProtocol::Http1 | TargetProtocol::Http2 => (200, 499),
    };
    let is_valid = |(from, to): &(u16, u16)| (low..=high).contains(from) && (low..=high).contains(to);
    if settings.matcher.len() != codes.split(',').count() || !settings.matcher.iter().all(is_valid) {
        return Err(AwsError::validation(format!(
            "Health check matcher {member} '{codes}' must be within {low} and {high}"
        )));
    }
    Ok(())
}

/// Checks the protocols, the kind of targets and the health check. Groups of network and gateway load balancers are kept, but no listener
/// of this endpoint forwards to them.
///
/// # Errors
/// `ValidationError` for what the endpoint does not support, or AWS refuses (Elastic Load Balancing API, `CreateTargetGroup`).
fn check_protocols(record: &Record) -> Result<(), AwsError> {
    let protocol = target_protocol(record);
    let is_http = protocol == "HTTP";
    for (property, supported, applies) in [
        ("HealthCheckProtocol", &["HTTP"][..], is_http),
        ("TargetType", &["ip", "instance"], true),
    ] {
        if let Some(other) = record
            .text(property)
            .filter(|value| applies && !supported.contains(&value.as_str()))
        {
            return Err(AwsError::validation(format!(
                "The embedded endpoint supports target groups with {property} {} only, not {other}.",
                supported.join(" and ")
            )));
        }
    }
    let interval = integer(record, "HealthCheckIntervalSeconds").unwrap_or(30);
    let Some(timeout) = integer(record, "HealthCheckTimeoutSeconds") else {
        return Ok(());
    };
    let (fits, relation) = match protocol.as_str() {
        "HTTP" | "HTTPS" => (timeout < interval, "smaller than"),
        _ => (timeout <= interval, "smaller than or equal to"),
    };
    if fits {
        return Ok(());
    }
    let message = format!("Health check timeout '{timeout}' must be {relation} the interval '{interval}'");
    Err(AwsError::validation(message))
}

fn check_name(name: &str) -> Result<(), AwsError> {
    let message = if name.len() > 32 {
        format!("Target group name '{name}' cannot be longer than '32' characters")
    } else if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        format!("Target group name '{name}' can only contain characters that are alphanumeric characters or hyphens(-)")
    } else if name.is_empty() || name.starts_with('-') || name.ends_with('-') || name.contains("--") {
        format!(
            "1 validation error detected: Value '{name}' at 'targetGroup.targetGroupArn.targetGroupName' failed to satisfy constraint: \
             Member must satisfy regular expression pattern: (?!.*--)(?!^-)(?!.*-$)^[A-Za-z0-9-]+$"
        )
    } else {
        return Ok(());
    };
    Err(AwsError::validation(message))
}
