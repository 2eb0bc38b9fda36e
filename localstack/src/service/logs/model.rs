//! Records of CloudWatch Logs: groups and streams.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{check_name, invalid, not_found};
use crate::records::{Record, Records, now};
use crate::service::Call;
use crate::{AwsError, Context};

pub const GROUPS: Records = Records("logs.groups");

pub fn group_arn(cx: &Context, group: &str) -> String {
    cx.arn("logs", &format!("log-group:{group}"))
}

/// Finds a group by its name or its ARN.
pub fn group(cx: &Context, name_or_arn: &str) -> Result<Record, AwsError> {
    let name = match name_or_arn.split_once(":log-group:") {
        Some((_, name)) => name.trim_end_matches(":*"),
        None => name_or_arn,
    };
    GROUPS.get(cx, name)?.ok_or_else(|| not_found("group"))
}

/// Checks the characters and the length of a group's name.
pub fn check_group_name(name: &str) -> Result<(), AwsError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-/.#".contains(c);
    check_name("logGroupName", name, r"[\.\-_/#A-Za-z0-9]+", allowed)
}

/// Finds the group that a call names by name, identifier or ARN.
pub fn group_of(cx: &Context, call: &Call) -> Result<Record, AwsError> {
    let identifier = call.text("logGroupIdentifier");
    if identifier.as_ref().is_some_and(|identifier| identifier.contains('*')) {
        return Err(invalid(
            r"1 validation error detected: Value at 'logGroupIdentifier' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w#+=/:,.@-]*",
        ));
    }
    let given = call.text("logGroupName").or(identifier);
    let given = given.ok_or_else(|| invalid("Either logGroupName or logGroupIdentifier is required."))?;
    group(cx, &given)
}

/// Returns the time of the oldest events within the group's retention period, in milliseconds since 1970.
pub fn retained_since(group: &Record) -> Option<i64> {
    let days = group
        .text("RetentionInDays")?
        .parse::<i64>()
        .ok()
        .filter(|days| *days > 0)?;
    Some(now() - days * 86_400_000)
}

/// A stream of a group. Its events are in its files.
#[derive(Debug, Serialize, Deserialize)]
pub struct Stream {
    /// Milliseconds since 1970.
    pub created: i64,
}

impl Stream {
    pub fn exists(cx: &Context, group: &str, name: &str) -> Result<bool, AwsError> {
        Ok(cx.store().get::<Self>(&collection(group), name)?.is_some())
    }

    /// Lists the streams of a group by name.
    pub fn list(cx: &Context, group: &str) -> Result<Vec<(String, Self)>, AwsError> {
        Ok(cx.store().list(&collection(group))?)
    }

    pub fn add(cx: &Context, group: &str, name: &str) -> Result<(), AwsError> {
        if name.is_empty() || name.len() > 512 || name.contains([':', '*']) {
            return Err(invalid(format!(
                "The log stream name '{name}' is not valid. Use 1 to 512 characters except ':' and '*'."
            )));
        }
        Ok(cx.store().put(&collection(group), name, &Self { created: now() })?)
    }

    /// Returns whether the stream existed.
    pub fn delete(cx: &Context, group: &str, name: &str) -> Result<bool, AwsError> {
        Ok(cx.store().delete(&collection(group), name)?)
    }
}

/// Returns the store's collection of a group's streams.
fn collection(group: &str) -> String {
    format!("logs.streams:{group}")
}

/// Adds `nextToken` to a response if there is one.
pub fn with_token(mut response: Value, token: Option<String>) -> Value {
    if let Some(token) = token {
        response["nextToken"] = token.into();
    }
    response
}
