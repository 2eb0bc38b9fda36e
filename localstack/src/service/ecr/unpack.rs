//! Unpacking of an image's layers into the root file system of its containers.

use std::fs;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail};
use flate2::read::GzDecoder;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::blobs::{Blobs, hex_digits};
use super::images::Image;
use super::{images, model};
use crate::Context;

/// An image from which tasks can be started.
#[derive(Debug, Clone)]
pub struct Unpacked {
    /// The root file system, shared by all tasks of the image and therefore read-only.
    pub rootfs: PathBuf,
    pub config: OciConfig,
}

/// The part of an image's configuration that starts a process.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct OciConfig {
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// `uid`, `uid:gid`, or names in the image's `/etc/passwd`; empty means root.
    pub user: String,
    pub working_dir: String,
    /// Absolute paths that the image declares as volumes.
    #[serde(default)]
    pub volumes: Vec<String>,
}

/// The reason why a layer is rejected.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    #[error("a layer entry is outside the root directory: {0}")]
    OutsideRoot(PathBuf),
    #[error("a layer has an invalid whiteout entry: {0}")]
    InvalidWhiteout(PathBuf),
    #[error("a layer has the unsupported media type {0}; use tar or tar+gzip")]
    UnsupportedMediaType(String),
}

/// Held while an image is unpacked, so that two services with the same image do not unpack it concurrently.
#[derive(Default)]
struct UnpackLock(Mutex<()>);

/// Unpacks `localhost:PORT/NAME@sha256:…` (or `:TAG`, or both) into `state_dir/images/DIGEST`, unless it is unpacked
/// already.
///
/// # Errors
/// Returns `CannotPullContainerError` if the image does not exist or is invalid.
pub async fn unpack(cx: &Context, image: &str) -> anyhow::Result<Unpacked> {
    let (name, reference) = parse(cx, image)?;
    let found = images::find(cx, &name, &reference)?;
    let Some(found) = found else {
        model::repository(cx, &name).map_err(|error| anyhow::anyhow!("CannotPullContainerError: {}", error.message))?;
        bail!("CannotPullContainerError: {image} was not found in the repository {name}");
    };
    let found = of_platform(cx, &name, image, found)?;
    let hex = hex_digits(&found.digest).context("the digest of the image is invalid")?;
    let target = cx.state_dir().join("images").join(hex);
    let part = cx.shared::<UnpackLock>();
    let _held = part.0.lock().await;
    if !target.exists() {
        let manifest: Value = serde_json::from_slice(&found.manifest(cx)?)?;
        let (blobs, target) = (Blobs::of(cx), target.clone());
        tokio::task::spawn_blocking(move || unpack_layers(&blobs, &manifest, &target))
            .await?
            .with_context(|| format!("CannotPullContainerError: cannot unpack {image}"))?;
    }
    let config =
        fs::read(target.join("config.json")).with_context(|| format!("{image} was not unpacked completely"))?;
    Ok(Unpacked {
        rootfs: target.join("rootfs"),
        config: serde_json::from_slice(&config)?,
    })
}

/// Returns the image of an index (a list of images for several platforms) that is for this machine, or the image itself.
fn of_platform(cx: &Context, repository: &str, name: &str, image: Image) -> anyhow::Result<Image> {
    let manifest: Value = serde_json::from_slice(&image.manifest(cx)?)?;
    let Some(manifests) = manifest.get("manifests").and_then(Value::as_array) else {
        return Ok(image);
    };
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let fits = |one: &&Value| one["platform"]["os"] == "linux" && one["platform"]["architecture"] == architecture;
    let digest = manifests.iter().find(fits).and_then(|one| one["digest"].as_str());
    let found = digest.map(|digest| images::find(cx, repository, digest)).transpose()?;
    found.flatten().with_context(|| {
        format!(
            "CannotPullContainerError: image Manifest does not contain descriptor matching platform 'linux/{architecture}': \
             {name}"
        )
    })
}

fn parse(cx: &Context, image: &str) -> anyhow::Result<(String, String)> {
    let Some((host, rest)) = image.split_once('/') else {
        bail!("CannotPullContainerError: {image} has no registry. Use an image of this endpoint's ECR.");
    };
    let is_local = ["localhost", "127.0.0.1"]
        .iter()
        .any(|name| host == format!("{name}:{}", cx.config().port));
    if !is_local && !host.contains(".dkr.ecr.") {
        bail!(
            "CannotPullContainerError: {image} is not in this endpoint's registry localhost:{}, the only one supported",
            cx.config().port
        );
    }
    let (rest, digest) = match rest.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest.to_owned())),
        None => (rest, None),
    };
    let (name, tag) = rest.split_once(':').unwrap_or((rest, "latest"));
    Ok((name.to_owned(), digest.unwrap_or_else(|| tag.to_owned())))
}

/// Writes everything to a temporary folder beside the target, and renames it when it is complete.
fn unpack_layers(blobs: &Blobs, manifest: &Value, target: &Path) -> anyhow::Result<()> {
    let parent = target.parent().context("the target has no parent folder")?;
    let temporary = parent.join(format!(".new-{}", Uuid::new_v4()));
    let result = write_layers(blobs, manifest, &temporary).and_then(|()| Ok(fs::rename(&temporary, target)?));
    if result.is_err() {
        let _ = fs::remove_dir_all(&temporary);
    }
    result
}

fn write_layers(blobs: &Blobs, manifest: &Value, folder: &Path) -> anyhow::Result<()> {
    let rootfs = folder.join("rootfs");
    fs::create_dir_all(&rootfs)?;
    let layers = manifest
        .get("layers")
        .and_then(Value::as_array)
        .context("the manifest has no layers")?;
    for layer in layers {
        let path = layer.get("digest").and_then(Value::as_str).and_then(|d| blobs.path(d));
        let path = path.context("a layer has no digest")?;
        let media_type = layer.get("mediaType").and_then(Value::as_str).unwrap_or_default();
        // Whiteouts hide what the layers below have, at whatever place they are in the archive (OCI image layer, "Whiteouts").
        apply_whiteouts(open(&path, media_type)?, &rootfs)?;
        untar(open(&path, media_type)?, &rootfs)?;
    }
    let config = manifest
        .pointer("/config/digest")
        .and_then(Value::as_str)
        .and_then(|d| blobs.path(d));
    let config: Value = serde_json::from_slice(&fs::read(config.context("the manifest has no config")?)?)?;
    fs::write(folder.join("config.json"), serde_json::to_vec(&oci_config(&config))?)?;
    Ok(())
}

/// Returns the archive of a layer.
fn open(path: &Path, media_type: &str) -> anyhow::Result<Box<dyn Read>> {
    let file = BufReader::new(fs::File::open(path).context("cannot read a layer in the registry")?);
    match media_type.rsplit(['.', '+']).next().unwrap_or_default() {
        "gzip" => Ok(Box::new(GzDecoder::new(file))),
        "tar" => Ok(Box::new(file)),
        _ => Err(UnpackError::UnsupportedMediaType(media_type.to_owned()).into()),
    }
}

/// Deletes what a layer hides, before its own entries are written.
fn apply_whiteouts(layer: impl Read, rootfs: &Path) -> anyhow::Result<()> {
    for entry in tar::Archive::new(layer).entries()? {
        let path = entry?.path()?.into_owned();
        if let Some(hidden) = hidden_by(&path)? {
            whiteout(rootfs, &path, hidden)?;
        }
    }
    Ok(())
}

/// Returns the name that a whiteout entry hides; `None` for any other entry.
fn hidden_by(path: &Path) -> anyhow::Result<Option<&str>> {
    if path.components().any(|c| matches!(c, Component::ParentDir)) {
        return Err(UnpackError::OutsideRoot(path.to_owned()).into());
    }
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    Ok(name.strip_prefix(".wh."))
}

fn untar(layer: impl Read, rootfs: &Path) -> anyhow::Result<()> {
    let mut archive = tar::Archive::new(layer);
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(false);
    archive.set_overwrite(true);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        if hidden_by(&path)?.is_some() {
            continue;
        }
        if matches!(
            entry.header().entry_type(),
            tar::EntryType::Block | tar::EntryType::Char
        ) {
            continue;
        }
        if !entry
            .unpack_in(rootfs)
            .with_context(|| format!("cannot write {}", path.display()))?
        {
            return Err(UnpackError::OutsideRoot(path).into());
        }
    }
    Ok(())
}

/// Deletes the entry that a layer hides, or for `.wh..wh..opq` all entries of the folder (OCI image layer,
/// "Whiteouts").
fn whiteout(rootfs: &Path, path: &Path, hidden: &str) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let folder = rootfs.join(folder.strip_prefix("/").unwrap_or(folder));
    if !folder.exists() {
        return Ok(());
    }
    let root = rootfs.canonicalize()?;
    if !folder.canonicalize()?.starts_with(&root) {
        return Err(UnpackError::OutsideRoot(path.to_owned()).into());
    }
    if hidden == ".wh..opq" {
        for entry in fs::read_dir(&folder)? {
            delete(&entry?.path())?;
        }
        return Ok(());
    }
    if matches!(hidden, "" | "." | "..") {
        return Err(UnpackError::InvalidWhiteout(path.to_owned()).into());
    }
    delete(&folder.join(hidden))
}

fn delete(path: &Path) -> anyhow::Result<()> {
    let result = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Reads the part of an image's configuration that starts a process.
fn oci_config(config: &Value) -> OciConfig {
    let of = |name: &str| config.pointer(&format!("/config/{name}")).cloned().unwrap_or_default();
    let text = |name: &str| of(name).as_str().unwrap_or_default().to_owned();
    let texts = |name: &str| crate::records::texts(Some(&of(name)));
    OciConfig {
        entrypoint: texts("Entrypoint"),
        cmd: texts("Cmd"),
        env: texts("Env"),
        user: text("User"),
        working_dir: text("WorkingDir"),
        volumes: of("Volumes")
            .as_object()
            .map_or_else(Vec::new, |all| all.keys().cloned().collect()),
    }
}
