//! One `cargo build --release` for every package that is to be packed.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// A build that failed.
#[derive(Debug, thiserror::Error)]
#[error("{package} does not compile\n{excerpt}")]
pub struct CompileError {
    /// The first package that cargo gave up on; `cargo` when it did not come to compile.
    pub package: String,
    /// The compiler's words, from the first error on: at most 40 lines.
    pub excerpt: String,
}

const EXCERPT_LINES: usize = 40;

/// Compiles `packages` of a workspace in release mode, and gives each package's binary of the same name.
///
/// `on_line` gets what cargo says, line by line.
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
    let failed = |words: String| CompileError {
        package: "cargo".into(),
        excerpt: words,
    };
    let mut child = command
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(format!("cannot run cargo in {}: {error}", workspace.display())))?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(failed("cargo's output cannot be read".into()));
    };
    let artifacts = tokio::spawn(async move {
        let (mut found, mut lines) = (Vec::new(), BufReader::new(stdout).lines());
        while let Ok(Some(line)) = lines.next_line().await {
            found.extend(executable(&line));
        }
        found
    });
    let mut talk = Talk::default();
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        on_line(&line);
        talk.take(line);
    }
    let status = child
        .wait()
        .await
        .map_err(|error| failed(format!("cargo cannot be waited for: {error}")))?;
    let artifacts = artifacts.await.map_err(|error| failed(error.to_string()))?;
    if !status.success() {
        return Err(talk.into_error(status));
    }
    packages.iter().map(|package| binary_of(package, &artifacts)).collect()
}

/// The program: what the variable `CARGO` names, or the one on PATH.
pub fn cargo() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn binary_of(package: &str, artifacts: &[(String, PathBuf)]) -> Result<(String, PathBuf), CompileError> {
    let found = artifacts.iter().find(|(name, _)| name == package);
    let (_, path) = found.ok_or_else(|| CompileError {
        package: package.to_owned(),
        excerpt: format!("the package {package} has no binary of the name {package}; an image is made of one"),
    })?;
    Ok((package.to_owned(), path.clone()))
}

/// The binary target that a line of cargo's JSON tells of.
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

/// What is kept of cargo's words for an error.
#[derive(Default)]
struct Talk {
    package: Option<String>,
    from_first_error: Vec<String>,
    last: VecDeque<String>,
}

impl Talk {
    fn take(&mut self, line: String) {
        if let Some(rest) = line.strip_prefix("error: could not compile `")
            && self.package.is_none()
        {
            self.package = rest.split('`').next().map(str::to_owned);
        }
        let begun = !self.from_first_error.is_empty();
        if (begun || line.starts_with("error")) && self.from_first_error.len() < EXCERPT_LINES {
            self.from_first_error.push(line.clone());
        }
        self.last.push_back(line);
        if self.last.len() > EXCERPT_LINES {
            self.last.pop_front();
        }
    }

    fn into_error(self, status: std::process::ExitStatus) -> CompileError {
        let mut lines = self.from_first_error;
        if lines.is_empty() {
            lines = self.last.into();
            lines.push(format!("cargo ended with {status}"));
        }
        CompileError {
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
    async fn a_crate_that_does_not_compile_is_named_with_the_compilers_words() {
        let folder = workspace("fn main() { let x: u8 = \"no\"; }");
        let error = compile(folder.path(), &["tiny"], |_| {}).await.unwrap_err();
        assert_eq!(error.package, "tiny");
        assert!(error.excerpt.starts_with("error[E0308]"), "{}", error.excerpt);
    }

    #[tokio::test]
    async fn a_crate_that_compiles_gives_its_binary() {
        let folder = workspace("fn main() {}");
        let found = compile(folder.path(), &["tiny"], |_| {}).await.unwrap();
        assert!(found["tiny"].is_file());
    }
}
