//! One `cargo build --release` for all packages of the images.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

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
    /// A package has no binary of its name.
    #[error("the package {0} has no binary of its name, and an image is made of one")]
    NoBinary(String),
}

/// Maximum length of [`CompileError::Failed`]'s excerpt.
const MAX_EXCERPT_LINES: usize = 40;

/// Compiles `packages` of a workspace in release mode and returns the path of each package's binary.
///
/// `on_line` receives cargo's output, line by line.
///
/// # Errors
/// Cargo cannot be run or reports an error, or a package has no binary of its name.
pub async fn compile(
    workspace: &Path,
    packages: &[&str],
    mut on_line: impl FnMut(&str),
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
    let artifacts = tokio::spawn(async move {
        let (mut found, mut lines) = (Vec::new(), BufReader::new(stdout).lines());
        while let Ok(Some(line)) = lines.next_line().await {
            found.extend(executable(&line));
        }
        found
    });
    let mut output = CompilerOutput::default();
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        on_line(&line);
        output.add(line);
    }
    let status = child.wait().await.map_err(failed)?;
    let artifacts = artifacts.await.map_err(|error| failed(error.into()))?;
    if !status.success() {
        return Err(output.into_error(status));
    }
    packages.iter().map(|package| binary_of(package, &artifacts)).collect()
}

/// Returns cargo's path: the variable `CARGO`, or the program on PATH.
pub fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn binary_of(package: &str, artifacts: &[(String, PathBuf)]) -> Result<(String, PathBuf), CompileError> {
    let found = artifacts.iter().find(|(name, _)| name == package);
    let (_, path) = found.ok_or_else(|| CompileError::NoBinary(package.to_owned()))?;
    Ok((package.to_owned(), path.clone()))
}

/// Returns the binary target of a line of cargo's JSON: name and path.
fn executable(line: &str) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message.get("reason")?.as_str()? != "compiler-artifact" {
        return None;
    }
    let path = message.get("executable")?.as_str()?;
    Some((
        message.pointer("/target/name")?.as_str()?.to_owned(),
        PathBuf::from(path),
    ))
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
        let error = compile(folder.path(), &["tiny"], |_| {}).await.unwrap_err();
        let CompileError::Failed { package, excerpt } = error else {
            panic!("{error}");
        };
        assert_eq!(package, "tiny");
        assert!(excerpt.starts_with("error[E0308]"), "{excerpt}");
    }

    #[tokio::test]
    async fn a_package_that_compiles_has_its_binary() {
        let folder = workspace("fn main() {}");
        let found = compile(folder.path(), &["tiny"], |_| {}).await.unwrap();
        assert!(found["tiny"].is_file());
    }
}
