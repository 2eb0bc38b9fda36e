//! The API's operations on secrets.

use serde_json::{Map, Value, json};

use super::secret::{Plain, Secret, Version, all, living, named};
use crate::records::{now, page, seconds, tag_list, tags_of, texts};
use crate::service::Call;
use crate::{AwsError, Context};

pub fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut secret = Secret::new(cx, &call.required("Name")?)?;
    secret.description = call.text("Description");
    secret.kms_key = call.text("KmsKeyId");
    secret.tags = tags_of(&call.input["Tags"]);
    let mut answer = json!({"ARN": secret.arn, "Name": secret.name});
    if let Some(value) = given(call)? {
        answer["VersionId"] = secret.put(cx, call.text("ClientRequestToken"), value, &[])?.into();
    }
    secret.store(cx)?;
    Ok(answer)
}

pub fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut secret = named(cx, &call.required("SecretId")?)?;
    let days = match call.text("RecoveryWindowInDays").map(|days| days.parse::<i64>()) {
        None => 30,
        Some(Ok(days)) if (7..=30).contains(&days) => days,
        Some(_) => {
            return Err(AwsError::new(
                "InvalidParameterException",
                "RecoveryWindowInDays must be 7 to 30.",
            ));
        }
    };
    let force = call.boolean("ForceDeleteWithoutRecovery") == Some(true);
    let date = if force { now() } else { now() + days * 86_400_000 };
    if force {
        secret.erase(cx)?;
    } else {
        secret.deleted = Some(now());
        secret.store(cx)?;
    }
    Ok(json!({"ARN": secret.arn, "Name": secret.name, "DeletionDate": seconds(date)}))
}

pub fn restore(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut secret = named(cx, &call.required("SecretId")?)?;
    secret.deleted = None;
    secret.store(cx)?;
    Ok(json!({"ARN": secret.arn, "Name": secret.name}))
}

pub fn update(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut secret = living(cx, &call.required("SecretId")?)?;
    secret.description = call.text("Description").or(secret.description);
    secret.kms_key = call.text("KmsKeyId").or(secret.kms_key);
    let mut answer = json!({"ARN": secret.arn, "Name": secret.name});
    if let Some(value) = given(call)? {
        answer["VersionId"] = secret.put(cx, call.text("ClientRequestToken"), value, &[])?.into();
    }
    secret.store(cx)?;
    Ok(answer)
}

pub fn put_value(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut secret = living(cx, &call.required("SecretId")?)?;
    let missing = || {
        AwsError::new(
            "InvalidRequestException",
            "You must provide either SecretString or SecretBinary.",
        )
    };
    let value = given(call)?.ok_or_else(missing)?;
    let id = secret.put(cx, call.text("ClientRequestToken"), value, &call.texts("VersionStages"))?;
    secret.store(cx)?;
    let stages = secret.version(Some(&id), None)?.stages.clone();
    Ok(json!({"ARN": secret.arn, "Name": secret.name, "VersionId": id, "VersionStages": stages}))
}

pub fn get_value(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let secret = living(cx, &call.required("SecretId")?)?;
    let version = secret.version(call.text("VersionId").as_deref(), call.text("VersionStage").as_deref())?;
    value(cx, &secret, version)
}

pub fn batch_get(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    let mut ids = call.texts("SecretIdList");
    if ids.is_empty() {
        ids = filtered(cx, call)?.into_iter().map(|secret| secret.arn).collect();
    }
    for id in ids {
        let read = living(cx, &id).and_then(|secret| value(cx, &secret, secret.version(None, None)?));
        match read {
            Ok(found) => values.push(found),
            Err(error) => errors.push(json!({"SecretId": id, "ErrorCode": error.code, "Message": error.message})),
        }
    }
    Ok(json!({"SecretValues": values, "Errors": errors}))
}

pub fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let secret = named(cx, &call.required("SecretId")?)?;
    let mut answer = description(&secret);
    answer["VersionIdsToStages"] = stages(&secret);
    Ok(answer)
}

pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut found = filtered(cx, call)?;
    let deleted_too = call.boolean("IncludePlannedDeletion") == Some(true);
    found.retain(|secret| deleted_too || secret.deleted.is_none());
    let limit = call.integer("MaxResults").unwrap_or(100).clamp(1, 100) as usize;
    let (found, next) = page(found, limit, call.text("NextToken").as_deref())?;
    let shown = |secret: &Secret| {
        let mut item = description(secret);
        item["SecretVersionsToStages"] = stages(secret);
        item
    };
    let mut answer = json!({"SecretList": found.iter().map(shown).collect::<Vec<_>>()});
    if let Some(token) = next {
        answer["NextToken"] = token.into();
    }
    Ok(answer)
}

pub fn versions(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let secret = named(cx, &call.required("SecretId")?)?;
    let shown = |version: &Version| json!({"VersionId": version.id, "VersionStages": version.stages, "CreatedDate": seconds(version.created)});
    let versions: Vec<Value> = secret.versions.iter().map(shown).collect();
    Ok(json!({"ARN": secret.arn, "Name": secret.name, "Versions": versions}))
}

pub fn tag(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut secret = living(cx, &call.required("SecretId")?)?;
    secret.tags.extend(tags_of(&call.input["Tags"]));
    for key in texts(call.input.get("TagKeys")) {
        secret.tags.shift_remove(&key);
    }
    secret.store(cx)?;
    Ok(json!({}))
}

fn given(call: &Call) -> Result<Option<Plain>, AwsError> {
    match (call.text("SecretString"), call.text("SecretBinary")) {
        (Some(_), Some(_)) => Err(AwsError::new(
            "InvalidParameterException",
            "You can't specify both a binary and a string value.",
        )),
        (Some(text), None) => Ok(Some(Plain::Text(text))),
        (None, binary) => Ok(binary.map(Plain::Binary)),
    }
}

fn value(cx: &Context, secret: &Secret, version: &Version) -> Result<Value, AwsError> {
    let mut answer = json!({
        "ARN": secret.arn, "Name": secret.name, "VersionId": version.id, "VersionStages": version.stages,
        "CreatedDate": seconds(version.created),
    });
    match secret.open(cx, version)? {
        Plain::Text(text) => answer["SecretString"] = text.into(),
        Plain::Binary(text) => answer["SecretBinary"] = text.into(),
    }
    Ok(answer)
}

fn filtered(cx: &Context, call: &Call) -> Result<Vec<Secret>, AwsError> {
    let mut found = all(cx)?;
    for filter in call.list("Filters") {
        let key = filter["Key"].as_str().unwrap_or_default();
        let values = texts(filter.get("Values"));
        let holds = |secret: &Secret| {
            let words: Vec<&str> = match key {
                "name" => vec![&secret.name],
                "description" => secret.description.as_deref().into_iter().collect(),
                "tag-key" => secret.tags.keys().map(String::as_str).collect(),
                "tag-value" => secret.tags.values().map(String::as_str).collect(),
                _ => {
                    let tags = secret
                        .tags
                        .iter()
                        .flat_map(|(key, value)| [key.as_str(), value.as_str()]);
                    tags.chain([secret.name.as_str()])
                        .chain(secret.description.as_deref())
                        .collect()
                }
            };
            // A value is a prefix; "!" before it negates.
            values.iter().any(|value| match value.strip_prefix('!') {
                Some(value) => !words.iter().any(|word| word.starts_with(value)),
                None => words.iter().any(|word| word.starts_with(value.as_str())),
            })
        };
        if !matches!(key, "name" | "description" | "tag-key" | "tag-value" | "all") {
            return Err(AwsError::new(
                "InvalidParameterException",
                format!("The filter {key} is not known here."),
            ));
        }
        found.retain(holds);
    }
    Ok(found)
}

fn description(secret: &Secret) -> Value {
    let mut answer = json!({
        "ARN": secret.arn, "Name": secret.name, "CreatedDate": seconds(secret.created),
        "LastChangedDate": seconds(secret.changed), "Tags": tag_list(&secret.tags), "RotationEnabled": false,
    });
    let optional = [("Description", &secret.description), ("KmsKeyId", &secret.kms_key)];
    for (member, text) in optional {
        text.iter().for_each(|text| answer[member] = text.clone().into());
    }
    if let Some(deleted) = secret.deleted {
        answer["DeletedDate"] = seconds(deleted);
    }
    answer
}

fn stages(secret: &Secret) -> Value {
    let map: Map<String, Value> = secret
        .versions
        .iter()
        .map(|v| (v.id.clone(), json!(v.stages)))
        .collect();
    Value::Object(map)
}
