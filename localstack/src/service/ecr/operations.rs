//! The operations of the ECR API.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::images::{self, Image};
use super::model::{self, REPOSITORIES};
use super::repository::{Repository, delete_images};
use super::{policies, put_image, registry_settings};
use crate::records::{Record, RecordType, WriteLock, now, page, seconds};
use crate::service::input::{only, retag};
use crate::{AwsError, Call, Context};

pub async fn call(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    check_registry(cx, call)?;
    match call.operation.as_str() {
        "GetAuthorizationToken" => Ok(authorization(cx)),
        "CreateRepository" => create(cx, call).await,
        "DeleteRepository" => delete(cx, call),
        "DescribeRepositories" => describe_repositories(cx, call),
        "DescribeImages" => describe_images(cx, call),
        "ListImages" => list_images(cx, call),
        "BatchGetImage" => batch_get(cx, call),
        "BatchDeleteImage" => batch_delete(cx, call),
        "PutImage" => put_image::put(cx, call),
        "PutImageTagMutability" | "PutImageScanningConfiguration" => settings(cx, call).await,
        "PutLifecyclePolicy" | "GetLifecyclePolicy" | "DeleteLifecyclePolicy" => {
            policies::call(cx, call, &policies::LIFECYCLE).await
        }
        "SetRepositoryPolicy" | "GetRepositoryPolicy" | "DeleteRepositoryPolicy" => {
            policies::call(cx, call, &policies::REPOSITORY).await
        }
        "DescribeRegistry"
        | "PutReplicationConfiguration"
        | "PutRegistryPolicy"
        | "GetRegistryPolicy"
        | "DeleteRegistryPolicy"
        | "PutRegistryScanningConfiguration"
        | "GetRegistryScanningConfiguration"
        | "BatchGetRepositoryScanningConfiguration"
        | "StartImageScan"
        | "DescribeImageScanFindings" => registry_settings::call(cx, call),
        "ListTagsForResource" => Ok(json!({"tags": tagged(cx, call)?.tag_list()})),
        "TagResource" | "UntagResource" => {
            let id = tagged(cx, call)?.id;
            retag(cx, REPOSITORIES, &id, &call.input["tags"], &call.input["tagKeys"])?;
            Ok(json!({}))
        }
        other => Err(AwsError::not_implemented("ecr", other)),
    }
}

/// Refuses the registry of another account, of which there is none here.
fn check_registry(cx: &Context, call: &Call) -> Result<(), AwsError> {
    let Some(other) = call.text("registryId").filter(|id| id != cx.account()) else {
        return Ok(());
    };
    let name = call
        .text("repositoryName")
        .or(call.texts("repositoryNames").into_iter().next());
    let message = format!(
        "The repository with name '{}' does not exist in the registry with id '{other}'",
        name.unwrap_or_else(|| "*".into())
    );
    Err(AwsError::new("RepositoryNotFoundException", message))
}

/// Returns a token with the name of the region, by which the registry finds its repositories. It is no secret: the registry listens on
/// loopback and checks none.
fn authorization(cx: &Context) -> Value {
    json!({"authorizationData": [{
        "authorizationToken": STANDARD.encode(format!("AWS:{}", cx.region())),
        "expiresAt": seconds(now() + 12 * 3_600_000),
        "proxyEndpoint": format!("http://localhost:{}", cx.config().port),
    }]})
}

async fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    const MEMBERS: [&str; 6] = [
        "registryId",
        "repositoryName",
        "imageTagMutability",
        "imageScanningConfiguration",
        "encryptionConfiguration",
        "tags",
    ];
    only(call, "InvalidParameterException", &MEMBERS)?;
    let mut desired = json!({"RepositoryName": call.required("repositoryName")?, "Tags": call.list("tags")});
    for (member, property) in [
        ("imageTagMutability", "ImageTagMutability"),
        ("imageScanningConfiguration", "ImageScanningConfiguration"),
        ("encryptionConfiguration", "EncryptionConfiguration"),
    ] {
        if let Some(value) = call.input.get(member) {
            desired[property] = upper_camel(value);
        }
    }
    let created = cx.create_resource(Repository::TYPE, desired).await?;
    let record = model::repository(cx, &created.physical_id)?;
    Ok(json!({"repository": model::description(cx, &record)}))
}

/// `PutImageTagMutability` and `PutImageScanningConfiguration`.
async fn settings(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (member, property) = match call.operation.as_str() {
        "PutImageTagMutability" => ("imageTagMutability", "ImageTagMutability"),
        _ => ("imageScanningConfiguration", "ImageScanningConfiguration"),
    };
    only(
        call,
        "InvalidParameterException",
        &["registryId", "repositoryName", member],
    )?;
    let name = model::repository(cx, &call.required("repositoryName")?)?.id;
    let value = call.input.get(member).cloned().unwrap_or_default();
    let set = |properties: &mut Map<String, Value>| {
        properties.insert(property.into(), upper_camel(&value));
        Ok(())
    };
    cx.update_resource(Repository::TYPE, &name, set).await?;
    Ok(json!({"registryId": cx.account(), "repositoryName": name, member: value}))
}

/// Returns a value whose members begin with a capital, as those of a template do.
fn upper_camel(value: &Value) -> Value {
    let Value::Object(members) = value else {
        return value.clone();
    };
    let upper = |name: &str| name[..1].to_uppercase() + &name[1..];
    let members = members
        .iter()
        .filter(|(name, _)| !name.is_empty() && name.is_char_boundary(1));
    Value::Object(members.map(|(name, value)| (upper(name), value.clone())).collect())
}

fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let record = model::repository(cx, &call.required("repositoryName")?)?;
    delete_images(cx, &record.id, call.boolean("force").unwrap_or(false))?;
    REPOSITORIES.delete(cx, &record.id)?;
    Ok(json!({"repository": model::description(cx, &record)}))
}

fn describe_repositories(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let names = call.texts("repositoryNames");
    let found = if names.is_empty() {
        REPOSITORIES.list(cx)?
    } else {
        names
            .iter()
            .map(|name| model::repository(cx, name))
            .collect::<Result<_, _>>()?
    };
    let (found, next) = paged(call, found)?;
    let shown: Vec<Value> = found.iter().map(|record| model::description(cx, record)).collect();
    Ok(with_token(json!({"repositories": shown}), next))
}

fn describe_images(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let name = model::repository(cx, &call.required("repositoryName")?)?.id;
    let ids = call.list("imageIds");
    let mut found = Vec::new();
    for id in &ids {
        let image = images::by_id(cx, &name, id)?.ok_or_else(|| images::not_found(cx, &name, id))?;
        found.push(image);
    }
    if ids.is_empty() {
        found = images::list(cx, &name)?;
        found.retain(status_filter(call)?);
    }
    let (found, next) = paged(call, found)?;
    let shown: Vec<Value> = found.iter().map(|image| image.description(cx)).collect();
    Ok(with_token(json!({"imageDetails": shown}), next))
}

fn list_images(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let name = model::repository(cx, &call.required("repositoryName")?)?.id;
    let mut ids = Vec::new();
    let mut found = images::list(cx, &name)?;
    found.retain(status_filter(call)?);
    for image in found {
        if image.tags.is_empty() {
            ids.push(json!({"imageDigest": image.digest}));
        }
        ids.extend(
            image
                .tags
                .iter()
                .map(|tag| json!({"imageDigest": image.digest, "imageTag": tag})),
        );
    }
    let (ids, next) = paged(call, ids)?;
    Ok(with_token(json!({"imageIds": ids}), next))
}

fn batch_get(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let name = model::repository(cx, &call.required("repositoryName")?)?.id;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for id in call.list("imageIds") {
        let Some(image) = images::by_id(cx, &name, &id)? else {
            failures.push(not_found(&id));
            continue;
        };
        let mut image_id = json!({"imageDigest": image.digest});
        if let Some(tag) = id.get("imageTag") {
            image_id["imageTag"] = tag.clone();
        }
        found.push(json!({
            "registryId": cx.account(),
            "repositoryName": name,
            "imageId": image_id,
            "imageManifest": String::from_utf8_lossy(&image.manifest(cx)?),
            "imageManifestMediaType": image.media_type,
        }));
    }
    Ok(json!({"images": found, "failures": failures}))
}

fn batch_delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let name = model::repository(cx, &call.required("repositoryName")?)?.id;
    let (mut deleted, mut failures) = (Vec::new(), Vec::new());
    for id in call.list("imageIds") {
        let Some(image) = images::by_id(cx, &name, &id)? else {
            failures.push(not_found(&id));
            continue;
        };
        let tag = id.get("imageTag").and_then(Value::as_str);
        deleted.push(json!({"imageDigest": image.digest, "imageTag": tag}));
        match tag {
            Some(tag) if image.tags.len() > 1 && id.get("imageDigest").is_none() => images::untag(cx, image, tag)?,
            _ => images::delete(cx, &image)?,
        }
    }
    Ok(json!({"imageIds": deleted, "failures": failures}))
}

/// Returns the repository whose tags a call reads or changes.
fn tagged(cx: &Context, call: &Call) -> Result<Record, AwsError> {
    let arn = call.required("resourceArn")?;
    let invalid = || {
        let message = "Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN'";
        AwsError::new("InvalidParameterException", message)
    };
    let (_, name) = arn.split_once(":repository/").ok_or_else(invalid)?;
    model::repository(cx, name)
}

/// Returns the member `tagStatus` of a call's filter: `TAGGED`, `UNTAGGED` or `ANY`.
fn status_filter(call: &Call) -> Result<impl Fn(&Image) -> bool + use<>, AwsError> {
    let status = call.input.pointer("/filter/tagStatus").and_then(Value::as_str);
    let tagged = match status.unwrap_or("ANY") {
        "TAGGED" => Some(true),
        "UNTAGGED" => Some(false),
        "ANY" => None,
        other => {
            let message = format!("Invalid parameter at 'filter.tagStatus': {other} is not TAGGED, UNTAGGED or ANY");
            return Err(AwsError::new("InvalidParameterException", message));
        }
    };
    Ok(move |image: &Image| tagged.is_none_or(|tagged| tagged != image.tags.is_empty()))
}

fn not_found(id: &Value) -> Value {
    if id.get("imageDigest").or(id.get("imageTag")).is_none() {
        let reason = "Invalid request parameters: both tag and digest cannot be null";
        return json!({"imageId": id, "failureCode": "MissingDigestAndTag", "failureReason": reason});
    }
    json!({"imageId": id, "failureCode": "ImageNotFound", "failureReason": "Requested image not found"})
}

fn paged<T>(call: &Call, items: Vec<T>) -> Result<(Vec<T>, Option<String>), AwsError> {
    let limit = call.limit("maxResults", 100, 1..=1000);
    page(items, limit, call.text("nextToken").as_deref())
}

fn with_token(mut response: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        response["nextToken"] = next.into();
    }
    response
}
