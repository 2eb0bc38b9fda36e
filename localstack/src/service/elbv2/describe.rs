//! The Describe operations.

use serde_json::{Value, json};

use super::action::load_balancers_of;
use super::load_balancer::HOSTED_ZONE_ID;
use super::model::{self, LISTENERS, LOAD_BALANCERS, RULES, TARGET_GROUPS, integer, text};
use super::{proxy_settings, tls};
use crate::records::{Record, iso, page, texts};
use crate::service::Call;
use crate::{AwsError, Context};

pub async fn load_balancers(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let found = select(
        LOAD_BALANCERS.list(cx)?,
        call,
        "LoadBalancerArns",
        "LoadBalancerNotFound",
        "Load balancers",
    )?;
    paged(call, "LoadBalancers", shown_balancers(cx, &found).await?)
}

/// Returns EC2's subnets.
pub async fn subnets(cx: &Context) -> Vec<Value> {
    let found = cx.call("ec2", "DescribeSubnets", json!({})).await.ok();
    let list = found.as_ref().and_then(|found| found["Subnets"].as_array());
    list.cloned().unwrap_or_default()
}

/// Describes load balancers.
pub async fn shown_balancers(cx: &Context, found: &[Record]) -> Result<Vec<Value>, AwsError> {
    let known = subnets(cx).await;
    let shown = |r: &Record| {
        let mapped = r.properties.get("SubnetMappings").and_then(Value::as_array);
        let mapped = mapped
            .into_iter()
            .flatten()
            .filter_map(|mapping| text(mapping, "SubnetId"));
        let own: Vec<String> = texts(r.properties.get("Subnets")).into_iter().chain(mapped).collect();
        let of = |id: &str| known.iter().find(|subnet| subnet["SubnetId"] == id);
        let zones: Vec<Value> = own
            .iter()
            .map(|id| json!({"SubnetId": id, "ZoneName": of(id).map(|subnet| &subnet["AvailabilityZone"])}))
            .collect();
        json!({
            "LoadBalancerArn": r.id, "DNSName": "localhost", "CanonicalHostedZoneId": HOSTED_ZONE_ID,
            "CreatedTime": iso(r.created), "LoadBalancerName": r.computed("Name"),
            "Scheme": r.text("Scheme").unwrap_or_else(|| "internet-facing".into()), "State": {"Code": "active"},
            "Type": "application", "AvailabilityZones": zones, "IpAddressType": "ipv4",
            "VpcId": own.first().and_then(|id| of(id)).map(|subnet| &subnet["VpcId"]),
            "SecurityGroups": texts(r.properties.get("SecurityGroups")),
        })
    };
    Ok(found.iter().map(shown).collect())
}

/// Returns one page of a list.
fn paged(call: &Call, list: &str, items: Vec<Value>) -> Result<Value, AwsError> {
    let limit = call.limit("PageSize", 400, 1..=400);
    let (items, next) =
        page(items, limit, call.text("Marker").as_deref()).map_err(|error| AwsError::validation(error.message))?;
    Ok(json!({list: items, "NextMarker": next}))
}

pub fn target_groups(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut found = select(
        TARGET_GROUPS.list(cx)?,
        call,
        "TargetGroupArns",
        "TargetGroupNotFound",
        "Target groups",
    )?;
    if let Some(balancer) = call.text("LoadBalancerArn") {
        let mut of_balancer = Vec::new();
        for record in found {
            if load_balancers_of(cx, &record.id)?.contains(&balancer) {
                of_balancer.push(record);
            }
        }
        found = of_balancer;
    }
    let shown: Result<Vec<Value>, AwsError> = found.iter().map(|r| target_group(cx, r)).collect();
    paged(call, "TargetGroups", shown?)
}

pub fn target_group(cx: &Context, r: &Record) -> Result<Value, AwsError> {
    let or = |property: &str, default: &str| r.text(property).unwrap_or_else(|| default.into());
    let number = |property: &str, default: i64| integer(r, property).unwrap_or(default);
    let (member, codes) = proxy_settings::matcher(r);
    let protocol = model::target_protocol(r);
    let check = or(
        "HealthCheckProtocol",
        if protocol.starts_with("HTTP") { "HTTP" } else { "TCP" },
    );
    let mut shown = json!({
        "TargetGroupArn": r.id, "TargetGroupName": r.computed("Name"), "Protocol": protocol, "Port": integer(r, "Port"),
        "VpcId": r.text("VpcId"), "HealthCheckProtocol": check, "HealthCheckEnabled": true,
        "HealthCheckPort": or("HealthCheckPort", "traffic-port"),
        "HealthCheckIntervalSeconds": number("HealthCheckIntervalSeconds", 30),
        "HealthCheckTimeoutSeconds": number("HealthCheckTimeoutSeconds", 5),
        "HealthyThresholdCount": number("HealthyThresholdCount", 5),
        "UnhealthyThresholdCount": number("UnhealthyThresholdCount", 2),
        "LoadBalancerArns": load_balancers_of(cx, &r.id)?,
        "TargetType": or("TargetType", "instance"), "IpAddressType": "ipv4",
    });
    if check.starts_with("HTTP") {
        shown["HealthCheckPath"] = proxy_settings::health_check_path(r).into();
        shown["Matcher"] = json!({member: codes});
    }
    if protocol.starts_with("HTTP") {
        shown["ProtocolVersion"] = or("ProtocolVersion", "HTTP1").into();
    }
    Ok(shown)
}

pub fn listeners(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut found = select(
        LISTENERS.list(cx)?,
        call,
        "ListenerArns",
        "ListenerNotFound",
        "Listeners",
    )?;
    let balancer = call.text("LoadBalancerArn");
    if balancer.is_none() && call.texts("ListenerArns").is_empty() {
        let message = "You must specify either listener ARNs or a load balancer ARN";
        return Err(AwsError::validation(message));
    }
    if let Some(balancer) = balancer {
        model::load_balancer(cx, &balancer)?;
        found.retain(|r| r.has("LoadBalancerArn", &balancer));
    }
    paged(call, "Listeners", found.iter().map(listener).collect())
}

pub fn listener(r: &Record) -> Value {
    let mut shown = json!({
        "ListenerArn": r.id, "LoadBalancerArn": r.text("LoadBalancerArn"), "Port": integer(r, "Port"),
        "Protocol": tls::protocol(r), "DefaultActions": r.properties.get("DefaultActions"),
    });
    let certificates = tls::certificates(r);
    if !certificates.is_empty() {
        shown["Certificates"] = certificates.iter().map(|arn| json!({"CertificateArn": arn})).collect();
        shown["SslPolicy"] = tls::policy(r).into();
    }
    shown
}

pub fn rules(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut found = select(RULES.list(cx)?, call, "RuleArns", "RuleNotFound", "Rules")?;
    let of = call.text("ListenerArn");
    if let Some(of) = &of {
        found.retain(|r| r.has("ListenerArn", of));
    }
    found.sort_by_key(|r| integer(r, "Priority"));
    let mut shown: Vec<Value> = found.iter().map(rule).collect();
    if let Some(of) = of {
        let listener = model::listener(cx, &of)?;
        shown.push(json!({
            "RuleArn": format!("{}/default", of.replacen(":listener/", ":listener-rule/", 1)), "Priority": "default",
            "Conditions": [], "Actions": listener.properties.get("DefaultActions"), "IsDefault": true,
        }));
    }
    paged(call, "Rules", shown)
}

pub fn rule(r: &Record) -> Value {
    json!({
        "RuleArn": r.id, "Priority": r.text("Priority"), "Conditions": r.properties.get("Conditions"),
        "Actions": r.properties.get("Actions"), "IsDefault": false,
    })
}

pub fn tags(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut shown = Vec::new();
    for arn in call.texts("ResourceArns") {
        for records in [LOAD_BALANCERS, TARGET_GROUPS, LISTENERS, RULES] {
            if let Some(record) = records.get(cx, &arn)? {
                shown.push(json!({"ResourceArn": arn, "Tags": record.tag_list()}));
            }
        }
    }
    Ok(json!({"TagDescriptions": shown}))
}

/// Returns the records that the call names by ARN or name, or all if it names none.
///
/// # Errors
/// `code` for an ARN or a name that does not exist.
fn select(all: Vec<Record>, call: &Call, arns: &str, code: &str, what: &str) -> Result<Vec<Record>, AwsError> {
    let (arns, names) = (call.texts(arns), call.texts("Names"));
    if arns.is_empty() && names.is_empty() {
        return Ok(all);
    }
    let is = |r: &Record, id: &String| r.id == *id || r.computed("Name").as_ref() == Some(id);
    let requested = arns.iter().chain(&names);
    if requested.clone().any(|id| !all.iter().any(|r| is(r, id))) {
        return Err(AwsError::new(
            code,
            format!("One or more {} not found", what.to_lowercase()),
        ));
    }
    Ok(all
        .into_iter()
        .filter(|r| requested.clone().any(|id| is(r, id)))
        .collect())
}
