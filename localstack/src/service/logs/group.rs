//! `AWS::Logs::LogGroup` and the operations on groups.

use serde_json::{Map, Value, json};

use super::model::{self, GROUPS, group_arn, with_token};
use super::{file, invalid, metric_filter, page, stream};
use crate::records::{Record, RecordType, Records, WriteLock, tag_list, tags_of};
use crate::service::Call;
use crate::service::input::{change_tags, only, properties};
use crate::{AwsError, Context, Desired, Resource, Schema};

/// The valid retention periods (CloudWatch Logs API, "`PutRetentionPolicy`"), in days.
const RETENTION_DAYS: [i64; 22] = [
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
        check_new_name(cx, &record.id)?;
        check_retention(&record)?;
        Ok(record)
    }

    fn resource(cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Arn", group_arn(cx, &record.id) + ":*")
    }

    fn update(_cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        record
            .properties
            .entry("LogGroupName")
            .or_insert_with(|| record.id.clone().into());
        check_retention(record).map(drop)
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        metric_filter::delete_all(cx, &record.id)?;
        stream::delete_all(cx, &record.id)
    }
}

pub async fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let names = [
        ("logGroupName", "LogGroupName"),
        ("kmsKeyId", "KmsKeyId"),
        ("logGroupClass", "LogGroupClass"),
    ];
    only(
        call,
        "InvalidParameterException",
        &["logGroupName", "kmsKeyId", "logGroupClass", "tags"],
    )?;
    call.required("logGroupName")?;
    let mut desired = properties(&call.input, &names);
    desired.insert("Tags".into(), tag_list(&tags_of(&call.input["tags"])));
    cx.create_resource(LogGroup::TYPE, Value::Object(desired)).await?;
    Ok(json!({}))
}

pub fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let group = model::group_of(cx, call)?;
    metric_filter::delete_all(cx, &group.id)?;
    stream::delete_all(cx, &group.id)?;
    GROUPS.delete(cx, &group.id)?;
    Ok(json!({}))
}

pub fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let prefix = call.text("logGroupNamePrefix").unwrap_or_default();
    let pattern = call.text("logGroupNamePattern").unwrap_or_default();
    if !prefix.is_empty() && !pattern.is_empty() {
        return Err(invalid(
            "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.",
        ));
    }
    let mut found = GROUPS.list(cx)?;
    found.retain(|g| g.id.starts_with(&prefix) && g.id.contains(&pattern));
    let limit = super::limit(call, 50, 50)?;
    let (found, next) = page(found, limit, call.text("nextToken").as_deref())?;
    let groups: Vec<Value> = found.iter().map(|group| description(cx, group)).collect();
    Ok(with_token(json!({"logGroups": groups}), next))
}

/// `PutRetentionPolicy` and `DeleteRetentionPolicy`.
pub fn set_retention(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let mut group = model::group_of(cx, call)?;
    match call.operation.as_str() {
        "PutRetentionPolicy" => {
            let days = call
                .integer("retentionInDays")
                .ok_or_else(|| invalid("retentionInDays is required."))?;
            group.properties.insert("RetentionInDays".into(), days.into())
        }
        _ => group.properties.shift_remove("RetentionInDays"),
    };
    check_retention(&group)?;
    GROUPS.put(cx, &group)?;
    Ok(json!({}))
}

/// `TagResource`, `UntagResource`, `ListTagsForResource`, and those that name the group.
pub fn tags(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let of_group = call.operation.ends_with("LogGroup");
    let mut group = if of_group {
        model::group_of(cx, call)?
    } else {
        model::group(cx, &call.required("resourceArn")?)?
    };
    match call.operation.as_str() {
        "TagResource" | "UntagResource" => change_tags(&mut group, &call.input["tags"], &call.input["tagKeys"]),
        "TagLogGroup" => change_tags(&mut group, &call.input["tags"], &Value::Null),
        "UntagLogGroup" => change_tags(&mut group, &Value::Null, &call.input["tags"]),
        _ => {
            let tags: Map<String, Value> = group.tags.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
            return Ok(json!({"tags": tags}));
        }
    }
    GROUPS.put(cx, &group)?;
    Ok(json!({}))
}

fn description(cx: &Context, group: &Record) -> Value {
    let arn = group_arn(cx, &group.id);
    let mut description = json!({
        "logGroupName": group.id, "creationTime": group.created, "arn": format!("{arn}:*"), "logGroupArn": arn,
        "metricFilterCount": metric_filter::count(cx, &group.id), "storedBytes": file::stored_bytes(cx, &group.id),
        "logGroupClass": group.text("LogGroupClass").unwrap_or_else(|| "STANDARD".into()),
    });
    if let Some(key) = group.text("KmsKeyId") {
        description["kmsKeyId"] = key.into();
    }
    if let Some(days) = group.text("RetentionInDays").and_then(|days| days.parse::<i64>().ok()) {
        description["retentionInDays"] = days.into();
    }
    description
}

fn check_new_name(cx: &Context, name: &str) -> Result<(), AwsError> {
    model::check_group_name(name)?;
    if GROUPS.get(cx, name)?.is_some() {
        let reason = "The specified log group already exists";
        return Err(AwsError::new("ResourceAlreadyExistsException", reason));
    }
    Ok(())
}

fn check_retention(record: &Record) -> Result<(), AwsError> {
    let Some(days) = record.text("RetentionInDays") else {
        return Ok(());
    };
    match days.parse::<i64>() {
        Ok(days) if RETENTION_DAYS.contains(&days) => Ok(()),
        _ => Err(invalid(format!(
            "RetentionInDays cannot be {days}. Valid values are: {RETENTION_DAYS:?}"
        ))),
    }
}
