//! Rules of listeners: checked here, and turned into what the proxy runs.

use std::net::IpAddr;

use serde_json::Value;

use super::{listener, refused, suffix, target_group, text, whole};
use crate::records::{Record, RecordType, Records, texts};
use crate::runtime::load_balancer as runtime;
use crate::{AwsError, Context, Desired, Resource, Schema};

pub const RULES: Records = Records("elbv2.rules");

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
        let listener = listener::named(cx, &record.text("ListenerArn").unwrap_or_default())?;
        checked(cx, &record)?;
        record.id = format!(
            "{}/{}",
            listener.id.replacen(":listener/", ":listener-rule/", 1),
            suffix()
        );
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id)
            .with("RuleArn", record.id.clone())
            .with("IsDefault", false)
    }

    fn update(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        checked(cx, record)
    }
}

pub fn checked(cx: &Context, record: &Record) -> Result<(), AwsError> {
    let priority = whole(record, "Priority").filter(|p| (1..=50_000).contains(p));
    let priority = priority.ok_or_else(|| refused("Rule priority must be between 1 and 50000"))?;
    let same = |r: &Record| {
        r.id != record.id
            && r.text("ListenerArn") == record.text("ListenerArn")
            && whole(r, "Priority") == Some(priority)
    };
    if RULES.find(cx, same)?.is_some() {
        return Err(AwsError::new(
            "PriorityInUse",
            format!("Priority '{priority}' is currently in use"),
        ));
    }
    if record.properties.contains_key("Transforms") {
        return Err(refused(
            "The embedded endpoint does not support Transforms of a listener rule.",
        ));
    }
    conditions(record)?;
    checked_actions(cx, record.properties.get("Actions"))
}

pub fn checked_actions(cx: &Context, actions: Option<&Value>) -> Result<(), AwsError> {
    if let runtime::Action::Forward(groups) = action(actions)? {
        for (arn, _) in groups {
            target_group::named(cx, &arn)?;
        }
    }
    Ok(())
}

/// The one action of a rule.
pub fn action(actions: Option<&Value>) -> Result<runtime::Action, AwsError> {
    let list = actions.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let [action] = list else {
        return Err(refused(
            "The embedded endpoint takes exactly one action for each rule: no authentication before it.",
        ));
    };
    let of = |config: &str, member: &str| action.get(config).and_then(|c| text(c, member));
    match text(action, "Type").as_deref() {
        Some("forward") => {
            let listed = action.pointer("/ForwardConfig/TargetGroups").and_then(Value::as_array);
            let mut groups: Vec<(String, u32)> = listed
                .into_iter()
                .flatten()
                .filter_map(|g| {
                    let weight = text(g, "Weight").and_then(|w| w.parse().ok()).unwrap_or(1);
                    Some((text(g, "TargetGroupArn")?, weight))
                })
                .collect();
            if groups.is_empty() {
                groups.extend(text(action, "TargetGroupArn").map(|arn| (arn, 1)));
            }
            match groups.is_empty() {
                true => Err(refused("A forward action must name a target group")),
                false => Ok(runtime::Action::Forward(groups)),
            }
        }
        Some("redirect") => {
            let of = |member: &str, default: &str| of("RedirectConfig", member).unwrap_or_else(|| default.into());
            Ok(runtime::Action::Redirect {
                protocol: of("Protocol", "#{protocol}"),
                host: of("Host", "#{host}"),
                port: of("Port", "#{port}"),
                path: of("Path", "/#{path}"),
                query: of("Query", "#{query}"),
                status: if of("StatusCode", "") == "HTTP_302" { 302 } else { 301 },
            })
        }
        Some("fixed-response") => Ok(runtime::Action::FixedResponse {
            status: of("FixedResponseConfig", "StatusCode")
                .and_then(|c| c.parse().ok())
                .unwrap_or(200),
            content_type: of("FixedResponseConfig", "ContentType").unwrap_or_else(|| "text/plain".into()),
            body: of("FixedResponseConfig", "MessageBody").unwrap_or_default(),
        }),
        other => Err(refused(format!(
            "The embedded endpoint has the actions forward, redirect and fixed-response, not {}.",
            other.unwrap_or("one without a Type")
        ))),
    }
}

pub fn conditions(record: &Record) -> Result<Vec<runtime::Condition>, AwsError> {
    let list = record
        .properties
        .get("Conditions")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    list.iter().map(condition).collect()
}

fn condition(value: &Value) -> Result<runtime::Condition, AwsError> {
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
    let made = match field.as_str() {
        "path-pattern" => runtime::Condition::Path(values("PathPatternConfig")),
        "host-header" => runtime::Condition::Host(values("HostHeaderConfig")),
        "http-request-method" => runtime::Condition::Method(values("HttpRequestMethodConfig")),
        "http-header" => {
            let name = text(config("HttpHeaderConfig"), "HttpHeaderName").unwrap_or_default();
            runtime::Condition::Header(name.to_ascii_lowercase(), values("HttpHeaderConfig"))
        }
        "query-string" => {
            let pairs = config("QueryStringConfig")
                .get("Values")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            let pair = |p: &Value| Some((text(p, "Key"), text(p, "Value")?));
            runtime::Condition::Query(pairs.iter().filter_map(pair).collect())
        }
        "source-ip" => {
            let range = |cidr: &String| -> Option<(IpAddr, u8)> {
                let (address, bits) = cidr.split_once('/')?;
                Some((address.parse().ok()?, bits.parse().ok()?))
            };
            let ranges: Option<Vec<_>> = values("SourceIpConfig").iter().map(range).collect();
            runtime::Condition::SourceIp(ranges.ok_or_else(|| refused("source-ip values must be CIDR blocks"))?)
        }
        other => {
            return Err(refused(format!(
                "Condition field '{other}' is not one that a rule can have"
            )));
        }
    };
    Ok(made)
}
