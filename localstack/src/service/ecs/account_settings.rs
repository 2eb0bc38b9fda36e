//! Account settings: stored for the account, which has one principal, and not applied.

use serde_json::{Value, json};

use super::error::invalid_parameter;
use super::members::with_next_token;
use crate::records::page;
use crate::service::Call;
use crate::service::input::only;
use crate::{AwsError, Context};

const COLLECTION: &str = "ecs.account-settings";

/// The settings and their values, the default first (`PutAccountSetting`, `name`).
const SETTINGS: [(&str, &[&str]); 10] = [
    ("awsvpcTrunking", &["disabled", "enabled"]),
    ("containerInsights", &["disabled", "enabled", "enhanced"]),
    ("containerInstanceLongArnFormat", &["enabled"]),
    ("dualStackIPv6", &["disabled", "enabled"]),
    ("fargateFIPSMode", &["disabled", "enabled"]),
    ("fargateTaskRetirementWaitPeriod", &["7", "0", "14"]),
    ("guardDutyActivate", &["off", "on"]),
    ("serviceLongArnFormat", &["enabled"]),
    ("tagResourceAuthorization", &["off", "on"]),
    ("taskLongArnFormat", &["enabled"]),
];

pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    const MEMBERS: [&str; 6] = [
        "name",
        "value",
        "principalArn",
        "effectiveSettings",
        "nextToken",
        "maxResults",
    ];
    only(call, "InvalidParameterException", &MEMBERS)?;
    let effective = call.boolean("effectiveSettings") == Some(true);
    let (name, value) = (call.text("name"), call.text("value"));
    if let Some(name) = &name {
        setting(name)?;
    }
    let mut found = Vec::new();
    for (known, values) in SETTINGS {
        let stored: Option<String> = cx.store().get(COLLECTION, known)?;
        let current = stored.clone().unwrap_or_else(|| values[0].to_owned());
        let is_shown = effective || stored.is_some();
        if is_shown && name.as_ref().is_none_or(|name| name == known) && value.as_ref().is_none_or(|v| *v == current) {
            found.push(shown(cx, known, &current));
        }
    }
    let limit = call.limit("maxResults", 10, 1..=10);
    let (found, next) = page(found, limit, call.text("nextToken").as_deref())?;
    Ok(with_next_token(json!({"settings": found}), next))
}

/// `PutAccountSetting`, `PutAccountSettingDefault` and `DeleteAccountSetting`.
pub fn change(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    only(call, "InvalidParameterException", &["name", "value", "principalArn"])?;
    let name = call.required("name")?;
    let values = setting(&name)?;
    if call.operation == "DeleteAccountSetting" {
        cx.store().delete(COLLECTION, &name)?;
        return Ok(json!({"setting": shown(cx, &name, values[0])}));
    }
    let value = call.required("value")?;
    if !values.contains(&value.as_str()) {
        return Err(invalid_parameter(format!(
            "The value {value} of the setting {name} is not one of {}.",
            values.join(", ")
        )));
    }
    cx.store().put(COLLECTION, &name, &value)?;
    Ok(json!({"setting": shown(cx, &name, &value)}))
}

fn setting(name: &str) -> Result<&'static [&'static str], AwsError> {
    let found = SETTINGS.iter().find(|(known, _)| *known == name);
    let unknown = || {
        let names: Vec<&str> = SETTINGS.iter().map(|(known, _)| *known).collect();
        invalid_parameter(format!("{name} should be one of [{}]", names.join(",")))
    };
    found.map(|(_, values)| *values).ok_or_else(unknown)
}

fn shown(cx: &Context, name: &str, value: &str) -> Value {
    json!({
        "name": name, "value": value, "type": "user",
        "principalArn": format!("arn:aws:iam::{}:root", cx.account()),
    })
}
