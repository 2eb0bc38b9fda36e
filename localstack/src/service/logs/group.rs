//! Log groups: `AWS::Logs::LogGroup` and the operations on groups.

use serde_json::{Map, Value, json};

use super::{file, invalid, metric_filter, missing, stream};
use crate::records::{Record, RecordType, Records, WriteLock, page, tags_of, texts};
use crate::service::Call;
use crate::{AwsError, Context, Desired, Resource, Schema};

pub const GROUPS: Records = Records("logs.groups");

/// The retention periods that CloudWatch Logs knows ("PutRetentionPolicy"), in days.
const PERIODS: [i64; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

pub struct LogGroup;

impl RecordType for LogGroup {
    const TYPE: &'static str = "AWS::Logs::LogGroup";
    const RECORDS: Records = GROUPS;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "LogGroupName",
                "RetentionInDays",
                "KmsKeyId",
                "LogGroupClass",
                "DataProtectionPolicy",
                "Tags",
            ],
            create_only: &["LogGroupName", "LogGroupClass"],
            attributes: &["Arn"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        record.id = record
            .text("LogGroupName")
            .unwrap_or_else(|| desired.generated_name(512));
        record
            .properties
            .insert("LogGroupName".into(), record.id.clone().into());
        new_name(cx, &record.id)?;
        period(&record)?;
        Ok(record)
    }

    fn resource(cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Arn", arn(cx, &record.id) + ":*")
    }

    fn update(_cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        record
            .properties
            .entry("LogGroupName")
            .or_insert_with(|| record.id.clone().into());
        period(record).map(drop)
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        metric_filter::forget_group(cx, &record.id)?;
        stream::forget_group(cx, &record.id)
    }
}

pub fn arn(cx: &Context, group: &str) -> String {
    cx.arn("logs", &format!("log-group:{group}"))
}

/// The group that a call names, by name, identifier or ARN.
pub fn named(cx: &Context, call: &Call) -> Result<Record, AwsError> {
    let given = call.text("logGroupName").or(call.text("logGroupIdentifier"));
    let given = given.ok_or_else(|| invalid("Either logGroupName or logGroupIdentifier is required."))?;
    GROUPS.get(cx, of_arn(&given))?.ok_or_else(|| missing("group"))
}

/// When the oldest event that the group still shows happened, in milliseconds.
pub fn horizon(group: &Record) -> Option<i64> {
    let days = group
        .text("RetentionInDays")?
        .parse::<i64>()
        .ok()
        .filter(|days| *days > 0)?;
    Some(crate::records::now() - days * 86_400_000)
}

pub fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let lock = cx.extension::<WriteLock>();
    let _guard = lock.lock();
    let name = call.required("logGroupName")?;
    new_name(cx, &name)?;
    let mut record = Record::from_properties(&name, json!({"LogGroupName": name}));
    record.tags = tags_of(&call.input["tags"]);
    GROUPS.put(cx, &record)?;
    Ok(json!({}))
}

pub fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let lock = cx.extension::<WriteLock>();
    let _guard = lock.lock();
    let group = named(cx, call)?;
    metric_filter::forget_group(cx, &group.id)?;
    stream::forget_group(cx, &group.id)?;
    GROUPS.delete(cx, &group.id)?;
    Ok(json!({}))
}

pub fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let prefix = call.text("logGroupNamePrefix").unwrap_or_default();
    let part = call.text("logGroupNamePattern").unwrap_or_default();
    let mut found = GROUPS.list(cx)?;
    found.retain(|g| g.id.starts_with(&prefix) && g.id.contains(&part));
    let limit = call.integer("limit").unwrap_or(50).clamp(1, 50) as usize;
    let (found, next) = page(found, limit, call.text("nextToken").as_deref())?;
    let groups: Vec<Value> = found.iter().map(|group| description(cx, group)).collect();
    Ok(with_token(json!({"logGroups": groups}), next))
}

pub fn retain(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let lock = cx.extension::<WriteLock>();
    let _guard = lock.lock();
    let mut group = named(cx, call)?;
    match call.operation.as_str() {
        "PutRetentionPolicy" => {
            let days = call
                .integer("retentionInDays")
                .ok_or_else(|| invalid("retentionInDays is required."))?;
            group.properties.insert("RetentionInDays".into(), days.into())
        }
        _ => group.properties.shift_remove("RetentionInDays"),
    };
    period(&group)?;
    GROUPS.put(cx, &group)?;
    Ok(json!({}))
}

pub fn tags(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let lock = cx.extension::<WriteLock>();
    let _guard = lock.lock();
    let mut group = GROUPS
        .get(cx, of_arn(&call.required("resourceArn")?))?
        .ok_or_else(|| missing("group"))?;
    match call.operation.as_str() {
        "TagResource" => group.tags.extend(tags_of(&call.input["tags"])),
        "UntagResource" => texts(call.input.get("tagKeys"))
            .iter()
            .for_each(|key| drop(group.tags.shift_remove(key))),
        _ => {
            let tags: Map<String, Value> = group.tags.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
            return Ok(json!({"tags": tags}));
        }
    }
    GROUPS.put(cx, &group)?;
    Ok(json!({}))
}

/// Adds `nextToken` when there is one.
pub fn with_token(mut answer: Value, token: Option<String>) -> Value {
    if let Some(token) = token {
        answer["nextToken"] = token.into();
    }
    answer
}

fn description(cx: &Context, group: &Record) -> Value {
    let arn = arn(cx, &group.id);
    let mut answer = json!({
        "logGroupName": group.id, "creationTime": group.created, "arn": format!("{arn}:*"), "logGroupArn": arn,
        "metricFilterCount": metric_filter::count(cx, &group.id), "storedBytes": file::stored(cx, &group.id),
        "logGroupClass": group.text("LogGroupClass").unwrap_or_else(|| "STANDARD".into()),
    });
    if let Some(days) = group.text("RetentionInDays").and_then(|days| days.parse::<i64>().ok()) {
        answer["retentionInDays"] = days.into();
    }
    answer
}

fn of_arn(given: &str) -> &str {
    match given.split_once(":log-group:") {
        Some((_, rest)) => rest.trim_end_matches(":*"),
        None => given,
    }
}

fn new_name(cx: &Context, name: &str) -> Result<(), AwsError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-/.#".contains(c);
    if name.is_empty() || name.len() > 512 || !name.chars().all(allowed) {
        return Err(invalid(format!(
            "Value '{name}' at 'logGroupName' failed to satisfy constraint: 1 to 512 of the characters [.-_/#A-Za-z0-9]"
        )));
    }
    if GROUPS.get(cx, name)?.is_some() {
        let reason = format!("The specified log group already exists: {name}");
        return Err(AwsError::new("ResourceAlreadyExistsException", reason));
    }
    Ok(())
}

fn period(record: &Record) -> Result<(), AwsError> {
    let Some(days) = record.text("RetentionInDays") else {
        return Ok(());
    };
    match days.parse::<i64>() {
        Ok(days) if PERIODS.contains(&days) => Ok(()),
        _ => Err(invalid(format!(
            "RetentionInDays cannot be {days}. Valid values are: {:?}",
            PERIODS
        ))),
    }
}
