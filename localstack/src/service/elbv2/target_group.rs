//! Target groups.

use serde_json::json;

use super::action::{forwards_to, load_balancers_of};
use super::attribute_kind::Kind;
use super::model::{LISTENERS, RULES, TARGET_GROUPS, arn_suffix};
use super::proxy_settings;
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
        for (property, only) in [
            ("Protocol", "HTTP"),
            ("HealthCheckProtocol", "HTTP"),
            ("TargetType", "ip"),
        ] {
            if let Some(other) = record.text(property).filter(|value| value != only) {
                return Err(AwsError::validation(format!(
                    "The embedded endpoint supports target groups with {property} {only} only, not {other}."
                )));
            }
        }
        check(&record)?;
        let name = record.text("Name").unwrap_or_else(|| desired.generated_name(32));
        if name.len() > 32 || name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(AwsError::validation(format!(
                "Target group name '{name}' must be 1 to 32 alphanumeric characters and hyphens"
            )));
        }
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
    let kind = Kind::TargetGroup;
    kind.check(record)?;
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
