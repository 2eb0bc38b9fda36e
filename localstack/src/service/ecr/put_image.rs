//! `PutImage`: stores a manifest whose layers are in the registry, and tags it.

use serde_json::{Value, json};

use super::{images, model};
use crate::records::WriteLock;
use crate::service::input::only;
use crate::{AwsError, Call, Context};

/// The media type of a manifest that names none.
const DEFAULT_MEDIA_TYPE: &str = "application/vnd.docker.distribution.manifest.v2+json";

pub fn put(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    const MEMBERS: [&str; 6] = [
        "registryId",
        "repositoryName",
        "imageManifest",
        "imageManifestMediaType",
        "imageTag",
        "imageDigest",
    ];
    only(call, "InvalidParameterException", &MEMBERS)?;
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let name = model::repository(cx, &call.required("repositoryName")?)?.id;
    let manifest = call.required("imageManifest")?;
    let parsed: Value = serde_json::from_str(&manifest).unwrap_or_default();
    let own = parsed["mediaType"].as_str().map(str::to_owned);
    let media_type = call.text("imageManifestMediaType").or(own);
    let media_type = media_type.unwrap_or_else(|| DEFAULT_MEDIA_TYPE.into());
    let digest = images::digest(manifest.as_bytes());
    if call.text("imageDigest").is_some_and(|given| given != digest) {
        let message = "Image digest of the manifest and imageDigest do not match.";
        return Err(AwsError::new("ImageDigestDoesNotMatchException", message));
    }
    let tag = call.text("imageTag");
    let existing = images::find(cx, &name, &digest)?;
    if existing.is_some_and(|image| tag.as_ref().is_none_or(|tag| image.tags.contains(tag))) {
        let what = tag.map_or_else(|| digest.clone(), |tag| format!("{digest}' and tag '{tag}"));
        let message = format!(
            "Image with digest '{what}' already exists in the repository with name '{name}' in registry with id '{}'",
            cx.account()
        );
        return Err(AwsError::new("ImageAlreadyExistsException", message));
    }
    let reference = tag.clone().unwrap_or_else(|| digest.clone());
    let image = images::push(cx, &name, &reference, &media_type, manifest.as_bytes()).map_err(|mut error| {
        // The registry's codes and those of the API differ.
        error.code = match error.code.as_str() {
            "MANIFEST_BLOB_UNKNOWN" => "LayersNotFoundException".into(),
            "TAG_INVALID" => "ImageTagAlreadyExistsException".into(),
            "MANIFEST_INVALID" => "InvalidParameterException".into(),
            other => other.to_owned(),
        };
        error
    })?;
    let mut id = json!({"imageDigest": image.digest});
    if let Some(tag) = tag {
        id["imageTag"] = tag.into();
    }
    Ok(json!({"image": {
        "registryId": cx.account(), "repositoryName": name, "imageId": id, "imageManifest": manifest,
        "imageManifestMediaType": image.media_type,
    }}))
}
