//! `cargo metadata` of a workspace, without any network.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use tokio::process::Command;

use crate::compile::cargo;

/// The packages of a workspace.
#[derive(Debug, Default, Deserialize)]
pub struct Metadata {
    pub(crate) packages: Vec<Package>,
    /// The directory of the workspace's root, which holds Cargo.lock.
    pub workspace_root: PathBuf,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    pub(crate) repository: Option<String>,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    kind: Option<String>,
    /// The directory of a path dependency.
    path: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// A workspace that cargo cannot describe.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// Cargo cannot be run.
    #[error("cannot run cargo: {0}")]
    Cargo(#[source] io::Error),
    /// Cargo reported an error.
    #[error("cargo cannot read {}: {message}", workspace.display())]
    Failed {
        /// The workspace.
        workspace: PathBuf,
        /// Cargo's message.
        message: String,
    },
    /// The output is not that of `cargo metadata`.
    #[error("the output of cargo metadata cannot be read: {0}")]
    Output(#[source] serde_json::Error),
}

impl Metadata {
    /// Returns the names of all binaries.
    pub fn binaries(&self) -> impl Iterator<Item = &str> {
        let targets = self.packages.iter().flat_map(|package| &package.targets);
        let binaries = targets.filter(|target| target.kind.iter().any(|kind| kind == "bin"));
        binaries.map(|target| target.name.as_str())
    }
}

impl Package {
    /// Returns the package's directory.
    pub(crate) fn directory(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }

    /// Returns the directories of the path dependencies that the package is built with.
    pub(crate) fn path_dependencies(&self) -> impl Iterator<Item = &Path> {
        let built_with = self.dependencies.iter().filter(|d| d.kind.as_deref() != Some("dev"));
        built_with.filter_map(|dependency| dependency.path.as_deref())
    }
}

/// Returns the packages of a workspace.
///
/// # Errors
/// Cargo cannot be run, or cannot read the workspace.
pub async fn metadata(workspace: &Path) -> Result<Metadata, MetadataError> {
    let output = Command::new(cargo())
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(workspace)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(MetadataError::Cargo)?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        // The paragraphs after the first describe where cargo found the error.
        let message = message.split("\n\n").next().unwrap_or_default().trim();
        return Err(MetadataError::Failed {
            workspace: workspace.to_owned(),
            message: message.to_owned(),
        });
    }
    serde_json::from_slice(&output.stdout).map_err(MetadataError::Output)
}
