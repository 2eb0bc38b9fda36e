//! The operations of the Secrets Manager API.

use serde_json::{Map, Value, json};

use super::filter::filtered;
use super::rotation;
use super::secret::{Secret, SecretValue, Version, find, get, get_active};
use crate::records::{now, page, seconds, tag_list, tags_of, texts};
use crate::service::Call;
use crate::service::input::only;
use crate::{AwsError, Context};

/// `CreateSecret`: a repetition with the same token and value returns the same secret.
pub fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    const MEMBERS: [&str; 7] = [
        "Name",
        "ClientRequestToken",
        "Description",
        "KmsKeyId",
        "SecretBinary",
        "SecretString",
        "Tags",
    ];
    check_replicas(cx, call)?;
    only(call, "InvalidParameterException", &MEMBERS)?;
    let name = call.required("Name")?;
    if let (Some(token), Some(value)) = (call.text("ClientRequestToken"), value_of(call)?)
        && let Some(mut existing) = find(cx, &name)?.filter(|secret| secret.name == name && secret.deleted.is_none())
        && existing.versions.iter().any(|version| version.id == token)
    {
        let version = existing.put(cx, Some(token), &value, &[])?;
        return Ok(json!({"ARN": existing.arn, "Name": existing.name, "VersionId": version}));
    }
    let mut secret = Secret::new(cx, &name)?;
    secret.description = call.text("Description");
    secret.kms_key = call.text("KmsKeyId");
    secret.tags = tags_of(&call.input["Tags"]);
    let mut response = json!({"ARN": secret.arn, "Name": secret.name});
    if let Some(value) = value_of(call)? {
        response["VersionId"] = secret.put(cx, call.text("ClientRequestToken"), &value, &[])?.into();
    }
    secret.store(cx)?;
    Ok(response)
}

/// Refuses a replica in the secret's own region.
fn check_replicas(cx: &Context, call: &Call) -> Result<(), AwsError> {
    let replicas = call.list("AddReplicaRegions");
    if replicas.iter().any(|replica| replica["Region"] == cx.region()) {
        return Err(AwsError::new("InvalidParameterException", "Invalid replica region."));
    }
    Ok(())
}

/// `ReplicateSecretToRegions`, which is refused: an endpoint has one region.
pub fn replicate(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    get_active(cx, &call.required("SecretId")?)?;
    check_replicas(cx, call)?;
    Err(AwsError::not_implemented("secretsmanager", &call.operation))
}

pub fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let id = call.required("SecretId")?;
    let force = call.boolean("ForceDeleteWithoutRecovery") == Some(true);
    let days = match call.text("RecoveryWindowInDays").map(|days| days.parse::<i64>()) {
        None => 30,
        Some(Ok(days)) if (7..=30).contains(&days) => days,
        Some(_) => {
            return Err(AwsError::new(
                "InvalidParameterException",
                "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
            ));
        }
    };
    if force && call.text("RecoveryWindowInDays").is_some() {
        let message = "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.";
        return Err(AwsError::new("InvalidParameterException", message));
    }
    let Some(mut secret) = find(cx, &id)? else {
        // "If you use this operation to delete a secret that doesn't exist without recovery, it returns no error" (`DeleteSecret`).
        if force && !id.starts_with("arn:") {
            let arn = cx.arn("secretsmanager", &format!("secret:{id}"));
            return Ok(json!({"ARN": arn, "Name": id, "DeletionDate": seconds(now())}));
        }
        return get(cx, &id).map(|_| json!({}));
    };
    if secret.deleted.is_some() && !force {
        let message = "You can't perform this operation on the secret because it was already scheduled for deletion.";
        return Err(AwsError::new("InvalidRequestException", message));
    }
    let date = if force { now() } else { now() + days * 86_400_000 };
    if force {
        secret.delete(cx)?;
    } else {
        secret.deleted = Some(now());
        secret.store(cx)?;
    }
    Ok(json!({"ARN": secret.arn, "Name": secret.name, "DeletionDate": seconds(date)}))
}

pub fn restore(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut secret = get(cx, &call.required("SecretId")?)?;
    secret.deleted = None;
    secret.store(cx)?;
    Ok(json!({"ARN": secret.arn, "Name": secret.name}))
}

pub fn update(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut secret = get_active(cx, &call.required("SecretId")?)?;
    secret.description = call.text("Description").or(secret.description);
    secret.kms_key = call.text("KmsKeyId").or(secret.kms_key);
    let mut response = json!({"ARN": secret.arn, "Name": secret.name});
    if let Some(value) = value_of(call)? {
        response["VersionId"] = secret.put(cx, call.text("ClientRequestToken"), &value, &[])?.into();
    }
    secret.store(cx)?;
    Ok(response)
}

pub fn put_value(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let missing = || {
        AwsError::new(
            "InvalidRequestException",
            "You must provide either SecretString or SecretBinary.",
        )
    };
    let value = value_of(call)?.ok_or_else(missing)?;
    let mut secret = get_active(cx, &call.required("SecretId")?)?;
    let id = secret.put(
        cx,
        call.text("ClientRequestToken"),
        &value,
        &call.texts("VersionStages"),
    )?;
    secret.store(cx)?;
    let stages = secret.version(Some(&id), None)?.stages.clone();
    Ok(json!({"ARN": secret.arn, "Name": secret.name, "VersionId": id, "VersionStages": stages}))
}

pub fn get_value(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut secret = get_active(cx, &call.required("SecretId")?)?;
    let version = secret.version(call.text("VersionId").as_deref(), call.text("VersionStage").as_deref())?;
    let response = value(cx, &secret, version)?;
    // "The date that the secret was last accessed … the time is truncated to the day" (`DescribeSecret`).
    let today = now() / 86_400_000 * 86_400_000;
    if secret.accessed != Some(today) {
        secret.accessed = Some(today);
        secret.store(cx)?;
    }
    Ok(response)
}

pub fn batch_get(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    let mut ids = call.texts("SecretIdList");
    let has_filters = !call.list("Filters").is_empty();
    let invalid = |message: &str| Err(AwsError::new("InvalidParameterException", message));
    if has_filters != ids.is_empty() {
        return invalid("Either 'SecretIdList' or 'Filters' must be provided, but not both.");
    }
    if call.text("MaxResults").is_some() && !has_filters {
        return invalid("'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided.");
    }
    if has_filters {
        ids = filtered(cx, call)?.into_iter().map(|secret| secret.arn).collect();
    }
    for id in ids {
        let read = get_active(cx, &id).and_then(|secret| value(cx, &secret, secret.version(None, None)?));
        match read {
            Ok(found) => values.push(found),
            Err(error) => errors.push(json!({"SecretId": id, "ErrorCode": error.code, "Message": error.message})),
        }
    }
    Ok(json!({"SecretValues": values, "Errors": errors}))
}

pub fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let secret = get(cx, &call.required("SecretId")?)?;
    let mut response = description(&secret);
    if !secret.versions.is_empty() {
        response["VersionIdsToStages"] = stages(&secret);
    }
    Ok(response)
}

pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut found = filtered(cx, call)?;
    let include_deleted = call.boolean("IncludePlannedDeletion") == Some(true);
    found.retain(|secret| include_deleted || secret.deleted.is_none());
    let limit = call.limit("MaxResults", 100, 1..=100);
    let (found, next) = page(found, limit, call.text("NextToken").as_deref())?;
    let shown = |secret: &Secret| {
        let mut item = description(secret);
        item["SecretVersionsToStages"] = stages(secret);
        item
    };
    let mut response = json!({"SecretList": found.iter().map(shown).collect::<Vec<_>>()});
    if let Some(token) = next {
        response["NextToken"] = token.into();
    }
    Ok(response)
}

pub fn versions(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let secret = get(cx, &call.required("SecretId")?)?;
    let shown = |version: &Version| json!({"VersionId": version.id, "VersionStages": version.stages, "CreatedDate": seconds(version.created)});
    let versions: Vec<Value> = secret.versions.iter().map(shown).collect();
    Ok(json!({"ARN": secret.arn, "Name": secret.name, "Versions": versions}))
}

/// `UpdateSecretVersionStage`.
pub fn move_stage(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut secret = get_active(cx, &call.required("SecretId")?)?;
    let (from, to) = (call.text("RemoveFromVersionId"), call.text("MoveToVersionId"));
    secret.move_stage(&call.required("VersionStage")?, from.as_deref(), to.as_deref())?;
    secret.store(cx)?;
    Ok(json!({"ARN": secret.arn, "Name": secret.name}))
}

pub fn tag(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut secret = get_active(cx, &call.required("SecretId")?)?;
    secret.tags.extend(tags_of(&call.input["Tags"]));
    for key in texts(call.input.get("TagKeys")) {
        secret.tags.shift_remove(&key);
    }
    secret.store(cx)?;
    Ok(json!({}))
}

fn value_of(call: &Call) -> Result<Option<SecretValue>, AwsError> {
    match (call.text("SecretString"), call.text("SecretBinary")) {
        (Some(_), Some(_)) => Err(AwsError::new(
            "InvalidParameterException",
            "You can't specify both a binary and a string value.",
        )),
        (Some(text), None) => Ok(Some(SecretValue::Text(text))),
        (None, binary) => Ok(binary.map(SecretValue::Binary)),
    }
}

fn value(cx: &Context, secret: &Secret, version: &Version) -> Result<Value, AwsError> {
    let mut response = json!({
        "ARN": secret.arn, "Name": secret.name, "VersionId": version.id, "VersionStages": version.stages,
        "CreatedDate": seconds(version.created),
    });
    match secret.decrypt(cx, version)? {
        SecretValue::Text(text) => response["SecretString"] = text.into(),
        SecretValue::Binary(text) => response["SecretBinary"] = text.into(),
    }
    Ok(response)
}

fn description(secret: &Secret) -> Value {
    let mut response = json!({
        "ARN": secret.arn, "Name": secret.name, "CreatedDate": seconds(secret.created),
        "LastChangedDate": seconds(secret.changed),
    });
    if !secret.tags.is_empty() {
        response["Tags"] = tag_list(&secret.tags);
    }
    if let Some(accessed) = secret.accessed {
        response["LastAccessedDate"] = seconds(accessed);
    }
    let optional = [("Description", &secret.description), ("KmsKeyId", &secret.kms_key)];
    for (member, text) in optional {
        if let Some(text) = text {
            response[member] = text.clone().into();
        }
    }
    // RDS rotates the secrets that it manages every seven days by default ("Password management with RDS and Secrets Manager").
    if let Some(owner) = rotation::owner(secret) {
        response["OwningService"] = owner.into();
        response["RotationEnabled"] = true.into();
        response["RotationRules"] = json!({"AutomaticallyAfterDays": 7});
    }
    if let Some(deleted) = secret.deleted {
        response["DeletedDate"] = seconds(deleted);
    }
    response
}

fn stages(secret: &Secret) -> Value {
    let map: Map<String, Value> = secret
        .versions
        .iter()
        .map(|v| (v.id.clone(), json!(v.stages)))
        .collect();
    Value::Object(map)
}
