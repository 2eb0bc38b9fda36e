//! `AWS::ECR::Repository`.

use serde_json::Value;

use super::images;
use super::model::{REPOSITORIES, arn, uri};
use crate::records::{Record, RecordType, Records};
use crate::{AwsError, Context, Desired, Resource, Schema};

pub struct Repository;

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
        check_new_name(cx, &name)?;
        let record = Record::new(name, desired);
        check(&record)?;
        Ok(record)
    }

    fn update(_cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        check(record)
    }

    fn resource(cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id)
            .with("Arn", arn(cx, &record.id))
            .with("RepositoryUri", uri(cx, &record.id))
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        delete_images(cx, &record.id, record.has("EmptyOnDelete", "true"))
    }
}

fn check(record: &Record) -> Result<(), AwsError> {
    match record.text("ImageTagMutability").as_deref() {
        None | Some("MUTABLE" | "IMMUTABLE") => Ok(()),
        Some(other) if !other.ends_with("MUTABLE_WITH_EXCLUSION") => Err(AwsError::new(
            "InvalidParameterException",
            "Invalid parameter at 'imageTagMutability' failed to satisfy constraint: 'Member must satisfy enum value set: [IMMUTABLE, MUTABLE, MUTABLE_WITH_EXCLUSION, IMMUTABLE_WITH_EXCLUSION]'",
        )),
        Some(other) => Err(AwsError::new(
            "InvalidParameterException",
            format!(
                "Invalid parameter at 'imageTagMutability': the embedded endpoint supports MUTABLE and IMMUTABLE, not {other}"
            ),
        )),
    }
}

/// Checks that the name of a new repository is valid and free.
fn check_new_name(cx: &Context, name: &str) -> Result<(), AwsError> {
    let is_valid_part = |part: &str| {
        let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        ends(part.chars().next())
            && ends(part.chars().last())
            && part
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c))
    };
    if !(2..=256).contains(&name.len()) || !name.split('/').all(is_valid_part) {
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

/// Deletes the images of a repository that is being deleted; returns an error if there are images and `force` is false.
pub fn delete_images(cx: &Context, name: &str, force: bool) -> Result<(), AwsError> {
    let images = images::list(cx, name)?;
    if !images.is_empty() && !force {
        return Err(AwsError::new(
            "RepositoryNotEmptyException",
            format!(
                "The repository with name '{name}' in registry with id '{}' cannot be deleted because it still \
                 contains images",
                cx.account()
            ),
        ));
    }
    for image in images {
        images::delete(cx, &image)?;
    }
    Ok(())
}
