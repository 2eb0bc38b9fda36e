//! Actions of listeners and rules: parsing, checks, and the target groups that they forward to.

use serde_json::Value;

use super::model::{self, LISTENERS, RULES, target_protocol, text};
use crate::records::Record;
use crate::runtime::load_balancer::Action;
use crate::{AwsError, Context};

/// The maximum of a target group's weight (Elastic Load Balancing API: `TargetGroupTuple`).
const MAX_WEIGHT: u32 = 999;

/// Checks the actions of a listener or a rule, and that their target groups exist.
pub fn check(cx: &Context, actions: Option<&Value>) -> Result<(), AwsError> {
    if let Action::Forward(groups) = parse(actions)? {
        for (arn, weight) in groups {
            if weight > MAX_WEIGHT {
                return Err(AwsError::validation(format!(
                    "Weight '{weight}' must be between 0 and {MAX_WEIGHT}"
                )));
            }
            let protocol = target_protocol(&model::target_group(cx, &arn)?);
            if protocol != "HTTP" {
                return Err(AwsError::validation(format!(
                    "The embedded endpoint forwards to target groups with Protocol HTTP only, not {protocol}: {arn}"
                )));
            }
        }
    }
    Ok(())
}

/// Parses the action of a listener or a rule.
///
/// # Errors
/// `ValidationError` unless there is exactly one action, of a type that this endpoint supports.
pub fn parse(actions: Option<&Value>) -> Result<Action, AwsError> {
    let list = actions.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let [action] = list else {
        return Err(AwsError::validation(
            "The embedded endpoint supports exactly one action for each rule, so no authentication action before it.",
        ));
    };
    let of = |config: &str, member: &str| action.get(config).and_then(|c| text(c, member));
    match text(action, "Type").as_deref() {
        Some("forward") => {
            let sticky = action.pointer("/ForwardConfig/TargetGroupStickinessConfig");
            if sticky.and_then(|sticky| text(sticky, "Enabled")).as_deref() == Some("true") {
                return Err(AwsError::validation(
                    "The embedded endpoint does not support TargetGroupStickinessConfig: requests are distributed by weight.",
                ));
            }
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
            if groups.is_empty() {
                Err(AwsError::validation("A forward action must name a target group"))
            } else {
                Ok(Action::Forward(groups))
            }
        }
        Some("redirect") => {
            let of = |member: &str, default: &str| of("RedirectConfig", member).unwrap_or_else(|| default.into());
            Ok(Action::Redirect {
                protocol: of("Protocol", "#{protocol}"),
                host: of("Host", "#{host}"),
                port: of("Port", "#{port}"),
                path: of("Path", "/#{path}"),
                query: of("Query", "#{query}"),
                status: if of("StatusCode", "") == "HTTP_302" { 302 } else { 301 },
            })
        }
        Some("fixed-response") => fixed_response(action),
        other => Err(AwsError::validation(format!(
            "The embedded endpoint supports the actions forward, redirect and fixed-response, not {}.",
            other.unwrap_or("an action without a Type")
        ))),
    }
}

/// Parses a fixed response (Elastic Load Balancing API, `FixedResponseActionConfig`).
fn fixed_response(action: &Value) -> Result<Action, AwsError> {
    const CONTENT_TYPES: [&str; 5] = [
        "text/plain",
        "text/css",
        "text/html",
        "application/javascript",
        "application/json",
    ];
    let of = |member: &str| {
        action
            .get("FixedResponseConfig")
            .and_then(|config| text(config, member))
    };
    let code = of("StatusCode").unwrap_or_default();
    let status = code
        .parse()
        .ok()
        .filter(|status| matches!(status, 200..=299 | 400..=599));
    let content_type = of("ContentType").unwrap_or_else(|| "text/plain".into());
    if !CONTENT_TYPES.contains(&content_type.as_str()) {
        let message = format!(
            "The ContentType must be one of: {}",
            CONTENT_TYPES.map(|one| format!("'{one}'")).join(", ")
        );
        return Err(AwsError::new("InvalidLoadBalancerAction", message));
    }
    Ok(Action::FixedResponse {
        status: status
            .ok_or_else(|| AwsError::validation(format!("The StatusCode '{code}' must be 2XX, 4XX or 5XX")))?,
        content_type,
        body: of("MessageBody").unwrap_or_default(),
    })
}

/// Returns the target groups that a listener or a rule forwards to.
pub fn forwards_to(record: &Record) -> Vec<String> {
    let actions = record
        .properties
        .get("DefaultActions")
        .or(record.properties.get("Actions"));
    match parse(actions) {
        Ok(Action::Forward(groups)) => groups.into_iter().map(|(arn, _)| arn).collect(),
        _ => Vec::new(),
    }
}

/// Returns the load balancers that forward to a target group.
pub fn load_balancers_of(cx: &Context, group: &str) -> Result<Vec<String>, AwsError> {
    let group = group.to_owned();
    let listeners = LISTENERS.list(cx)?;
    let by_rule: Vec<String> = RULES
        .list(cx)?
        .iter()
        .filter(|r| forwards_to(r).contains(&group))
        .filter_map(|r| r.text("ListenerArn"))
        .collect();
    let mut found: Vec<String> = listeners
        .iter()
        .filter(|l| forwards_to(l).contains(&group) || by_rule.contains(&l.id))
        .filter_map(|l| l.text("LoadBalancerArn"))
        .collect();
    found.sort();
    found.dedup();
    Ok(found)
}
