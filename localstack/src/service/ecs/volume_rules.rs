//! The rules of volumes and mount points in a task definition.

use serde_json::Value;

use super::error::client;
use super::members::{list, text};
use crate::AwsError;

/// The members of a volume that name storage outside of the task (Amazon ECS API, `Volume`).
const EXTERNAL: [&str; 5] = [
    "dockerVolumeConfiguration",
    "efsVolumeConfiguration",
    "fsxWindowsFileServerVolumeConfiguration",
    "s3filesVolumeConfiguration",
    "configuredAtLaunch",
];

/// Checks the mount points of a new definition.
///
/// # Errors
/// `ClientException` for a mount point without a path, or of an unknown volume.
pub fn check(definition: &Value, containers: &[Value]) -> Result<(), AwsError> {
    for container in containers {
        for point in list(container, "mountPoints") {
            let volume = text(point, "sourceVolume").unwrap_or_default();
            if !list(definition, "volumes")
                .iter()
                .any(|one| text(one, "name") == Some(volume))
            {
                let name = text(container, "name").unwrap_or_default();
                return Err(client(format!("Unknown volume '{volume}' in container '{name}'.")));
            }
            if !text(point, "containerPath").is_some_and(|path| path.starts_with('/') && path.len() > 1) {
                return Err(client("The containerPath of a mount point must be an absolute path."));
            }
        }
    }
    Ok(())
}

/// Returns the member of a volume that the endpoint cannot follow.
pub fn unsupported(volume: &Value) -> Option<&'static str> {
    let is_set = |member: &&&str| {
        volume
            .get(**member)
            .is_some_and(|value| !value.is_null() && *value != false)
    };
    if volume.pointer("/host/sourcePath").is_some() {
        return Some("host.sourcePath");
    }
    EXTERNAL.iter().find(is_set).copied()
}
