//! The images of a repository: manifests by digest, and their tags.

use std::collections::HashSet;
use std::fs;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::blobs::{Blobs, hex_digits};
use super::model::REPOSITORIES;
use crate::records::{now, seconds};
use crate::{AwsError, Context};

const IMAGES: &str = "ecr.images";

/// A manifest in a repository.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Image {
    pub repository: String,
    pub digest: String,
    pub media_type: String,
    pub tags: Vec<String>,
    /// The size of its layers and config in bytes.
    pub size: u64,
    /// Milliseconds since 1970.
    pub pushed: i64,
}

impl Image {
    fn key(&self) -> String {
        format!("{}@{}", self.repository, self.digest)
    }

    pub fn manifest(&self, cx: &Context) -> Result<Vec<u8>, AwsError> {
        let path = Blobs::of(cx)
            .path(&self.digest)
            .ok_or_else(|| AwsError::internal(format!("the digest {} is invalid", self.digest)))?;
        fs::read(path).map_err(|error| AwsError::internal(format!("cannot read the manifest {}: {error}", self.digest)))
    }

    pub fn description(&self, cx: &Context) -> Value {
        let mut description = json!({
            "registryId": cx.account(),
            "repositoryName": self.repository,
            "imageDigest": self.digest,
            "imageSizeInBytes": self.size,
            "imagePushedAt": seconds(self.pushed),
            "imageManifestMediaType": self.media_type,
        });
        if !self.tags.is_empty() {
            description["imageTags"] = json!(self.tags);
        }
        description
    }
}

/// Returns the error for an image that a repository does not have.
pub fn not_found(cx: &Context, repository: &str, id: &Value) -> AwsError {
    let member = |name: &str| id[name].as_str().unwrap_or("null").to_owned();
    AwsError::new(
        "ImageNotFoundException",
        format!(
            "The image with imageId {{imageDigest:'{}', imageTag:'{}'}} does not exist within the repository with name '{repository}' in the registry with id '{}'",
            member("imageDigest"),
            member("imageTag"),
            cx.account()
        ),
    )
}

pub fn by_id(cx: &Context, repository: &str, id: &Value) -> Result<Option<Image>, AwsError> {
    let member = |name: &str| id.get(name).and_then(Value::as_str);
    match member("imageDigest").or(member("imageTag")) {
        Some(reference) => find(cx, repository, reference),
        None => Ok(None),
    }
}

pub fn list(cx: &Context, repository: &str) -> Result<Vec<Image>, AwsError> {
    Ok(all(cx)?
        .into_iter()
        .filter(|image| image.repository == repository)
        .collect())
}

/// Finds an image by its digest (`sha256:…`) or by a tag.
pub fn find(cx: &Context, repository: &str, reference: &str) -> Result<Option<Image>, AwsError> {
    if reference.starts_with("sha256:") {
        return Ok(cx.store().get(IMAGES, &format!("{repository}@{reference}"))?);
    }
    Ok(list(cx, repository)?
        .into_iter()
        .find(|image| image.tags.iter().any(|tag| tag == reference)))
}

/// Returns the digest of a manifest.
pub fn digest(manifest: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(manifest)))
}

/// Stores a manifest. If the reference is a tag, moves the tag to it.
pub fn push(
    cx: &Context,
    repository: &str,
    reference: &str,
    media_type: &str,
    manifest: &[u8],
) -> Result<Image, AwsError> {
    let parsed: Value = serde_json::from_slice(manifest)
        .map_err(|error| AwsError::new("MANIFEST_INVALID", format!("The manifest is not JSON: {error}")))?;
    let blobs = Blobs::of(cx);
    let mut size = 0;
    for digest in referenced_digests(&parsed) {
        size += blobs.size(&digest).ok_or_else(|| {
            AwsError::new(
                "MANIFEST_BLOB_UNKNOWN",
                format!("The manifest names the blob {digest}, which was not uploaded."),
            )
        })?;
    }
    let digest = blobs.put(manifest)?;
    let tag = (!reference.starts_with("sha256:")).then(|| reference.to_owned());
    if tag.is_none() && reference != digest {
        return Err(AwsError::new(
            "DIGEST_INVALID",
            format!("The manifest's digest is {digest}, not {reference}."),
        ));
    }
    let mut image = find(cx, repository, &digest)?.unwrap_or(Image {
        repository: repository.to_owned(),
        digest,
        media_type: media_type.to_owned(),
        tags: Vec::new(),
        size,
        pushed: now(),
    });
    if let Some(tag) = tag {
        move_tag(cx, &mut image, tag)?;
    }
    cx.store().put(IMAGES, &image.key(), &image)?;
    Ok(image)
}

fn move_tag(cx: &Context, image: &mut Image, tag: String) -> Result<(), AwsError> {
    if image.tags.contains(&tag) {
        return Ok(());
    }
    if let Some(mut former) = find(cx, &image.repository, &tag)? {
        let fixed = REPOSITORIES
            .get(cx, &image.repository)?
            .is_some_and(|r| r.has("ImageTagMutability", "IMMUTABLE"));
        if fixed {
            return Err(AwsError::new(
                "TAG_INVALID",
                format!(
                    "The image tag '{tag}' already exists in '{}' and cannot be moved: tags are immutable.",
                    image.repository
                ),
            ));
        }
        former.tags.retain(|t| *t != tag);
        cx.store().put(IMAGES, &former.key(), &former)?;
    }
    image.tags.push(tag);
    Ok(())
}

/// Deletes an image, its unpacked files, and the blobs that no other image references.
pub fn delete(cx: &Context, image: &Image) -> Result<(), AwsError> {
    let manifest: Value = serde_json::from_slice(&image.manifest(cx)?).unwrap_or_default();
    cx.store().delete(IMAGES, &image.key())?;
    let mut referenced = HashSet::new();
    for other in all(cx)? {
        referenced.extend(referenced_digests(
            &serde_json::from_slice(&other.manifest(cx)?).unwrap_or_default(),
        ));
        referenced.insert(other.digest);
    }
    let blobs = Blobs::of(cx);
    for digest in referenced_digests(&manifest).into_iter().chain([image.digest.clone()]) {
        if !referenced.contains(&digest) {
            blobs.delete(&digest);
        }
    }
    if !referenced.contains(&image.digest)
        && let Some(hex) = hex_digits(&image.digest)
    {
        let _ = fs::remove_dir_all(cx.state_dir().join("images").join(hex));
    }
    Ok(())
}

/// Removes one tag from an image.
pub fn untag(cx: &Context, mut image: Image, tag: &str) -> Result<(), AwsError> {
    image.tags.retain(|t| t != tag);
    Ok(cx.store().put(IMAGES, &image.key(), &image)?)
}

/// Lists the images of all repositories.
pub fn all(cx: &Context) -> Result<Vec<Image>, AwsError> {
    Ok(cx.store().list(IMAGES)?.into_iter().map(|(_, image)| image).collect())
}

/// Returns the digests in a manifest or an index.
fn referenced_digests(manifest: &Value) -> Vec<String> {
    let list = |member: &str| {
        manifest
            .get(member)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let descriptors = manifest
        .get("config")
        .cloned()
        .into_iter()
        .chain(list("layers"))
        .chain(list("manifests"));
    descriptors
        .filter_map(|d| d.get("digest").and_then(Value::as_str).map(str::to_owned))
        .collect()
}
