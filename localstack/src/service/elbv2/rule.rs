//! Rules of listeners: checks, and conditions in the form of the proxy.

use ipnet::IpNet;
use serde_json::Value;

use super::model::{self, RULES, arn_suffix, integer, text};
use super::{action, condition_limits};
use crate::records::{Record, RecordType, Records, texts};
use crate::runtime::load_balancer::Condition;
use crate::{AwsError, Context, Desired, Resource, Schema};

pub struct ListenerRule;

impl RecordType for ListenerRule {
    const TYPE: &'static str = "AWS::ElasticLoadBalancingV2::ListenerRule";
    const RECORDS: Records = RULES;

    fn schema() -> Schema {
        Schema {
            properties: &["Actions", "Conditions", "ListenerArn", "Priority", "Transforms", "Tags"],
            required: &["Actions", "Conditions", "Priority", "ListenerArn"],
            create_only: &["ListenerArn"],
            attributes: &["IsDefault", "RuleArn"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        let listener = model::listener(cx, &record.text("ListenerArn").unwrap_or_default())?;
        check(cx, &record)?;
        record.id = format!(
            "{}/{}",
            listener.id.replacen(":listener/", ":listener-rule/", 1),
            arn_suffix()
        );
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id)
            .with("RuleArn", record.id.clone())
            .with("IsDefault", false)
    }

    fn update(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        check(cx, record)
    }
}

/// Checks a rule's priority, conditions and actions.
pub fn check(cx: &Context, record: &Record) -> Result<(), AwsError> {
    let priority = integer(record, "Priority").filter(|p| (1..=50_000).contains(p));
    let priority = priority.ok_or_else(|| AwsError::validation("Rule priority must be between 1 and 50000"))?;
    let same = |r: &Record| {
        r.id != record.id
            && r.text("ListenerArn") == record.text("ListenerArn")
            && integer(r, "Priority") == Some(priority)
    };
    if RULES.find(cx, same)?.is_some() {
        return Err(AwsError::new(
            "PriorityInUse",
            format!("Priority '{priority}' is currently in use"),
        ));
    }
    if record.properties.contains_key("Transforms") {
        return Err(AwsError::validation(
            "The embedded endpoint does not support Transforms of a listener rule.",
        ));
    }
    conditions(record)?;
    action::check(cx, record.properties.get("Actions"))
}

/// Returns the conditions of a rule.
pub fn conditions(record: &Record) -> Result<Vec<Condition>, AwsError> {
    let list = record
        .properties
        .get("Conditions")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    list.iter().map(condition).collect()
}

fn condition(value: &Value) -> Result<Condition, AwsError> {
    let config = |name: &str| value.get(name).unwrap_or(&Value::Null);
    let values = |name: &str| {
        let nested = texts(config(name).get("Values"));
        if nested.is_empty() {
            texts(value.get("Values"))
        } else {
            nested
        }
    };
    let field = text(value, "Field").unwrap_or_default();
    condition_limits::check(&field, value)?;
    Ok(match field.as_str() {
        "path-pattern" => Condition::Path(values("PathPatternConfig")),
        "host-header" => Condition::Host(values("HostHeaderConfig")),
        "http-request-method" => Condition::Method(values("HttpRequestMethodConfig")),
        "http-header" => {
            let name = text(config("HttpHeaderConfig"), "HttpHeaderName").unwrap_or_default();
            Condition::Header(name.to_ascii_lowercase(), values("HttpHeaderConfig"))
        }
        "query-string" => {
            let pairs = config("QueryStringConfig")
                .get("Values")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            let pair = |p: &Value| Some((text(p, "Key"), text(p, "Value")?));
            Condition::Query(pairs.iter().filter_map(pair).collect())
        }
        "source-ip" => {
            let range = |cidr: &String| {
                let (address, prefix) = cidr.split_once('/')?;
                IpNet::new(address.parse().ok()?, prefix.parse().ok()?).ok()
            };
            let ranges: Option<Vec<_>> = values("SourceIpConfig").iter().map(range).collect();
            Condition::SourceIp(ranges.ok_or_else(|| AwsError::validation("source-ip values must be CIDR blocks"))?)
        }
        other => {
            return Err(AwsError::validation(format!(
                "Condition field '{other}' is not one that a rule can have"
            )));
        }
    })
}
