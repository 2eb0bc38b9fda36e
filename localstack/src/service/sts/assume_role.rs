//! `AssumeRole`: credentials of a role whose trust policy allows the account.

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::session::Session;
use crate::records::{Record, iso, scalar};
use crate::service::input::only;
use crate::service::{Call, iam, wildcard};
use crate::{AwsError, Context};

const ACTION: &str = "sts:AssumeRole";

pub fn assume(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    only(
        call,
        "ValidationError",
        &["RoleArn", "RoleSessionName", "DurationSeconds", "ExternalId"],
    )?;
    let (arn, name) = (call.required("RoleArn")?, call.required("RoleSessionName")?);
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if !(2..=64).contains(&name.len()) || !name.chars().all(allowed) {
        return Err(AwsError::validation(format!("RoleSessionName '{name}' is not valid.")));
    }
    let role = iam::with_arn(cx, &arn)?.filter(|role| trusts(cx, role, call.text("ExternalId").as_deref()));
    let Some(role) = role else {
        let message = format!(
            "User: arn:aws:iam::{}:root is not authorized to perform: {ACTION} on resource: {arn}",
            cx.account()
        );
        return Err(AwsError::new("AccessDenied", message).with_status(403));
    };
    let most = role
        .text("MaxSessionDuration")
        .and_then(|text| text.parse().ok())
        .unwrap_or(3600);
    let seconds = call
        .text("DurationSeconds")
        .map_or(Some(3600), |text| text.parse::<i64>().ok());
    let seconds = seconds
        .filter(|seconds| (900..=most).contains(seconds))
        .ok_or_else(|| {
            let message =
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role, or is under 900.";
            AwsError::validation(message)
        })?;
    let expires = OffsetDateTime::now_utc() + Duration::seconds(seconds);
    let (session, token) = Session::begin(cx, &arn, &name, expires)?;
    Ok(json!({
        "Credentials": {
            "AccessKeyId": session.key_id, "SecretAccessKey": session.secret, "SessionToken": token,
            "Expiration": iso(session.expires * 1000),
        },
        "AssumedRoleUser": {
            "AssumedRoleId": format!("{}:{name}", role.computed("RoleId").unwrap_or_default()),
            "Arn": format!("arn:aws:sts::{}:assumed-role/{}/{name}", cx.account(), role.id),
        },
    }))
}

/// Returns true if the trust policy of a role allows a principal of the account to assume it. Of conditions only
/// `sts:ExternalId` is evaluated: a statement with another one allows nothing.
fn trusts(cx: &Context, role: &Record, external_id: Option<&str>) -> bool {
    let document = match role.properties.get("AssumeRolePolicyDocument") {
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        Some(document) => document.clone(),
        None => Value::Null,
    };
    let statements = several(&document["Statement"]);
    let applies = |statement: &&Value| {
        let of_action = several(&statement["Action"])
            .iter()
            .filter_map(|one| one.as_str())
            .any(|action| wildcard::matches(&action.to_lowercase(), &ACTION.to_lowercase()));
        let principals = match &statement["Principal"] {
            Value::Object(kinds) => kinds.get("AWS").map(several).unwrap_or_default(),
            any => several(any),
        };
        let is_account = |one: &Value| {
            let text = scalar(one).unwrap_or_default();
            text == "*" || text == cx.account() || text.starts_with(&format!("arn:aws:iam::{}:", cx.account()))
        };
        of_action && principals.into_iter().any(is_account)
    };
    let meets = |statement: &Value| match statement["Condition"].as_object() {
        None => true,
        Some(conditions) => conditions.iter().all(|(operator, keys)| {
            keys.as_object().is_some_and(|keys| {
                keys.iter().all(|(key, values)| {
                    let matches = |value: &Value| match operator.as_str() {
                        "StringEquals" => value.as_str() == external_id && external_id.is_some(),
                        // True if the request has no such key (IAM User Guide, "Condition operator to check existence of condition keys").
                        "Null" => scalar(value) == Some(external_id.is_none().to_string()),
                        _ => false,
                    };
                    key.eq_ignore_ascii_case("sts:ExternalId") && several(values).into_iter().any(matches)
                })
            })
        }),
    };
    let applying: Vec<&Value> = statements.into_iter().filter(applies).collect();
    let denied = applying.iter().any(|statement| statement["Effect"] == "Deny");
    !denied
        && applying
            .iter()
            .any(|statement| statement["Effect"] == "Allow" && meets(statement))
}

fn several(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(list) => list.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}
