//! The ephemeral volumes of a task: folders that its containers share, and that are deleted with it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::members::{boolean, list, text};
use super::model::{self, Task};
use crate::Context;
use crate::runtime::task::{self, VolumeMount};
use crate::service::ecr::Unpacked;

/// The folder of a task's volumes, beside those of its containers, whose names have no dot.
const FOLDER: &str = ".volumes";
/// Creates the volumes of a container that do not exist, and returns its mounts.
///
/// # Errors
/// When a folder cannot be created.
pub fn mounts(
    cx: &Context,
    task: &Task,
    container: &Value,
    image: &Unpacked,
    user: &str,
) -> anyhow::Result<Vec<VolumeMount>> {
    let mut mounts = Vec::new();
    for point in list(container, "mountPoints") {
        let (Some(volume), Some(path)) = (text(point, "sourceVolume"), text(point, "containerPath")) else {
            continue;
        };
        let source = model::task_folder(cx, &task.id).join(FOLDER).join(volume);
        if !source.exists() {
            create(&source, path, image, user).with_context(|| format!("cannot create the volume {volume}"))?;
        }
        mounts.push(VolumeMount {
            source,
            target: path.into(),
            read_only: boolean(point.get("readOnly")).unwrap_or(false),
        });
    }
    Ok(mounts)
}

/// Creates a volume: root's and empty, or with the content that the image declares as a volume (Amazon ECS Developer Guide, "Use bind mounts
/// with Amazon ECS"). The layers are unpacked without owners, so a declared volume is the user's.
fn create(folder: &Path, path: &str, image: &Unpacked, user: &str) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    if image
        .config
        .volumes
        .iter()
        .any(|declared| declared.trim_end_matches('/') == path.trim_end_matches('/'))
    {
        let (uid, gid) = task::user_of(&image.rootfs, user)?;
        copy(&image.rootfs.join(path.trim_start_matches('/')), folder, (uid, gid))?;
        own(folder, (uid, gid))?;
    }
    Ok(())
}

/// Changes the owner. Only root can, and without root the container's user is the endpoint's.
fn own(path: &Path, (uid, gid): (u32, u32)) -> anyhow::Result<()> {
    match chown(path, Some(uid), Some(gid)) {
        Err(error) if error.kind() != std::io::ErrorKind::PermissionDenied => Err(error.into()),
        _ => Ok(()),
    }
}

fn copy(from: &Path, to: &Path, owner: (u32, u32)) -> anyhow::Result<()> {
    for entry in fs::read_dir(from).into_iter().flatten() {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, &target)?;
            continue;
        }
        if kind.is_dir() {
            fs::create_dir(&target)?;
            fs::set_permissions(&target, entry.metadata()?.permissions())?;
            copy(&entry.path(), &target, owner)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
        own(&target, owner)?;
    }
    Ok(())
}
