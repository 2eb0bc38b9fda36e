//! An image's layers, laid out on disk as the root of its containers.

use std::fs;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail};
use flate2::read::GzDecoder;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::blobs::{Blobs, hex_of};
use super::{images, repository};
use crate::Context;

/// An image that tasks can be started from.
#[derive(Debug, Clone)]
pub struct Unpacked {
    /// Shared by every task of the image: never written to.
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
    /// `uid`, `uid:gid`, or names from the image's own `/etc/passwd`; empty is root.
    pub user: String,
    pub working_dir: String,
}

/// One image is unpacked at a time: two services with the same image must not race.
#[derive(Default)]
struct Unpacking(Mutex<()>);

/// Unpacks `localhost:PORT/NAME@sha256:…` (or `:TAG`, or `@` and `:` both) once, under `state_dir/images/DIGEST`.
pub async fn unpack(cx: &Context, image: &str) -> anyhow::Result<Unpacked> {
    let (name, reference) = parse(cx, image)?;
    let found = images::find(cx, &name, &reference)?;
    let Some(found) = found else {
        repository::find(cx, &name).map_err(|error| anyhow::anyhow!("CannotPullContainerError: {}", error.message))?;
        bail!("CannotPullContainerError: {image} was not found in the repository {name}");
    };
    let hex = hex_of(&found.digest).context("the registry keeps a digest of another form")?;
    let target = cx.state_dir().join("images").join(hex);
    let part = cx.extension::<Unpacking>();
    let _one_at_a_time = part.0.lock().await;
    if !target.exists() {
        let manifest: Value = serde_json::from_slice(&found.manifest(cx)?)?;
        let (blobs, target) = (Blobs::of(cx), target.clone());
        tokio::task::spawn_blocking(move || lay_out(&blobs, &manifest, &target))
            .await?
            .with_context(|| format!("CannotPullContainerError: {image} cannot be unpacked"))?;
    }
    let config = fs::read(target.join("config.json")).with_context(|| format!("{image} was unpacked only in part"))?;
    Ok(Unpacked {
        rootfs: target.join("rootfs"),
        config: serde_json::from_slice(&config)?,
    })
}

fn parse(cx: &Context, image: &str) -> anyhow::Result<(String, String)> {
    let Some((host, rest)) = image.split_once('/') else {
        bail!("CannotPullContainerError: {image} names no registry; images come from this endpoint's ECR");
    };
    let ours = ["localhost", "127.0.0.1"]
        .iter()
        .any(|name| host == format!("{name}:{}", cx.config().port));
    if !ours && !host.contains(".dkr.ecr.") {
        bail!(
            "CannotPullContainerError: {image} is not in this endpoint's registry localhost:{}, and no other is asked",
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

/// Writes everything beside the target, and gives it its name when it is whole.
fn lay_out(blobs: &Blobs, manifest: &Value, target: &Path) -> anyhow::Result<()> {
    let parent = target.parent().context("a target has a parent")?;
    let beside = parent.join(format!(".new-{}", Uuid::new_v4()));
    let done = fill(blobs, manifest, &beside).and_then(|()| Ok(fs::rename(&beside, target)?));
    if done.is_err() {
        let _ = fs::remove_dir_all(&beside);
    }
    done
}

fn fill(blobs: &Blobs, manifest: &Value, folder: &Path) -> anyhow::Result<()> {
    let rootfs = folder.join("rootfs");
    fs::create_dir_all(&rootfs)?;
    let layers = manifest
        .get("layers")
        .and_then(Value::as_array)
        .context("the manifest has no layers")?;
    for layer in layers {
        let path = layer.get("digest").and_then(Value::as_str).and_then(|d| blobs.path(d));
        let path = path.context("a layer has no digest")?;
        let file = BufReader::new(fs::File::open(&path).context("a layer is gone from the registry")?);
        let kind = layer.get("mediaType").and_then(Value::as_str).unwrap_or_default();
        match kind.rsplit(['.', '+']).next().unwrap_or_default() {
            "gzip" => untar(GzDecoder::new(file), &rootfs)?,
            "tar" => untar(file, &rootfs)?,
            _ => bail!("a layer is of the type {kind}; tar and gzip are understood here"),
        }
    }
    let config = manifest
        .pointer("/config/digest")
        .and_then(Value::as_str)
        .and_then(|d| blobs.path(d));
    let config: Value = serde_json::from_slice(&fs::read(config.context("the manifest has no config")?)?)?;
    fs::write(folder.join("config.json"), serde_json::to_vec(&start_of(&config))?)?;
    Ok(())
}

fn untar(layer: impl Read, rootfs: &Path) -> anyhow::Result<()> {
    let mut archive = tar::Archive::new(layer);
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(false);
    archive.set_overwrite(true);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        if path.components().any(|c| matches!(c, Component::ParentDir)) {
            bail!("a layer reaches out of its root: {}", path.display());
        }
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if let Some(hidden) = name.strip_prefix(".wh.") {
            whiteout(rootfs, &path, hidden)?;
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
            bail!("a layer reaches out of its root: {}", path.display());
        }
    }
    Ok(())
}

/// Takes away what a later layer hides: one name, or all that the layers below put into the folder.
fn whiteout(rootfs: &Path, path: &Path, hidden: &str) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let folder = rootfs.join(folder.strip_prefix("/").unwrap_or(folder));
    if !folder.exists() {
        return Ok(());
    }
    let root = rootfs.canonicalize()?;
    if !folder.canonicalize()?.starts_with(&root) {
        bail!("a layer reaches out of its root: {}", path.display());
    }
    if hidden == ".wh..opq" {
        for entry in fs::read_dir(&folder)? {
            remove(&entry?.path())?;
        }
        return Ok(());
    }
    if matches!(hidden, "" | "." | "..") {
        bail!("a layer hides a name that is none: {}", path.display());
    }
    remove(&folder.join(hidden))
}

fn remove(path: &Path) -> anyhow::Result<()> {
    let gone = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match gone {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn start_of(config: &Value) -> OciConfig {
    let of = |name: &str| config.pointer(&format!("/config/{name}")).cloned().unwrap_or_default();
    let text = |name: &str| of(name).as_str().unwrap_or_default().to_owned();
    let texts = |name: &str| crate::records::texts(Some(&of(name)));
    OciConfig {
        entrypoint: texts("Entrypoint"),
        cmd: texts("Cmd"),
        env: texts("Env"),
        user: text("User"),
        working_dir: text("WorkingDir"),
    }
}
