//! Operations that read parameters.

use serde_json::{Value, json};

use super::parameter::{PARAMETERS, arn, find, not_found, tier};
use super::{filter, version};
use crate::encryption;
use crate::records::{Record, page, seconds};
use crate::service::Call;
use crate::{AwsError, Context};

/// The number of names that one call may have.
const MAX_NAMES: usize = 10;

pub fn get(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let name = call.required("Name")?;
    let (found, selector) = selected(cx, &name)?.ok_or_else(|| not_found(&name))?;
    Ok(json!({"Parameter": value(cx, &found, call, selector.as_deref())?}))
}

pub fn get_all(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (mut found, mut invalid) = (Vec::new(), Vec::new());
    let mut names = call.texts("Names");
    if names.len() > MAX_NAMES {
        let all = names.join(", ");
        let message = format!(
            "1 validation error detected: Value '[{all}]' at 'names' failed to satisfy constraint: Member must have length less than or equal to {MAX_NAMES}"
        );
        return Err(AwsError::new("ValidationException", message));
    }
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    for name in names {
        match selected(cx, &name) {
            Ok(Some((record, selector))) => found.push(value(cx, &record, call, selector.as_deref())?),
            Ok(None) => invalid.push(name),
            Err(error) if error.code.starts_with("ParameterVersion") => invalid.push(name),
            Err(error) => return Err(error),
        }
    }
    Ok(json!({"Parameters": found, "InvalidParameters": invalid}))
}

pub fn by_path(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let path = call.required("Path")?;
    if !path.starts_with('/') {
        let message = "The parameter doesn't meet the parameter name requirements: the path must begin with a slash.";
        return Err(AwsError::new("ValidationException", message));
    }
    let recursive = call.boolean("Recursive") == Some(true);
    let mut found = PARAMETERS.list(cx)?;
    found.retain(|parameter| filter::is_below(&parameter.id, &path, recursive));
    filter::apply(&mut found, &call.list("ParameterFilters"), &filter::BY_PATH)?;
    let limit = limit(call, 10, 10)?;
    let (found, next) = page(found, limit, call.text("NextToken").as_deref())?;
    let found = found
        .iter()
        .map(|p| value(cx, p, call, None))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(with_token(json!({"Parameters": found}), next))
}

pub fn history(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let name = call.required("Name")?;
    let record = find(cx, &name)?.ok_or_else(|| not_found(&name))?;
    let limit = limit(call, 50, 50)?;
    let (versions, next) = page(version::all(&record), limit, call.text("NextToken").as_deref())?;
    let mut shown = Vec::new();
    for one in &versions {
        let mut item = description(cx, one);
        item["Value"] = value(cx, one, call, None)?["Value"].clone();
        item["Labels"] = version::labels(one).into();
        shown.push(item);
    }
    Ok(with_token(json!({"Parameters": shown}), next))
}

pub fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut found = PARAMETERS.list(cx)?;
    let (filters, former) = (call.list("ParameterFilters"), call.list("Filters"));
    if !filters.is_empty() && !former.is_empty() {
        let message = "You can use either Filters or ParameterFilters in a single request.";
        return Err(AwsError::new("ValidationException", message));
    }
    filter::apply(&mut found, &filters, &filter::DESCRIBE)?;
    filter::apply(&mut found, &former, &filter::FORMER)?;
    let limit = limit(call, 10, 50)?;
    let (found, next) = page(found, limit, call.text("NextToken").as_deref())?;
    let shown = found.iter().map(|record| {
        let mut shown = description(cx, record);
        shown["ARN"] = arn(cx, &record.id).into();
        shown
    });
    let shown: Vec<Value> = shown.collect();
    Ok(with_token(json!({"Parameters": shown}), next))
}

/// Finds a parameter by its name or ARN, with an optional `:VERSION` or `:LABEL`, which is returned too.
fn selected(cx: &Context, given: &str) -> Result<Option<(Record, Option<String>)>, AwsError> {
    if let Some(found) = find(cx, given)? {
        return Ok(Some((found, None)));
    }
    let Some((name, selector)) = given.rsplit_once(':') else {
        return Ok(None);
    };
    let Some(record) = find(cx, name)? else {
        return Ok(None);
    };
    let is_number = selector.bytes().all(|byte| byte.is_ascii_digit());
    match version::select(&record, selector) {
        Some(found) => Ok(Some((found, Some(format!(":{selector}"))))),
        None if is_number => Err(version::missing(name, selector)),
        None => {
            let message = format!("Systems Manager could not find the label {selector} of {name}.");
            Err(AwsError::new("ParameterVersionNotFound", message))
        }
    }
}

fn value(cx: &Context, record: &Record, call: &Call, selector: Option<&str>) -> Result<Value, AwsError> {
    let mut text = record.text("Value").unwrap_or_default();
    if record.has("Type", "SecureString") && call.boolean("WithDecryption") == Some(true) {
        text = String::from_utf8(encryption::open(cx, &record.id, &text)?).map_err(anyhow::Error::from)?;
    }
    let mut shown = json!({
        "Name": record.id, "Type": record.text("Type"), "Value": text, "Version": version::number(record),
        "LastModifiedDate": seconds(version::modified(record)), "ARN": arn(cx, &record.id),
        "DataType": record.text("DataType").unwrap_or_else(|| "text".into()),
    });
    if let Some(selector) = selector {
        shown["Selector"] = selector.into();
    }
    Ok(shown)
}

fn description(cx: &Context, record: &Record) -> Value {
    let mut shown = json!({
        "Name": record.id, "Type": record.text("Type"),
        "Version": version::number(record), "Tier": tier(record),
        "LastModifiedDate": seconds(version::modified(record)),
        "LastModifiedUser": format!("arn:aws:iam::{}:root", cx.account()),
        "DataType": record.text("DataType").unwrap_or_else(|| "text".into()), "Policies": [],
    });
    if let Some(key) = filter::key_id(record) {
        shown["KeyId"] = key.into();
    }
    for member in ["Description", "AllowedPattern"] {
        if let Some(text) = record.text(member) {
            shown[member] = text.into();
        }
    }
    shown
}

fn limit(call: &Call, default: usize, max: usize) -> Result<usize, AwsError> {
    crate::service::input::limit(call, "MaxResults", default, 1..=max).ok_or_else(|| {
        let given = call.text("MaxResults").unwrap_or_default();
        let bound = if given.starts_with(['0', '-']) {
            "greater than or equal to 1".to_owned()
        } else {
            format!("less than or equal to {max}")
        };
        let message = format!(
            "1 validation error detected: Value '{given}' at 'maxResults' failed to satisfy constraint: Member must have value {bound}"
        );
        AwsError::new("ValidationException", message)
    })
}

fn with_token(mut response: Value, token: Option<String>) -> Value {
    if let Some(token) = token {
        response["NextToken"] = token.into();
    }
    response
}
