//! `AWS::ECR::Repository`.

use serde_json::{Value, json};

use super::images;
use crate::records::{Record, RecordType, Records, seconds};
use crate::{AwsError, Context, Desired, Resource, Schema};

pub struct Repository;

pub const REPOSITORIES: Records = Records("ecr.repositories");

impl RecordType for Repository {
    const TYPE: &'static str = "AWS::ECR::Repository";
    const RECORDS: Records = REPOSITORIES;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "EmptyOnDelete",
                "EncryptionConfiguration",
                "ImageScanningConfiguration",
                "ImageTagMutability",
                "ImageTagMutabilityExclusionFilters",
                "LifecyclePolicy",
                "RepositoryName",
                "RepositoryPolicyText",
                "Tags",
            ],
            required: &[],
            create_only: &["RepositoryName", "EncryptionConfiguration"],
            attributes: &["Arn", "RepositoryUri"],
            write_only: &["EmptyOnDelete"],
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let name = match desired.properties.get("RepositoryName").and_then(Value::as_str) {
            Some(name) => name.to_owned(),
            None => desired.generated_name(256).to_lowercase(),
        };
        check_new(cx, &name)?;
        Ok(Record::new(name, desired))
    }

    fn resource(cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id)
            .with("Arn", arn(cx, &record.id))
            .with("RepositoryUri", uri(cx, &record.id))
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        empty_first(cx, &record.id, record.has("EmptyOnDelete", "true"))
    }
}

/// Refuses a name that ECR refuses, and one that is taken.
pub fn check_new(cx: &Context, name: &str) -> Result<(), AwsError> {
    let part = |part: &str| {
        let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        ends(part.chars().next())
            && ends(part.chars().last())
            && part
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c))
    };
    if !(2..=256).contains(&name.len()) || !name.split('/').all(part) {
        return Err(AwsError::new(
            "InvalidParameterException",
            format!(
                "Invalid parameter at 'repositoryName' failed to satisfy constraint: '{name}' must satisfy regular \
                 expression '(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*'"
            ),
        ));
    }
    if REPOSITORIES.get(cx, name)?.is_some() {
        return Err(AwsError::new(
            "RepositoryAlreadyExistsException",
            format!(
                "The repository with name '{name}' already exists in the registry with id '{}'",
                cx.account()
            ),
        ));
    }
    Ok(())
}

/// Takes the images away when that is allowed; refuses to leave them.
pub fn empty_first(cx: &Context, name: &str, allowed: bool) -> Result<(), AwsError> {
    let held = images::list(cx, name)?;
    if !held.is_empty() && !allowed {
        return Err(AwsError::new(
            "RepositoryNotEmptyException",
            format!(
                "The repository with name '{name}' in registry with id '{}' cannot be deleted because it still \
                 contains images",
                cx.account()
            ),
        ));
    }
    for image in held {
        images::remove(cx, &image)?;
    }
    Ok(())
}

pub fn find(cx: &Context, name: &str) -> Result<Record, AwsError> {
    REPOSITORIES.get(cx, name)?.ok_or_else(|| {
        AwsError::new(
            "RepositoryNotFoundException",
            format!(
                "The repository with name '{name}' does not exist in the registry with id '{}'",
                cx.account()
            ),
        )
    })
}

pub fn arn(cx: &Context, name: &str) -> String {
    cx.arn("ecr", &format!("repository/{name}"))
}

pub fn uri(cx: &Context, name: &str) -> String {
    format!("localhost:{}/{name}", cx.config().port)
}

/// As `DescribeRepositories` shows it.
pub fn shown(cx: &Context, record: &Record) -> Value {
    json!({
        "repositoryArn": arn(cx, &record.id),
        "registryId": cx.account(),
        "repositoryName": record.id,
        "repositoryUri": uri(cx, &record.id),
        "createdAt": seconds(record.created),
        "imageTagMutability": record.text("ImageTagMutability").unwrap_or_else(|| "MUTABLE".into()),
        "imageScanningConfiguration": {"scanOnPush": false},
        "encryptionConfiguration": {"encryptionType": "AES256"},
    })
}
