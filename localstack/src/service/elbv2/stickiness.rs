//! The types of stickiness that a target group's protocol has (Elastic Load Balancing API, `TargetGroupAttribute`).

use crate::AwsError;
use crate::records::Record;

use super::model::{attribute, target_protocol};

const ATTRIBUTES: &str = "TargetGroupAttributes";
const OF_FLOWS: [&str; 2] = ["source_ip_dest_ip_proto", "source_ip_dest_ip"];

/// Checks the stickiness of a target group.
///
/// # Errors
/// `ValidationError` for a type that the protocol does not have.
pub fn check(group: &Record) -> Result<(), AwsError> {
    let protocol = target_protocol(group);
    let value = |key: &str| attribute(group, ATTRIBUTES, key);
    let Some(kind) = value("stickiness.type") else {
        return Ok(());
    };
    let of_protocol: &[&str] = match protocol.as_str() {
        "HTTP" | "HTTPS" => &["lb_cookie", "app_cookie"],
        "GENEVE" => &OF_FLOWS,
        _ => &["source_ip"],
    };
    let is_known = ["app_cookie", "lb_cookie", "source_ip"].contains(&kind.as_str());
    let message = if protocol == "GENEVE" && value("stickiness.app_cookie.cookie_name").is_some() {
        "Target group attribute key 'stickiness.app_cookie.cookie_name' is not recognized".to_owned()
    } else if protocol == "GENEVE" && !of_protocol.contains(&kind.as_str()) {
        format!("'{kind}' must be one of [{}]", OF_FLOWS.join(", "))
    } else if protocol != "GENEVE" && !is_known {
        "'Stickiness type' must be one of [app_cookie, lb_cookie, source_ip]".to_owned()
    } else if !of_protocol.contains(&kind.as_str()) {
        format!("Stickiness type '{kind}' is not supported for target groups with the {protocol} protocol")
    } else if protocol == "TLS" && value("stickiness.enabled").as_deref() == Some("true") {
        "You cannot enable stickiness on target groups with the TLS protocol".to_owned()
    } else {
        return Ok(());
    };
    Err(AwsError::validation(message))
}
