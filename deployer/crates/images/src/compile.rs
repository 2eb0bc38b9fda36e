//! One `cargo build --release` for all packages of the images.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use crate::architecture::Architecture;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// A build that failed.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// Cargo cannot be run.
    #[error("cannot run cargo in {}: {source}", workspace.display())]
    Cargo {
        /// The workspace.
        workspace: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// Cargo reported an error.
    #[error("{package} does not compile\n{excerpt}")]
    Failed {
        /// The first package that does not compile; `cargo` if none was compiled.
        package: String,
        /// Cargo's output from the first error on, at most 40 lines.
        excerpt: String,
    },
    /// Rust's standard library for the architecture is not installed.
    #[error("{} cannot be built for linux/{architecture} here: Rust's standard library for {} is not installed", packages.join(", "), architecture.target())]
    NoTarget {
        /// The packages.
        packages: Vec<String>,
        /// Their architecture, which is not this machine's.
        architecture: Architecture,
    },
    /// A package has no binary of its name.
    #[error("the package {0} has no binary of its name, and an image is made of one")]
    NoBinary(String),
}

impl CompileError {
    /// Returns what to do next, if the message does not say it already.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoTarget { architecture, .. } => Some(format!(
                "`rustup target add {}`, with a linker and libraries for it (Debian: crossbuild-essential-{architecture}); \
                 or build on a machine of that architecture; or push an image and name it with `image`",
                architecture.target()
            )),
            Self::Cargo { .. } | Self::Failed { .. } | Self::NoBinary(_) => None,
        }
    }
}

/// Maximum length of [`CompileError::Failed`]'s excerpt.
const MAX_EXCERPT_LINES: usize = 40;

/// Progress of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompileProgress<'a> {
    /// A line of cargo's output.
    Line(&'a str),
    /// Another crate was compiled; a build that has nothing to compile reports none.
    Crates {
        /// Crates that are finished, including those that were compiled before.
        finished: usize,
        /// Crates that the packages depend on, and the packages themselves; `None` until cargo has reported it.
        total: Option<usize>,
    },
}

/// Compiles `packages` of a workspace in release mode for an architecture, and returns the path of each package's binary.
///
/// `on_progress` receives cargo's output, line by line, and the number of crates.
///
/// # Errors
/// Cargo cannot be run or reports an error, Rust cannot compile for the architecture here, or a package has no binary of its name.
pub async fn compile(
    workspace: &Path,
    packages: &[&str],
    architecture: Architecture,
    mut on_progress: impl FnMut(CompileProgress<'_>),
) -> Result<BTreeMap<String, PathBuf>, CompileError> {
    if packages.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut command = Command::new(cargo());
    command.args([
        "build",
        "--release",
        "--locked",
        // One choice of features for every package, so that nothing is compiled twice.
        "--workspace",
        "--message-format=json-render-diagnostics",
    ]);
    for package in packages {
        command.args(["--bin", package]);
    }
    // Without `--target` the build shares cargo's artifacts with the builds of this machine's user.
    if Architecture::of_this_machine() != Some(architecture) {
        if !has_standard_library(workspace, architecture).await {
            let packages = packages.iter().map(|&package| package.to_owned()).collect();
            return Err(CompileError::NoTarget { packages, architecture });
        }
        command
            .args(["--target", architecture.target()])
            .envs(architecture.linker());
    }
    command
        .current_dir(workspace)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let failed = |source: io::Error| CompileError::Cargo {
        workspace: workspace.to_owned(),
        source,
    };
    let mut child = command.kill_on_drop(true).spawn().map_err(failed)?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(failed(io::ErrorKind::BrokenPipe.into()));
    };
    let mut counting = std::pin::pin!(count_crates(workspace, packages));
    let (mut total, mut counted, mut compiles) = (None, false, false);
    let mut output = CompilerOutput::default();
    let mut finished = BTreeSet::new();
    let mut artifacts = Vec::new();
    let (mut messages, mut lines) = (BufReader::new(stdout).lines(), BufReader::new(stderr).lines());
    let (mut messages_open, mut lines_open) = (true, true);
    while messages_open || lines_open {
        tokio::select! {
            message = messages.next_line(), if messages_open => match message {
                Ok(Some(message)) => {
                    let Some(artifact) = artifact(&message) else { continue };
                    finished.insert(artifact.package);
                    artifacts.extend(artifact.executable);
                    if !artifact.fresh {
                        compiles = true;
                        let finished = finished.len();
                        on_progress(CompileProgress::Crates { finished, total: total.map(|total: usize| total.max(finished)) });
                    }
                }
                _ => messages_open = false,
            },
            line = lines.next_line(), if lines_open => match line {
                Ok(Some(line)) => {
                    on_progress(CompileProgress::Line(&line));
                    output.add(line);
                }
                _ => lines_open = false,
            },
            // Not before something is compiled: a build with nothing to do needs no total.
            crates = &mut counting, if compiles && !counted => (total, counted) = (crates, true),
        }
    }
    let status = child.wait().await.map_err(failed)?;
    if !status.success() {
        return Err(output.into_error(status));
    }
    packages.iter().map(|package| binary_of(package, &artifacts)).collect()
}

/// Returns cargo's path: the variable `CARGO`, or the program on PATH.
pub fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Returns whether the toolchain of the workspace can compile for an architecture.
async fn has_standard_library(workspace: &Path, architecture: Architecture) -> bool {
    let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.args(["--print", "target-libdir", "--target", architecture.target()]);
    let output = command
        .current_dir(workspace)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    output.is_ok_and(|output| {
        let folder = String::from_utf8_lossy(&output.stdout);
        output.status.success() && Path::new(folder.trim()).is_dir()
    })
}

fn binary_of(package: &str, artifacts: &[(String, PathBuf)]) -> Result<(String, PathBuf), CompileError> {
    let found = artifacts.iter().find(|(name, _)| name == package);
    let (_, path) = found.ok_or_else(|| CompileError::NoBinary(package.to_owned()))?;
    Ok((package.to_owned(), path.clone()))
}

/// A target that cargo has finished.
struct Artifact {
    package: String,
    /// It was compiled by an earlier build.
    fresh: bool,
    /// Name and path of a binary.
    executable: Option<(String, PathBuf)>,
}

/// Returns the artifact of a line of cargo's JSON; `None` if the line is about something else.
fn artifact(line: &str) -> Option<Artifact> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message.get("reason")?.as_str()? != "compiler-artifact" {
        return None;
    }
    let path = message.get("executable").and_then(Value::as_str);
    let name = message.pointer("/target/name")?.as_str()?;
    Some(Artifact {
        package: message.get("package_id")?.as_str()?.to_owned(),
        fresh: message.get("fresh").and_then(Value::as_bool).unwrap_or(false),
        executable: path.map(|path| (name.to_owned(), PathBuf::from(path))),
    })
}

/// Returns the number of crates that `packages` depend on, themselves included; `None` if cargo does not report it.
async fn count_crates(workspace: &Path, packages: &[&str]) -> Option<usize> {
    let mut command = Command::new(cargo());
    command.args([
        "tree",
        "--locked",
        "--edges=normal,build",
        "--prefix=none",
        "--format={p}",
    ]);
    for package in packages {
        command.args(["--package", package]);
    }
    let output = command
        .current_dir(workspace)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    // a crate that was listed before ends with " (*)"
    let crates: BTreeSet<&str> = text
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .filter(|line| !line.is_empty())
        .collect();
    (!crates.is_empty()).then_some(crates.len())
}

/// The part of cargo's output that an error shows.
#[derive(Default)]
struct CompilerOutput {
    package: Option<String>,
    from_first_error: Vec<String>,
    last: VecDeque<String>,
}

impl CompilerOutput {
    fn add(&mut self, line: String) {
        if let Some(rest) = line.strip_prefix("error: could not compile `")
            && self.package.is_none()
        {
            self.package = rest.split('`').next().map(str::to_owned);
        }
        let has_error = !self.from_first_error.is_empty() || line.starts_with("error");
        if has_error && self.from_first_error.len() < MAX_EXCERPT_LINES {
            self.from_first_error.push(line.clone());
        }
        self.last.push_back(line);
        if self.last.len() > MAX_EXCERPT_LINES {
            self.last.pop_front();
        }
    }

    fn into_error(self, status: ExitStatus) -> CompileError {
        let mut lines = self.from_first_error;
        if lines.is_empty() {
            lines = self.last.into();
            lines.push(format!("cargo ended with {status}"));
        }
        CompileError::Failed {
            package: self.package.unwrap_or_else(|| "cargo".into()),
            excerpt: lines.join("\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> Architecture {
        Architecture::of_this_machine().unwrap()
    }

    #[tokio::test]
    async fn a_target_that_is_not_installed_is_reported_before_cargo_runs() {
        let folder = workspace("fn main() {}");
        let other = if here() == Architecture::Amd64 {
            Architecture::Arm64
        } else {
            Architecture::Amd64
        };
        if has_standard_library(folder.path(), other).await {
            let found = compile(folder.path(), &["tiny"], other, |_| {}).await.unwrap();
            assert!(found["tiny"].to_string_lossy().contains(other.target()));
            return;
        }
        let error = compile(folder.path(), &["tiny"], other, |_| {}).await.unwrap_err();
        assert!(
            matches!(&error, CompileError::NoTarget { architecture, .. } if *architecture == other),
            "{error}"
        );
        assert!(error.hint().is_some());
        assert!(!folder.path().join("target").exists());
    }

    fn workspace(main: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("src")).unwrap();
        let manifest = "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
        std::fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
        let lock = "version = 4\n\n[[package]]\nname = \"tiny\"\nversion = \"0.1.0\"\n";
        std::fs::write(folder.path().join("Cargo.lock"), lock).unwrap();
        std::fs::write(folder.path().join("src/main.rs"), main).unwrap();
        folder
    }

    #[tokio::test]
    async fn a_package_that_does_not_compile_is_reported_with_the_compilers_message() {
        let folder = workspace("fn main() { let x: u8 = \"no\"; }");
        let error = compile(folder.path(), &["tiny"], here(), |_| {}).await.unwrap_err();
        let CompileError::Failed { package, excerpt } = error else {
            panic!("{error}");
        };
        assert_eq!(package, "tiny");
        assert!(excerpt.starts_with("error[E0308]"), "{excerpt}");
    }

    #[tokio::test]
    async fn a_package_that_compiles_has_its_binary() {
        let folder = workspace("fn main() {}");
        let mut crates = Vec::new();
        let mut on_progress = |progress: CompileProgress<'_>| {
            if let CompileProgress::Crates { finished, .. } = progress {
                crates.push(finished);
            }
        };
        let found = compile(folder.path(), &["tiny"], here(), &mut on_progress)
            .await
            .unwrap();
        assert!(found["tiny"].is_file());
        let again = compile(folder.path(), &["tiny"], here(), &mut on_progress)
            .await
            .unwrap();
        assert_eq!(again, found);
        assert_eq!(crates, [1], "the second build compiles nothing");
        assert_eq!(count_crates(folder.path(), &["tiny"]).await, Some(1));
    }
}
