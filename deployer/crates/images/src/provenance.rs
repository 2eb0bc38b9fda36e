//! Where an image comes from, as its labels say it: a function of the sources alone, the same in every checkout.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::process::Command;

/// What is known of a package; what is not known has no label.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    pub version: Option<String>,
    pub licenses: Option<String>,
    /// `repository` of the package's Cargo.toml.
    pub source: Option<String>,
    /// The last commit that changed what the package is built from. Not the checked-out one: a commit that touches
    /// something else would give every image another digest, and deploy it again.
    pub revision: Option<String>,
    /// When that commit was made, or `SOURCE_DATE_EPOCH`; RFC 3339.
    pub created: Option<String>,
}

impl Provenance {
    /// OCI's predefined annotation keys, as labels.
    pub fn labels(&self) -> impl Iterator<Item = (String, &str)> {
        let pairs = [
            ("version", &self.version),
            ("licenses", &self.licenses),
            ("source", &self.source),
            ("revision", &self.revision),
            ("created", &self.created),
        ];
        pairs
            .into_iter()
            .filter_map(|(name, value)| Some((format!("org.opencontainers.image.{name}"), value.as_deref()?)))
    }
}

/// What cargo and git know of the packages of a workspace. Nothing is an error: an image without labels runs as well.
pub async fn provenance(workspace: &Path, packages: &[&str]) -> BTreeMap<String, Provenance> {
    let known = metadata(workspace).await.unwrap_or_default();
    let epoch = std::env::var("SOURCE_DATE_EPOCH").ok();
    let epoch = epoch.and_then(|seconds| seconds.trim().parse().ok());
    let has_history = git(workspace, &["rev-parse", "--is-shallow-repository"])
        .await
        .as_deref()
        == Some("false");
    let each = packages.iter().map(|name| async {
        let package = known.iter().find(|package| package.name == **name);
        let commit = match package.filter(|_| has_history) {
            Some(package) => last_commit(workspace, &sources(workspace, package, &known)).await,
            None => None,
        };
        let (revision, time) = commit.unzip();
        let found = Provenance {
            version: package.map(|package| package.version.clone()),
            licenses: package.and_then(|package| package.license.clone()),
            source: package.and_then(|package| package.repository.clone()),
            revision,
            created: epoch.or(time).and_then(rfc3339),
        };
        ((*name).to_owned(), found)
    });
    futures::future::join_all(each).await.into_iter().collect()
}

/// The part of `cargo metadata` that is read.
#[derive(Debug, Default, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    repository: Option<String>,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    kind: Option<String>,
    /// Of a dependency that is a folder.
    path: Option<PathBuf>,
}

impl Package {
    fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }
}

async fn metadata(workspace: &Path) -> Option<Vec<Package>> {
    let mut command = Command::new(super::compile::cargo());
    command.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let text = words(command, workspace).await?;
    Some(serde_json::from_str::<Metadata>(&text).ok()?.packages)
}

/// The folders that a package is built from, its own and those of the packages beside it, and what all are built with.
fn sources(workspace: &Path, package: &Package, all: &[Package]) -> BTreeSet<PathBuf> {
    let with = ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", ".cargo"];
    let mut found: BTreeSet<PathBuf> = with.iter().map(|name| workspace.join(name)).collect();
    let mut waiting = vec![package];
    while let Some(package) = waiting.pop() {
        if !found.insert(package.folder().to_owned()) {
            continue;
        }
        let built_in = package.dependencies.iter().filter(|d| d.kind.as_deref() != Some("dev"));
        for path in built_in.filter_map(|dependency| dependency.path.as_deref()) {
            waiting.extend(all.iter().find(|other| other.folder() == path));
        }
    }
    found
}

/// Id and time of the last commit that touched these paths; none when one of them has changes that are not committed.
async fn last_commit(workspace: &Path, paths: &BTreeSet<PathBuf>) -> Option<(String, i64)> {
    let paths: Vec<&str> = paths.iter().filter_map(|path| path.to_str()).collect();
    let changed = git(workspace, &[&["status", "--porcelain", "--"][..], &paths].concat()).await?;
    if !changed.is_empty() {
        return None;
    }
    let commit = git(
        workspace,
        &[&["log", "-1", "--format=%H %ct", "--"][..], &paths].concat(),
    )
    .await?;
    let (id, time) = commit.split_once(' ')?;
    Some((id.to_owned(), time.parse().ok()?))
}

async fn git(workspace: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command.args(arguments).env("GIT_OPTIONAL_LOCKS", "0");
    words(command, workspace).await
}

/// What a command says on stdout, when it succeeds.
async fn words(mut command: Command, folder: &Path) -> Option<String> {
    command.current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

fn rfc3339(seconds: i64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(seconds).ok()?.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Repository(tempfile::TempDir);

    impl Repository {
        /// Two packages, of which `one` needs the other.
        fn new() -> Self {
            let folder = Self(tempfile::tempdir().unwrap());
            folder.write(
                "Cargo.toml",
                "[workspace]\nresolver = \"3\"\nmembers = [\"one\", \"base\"]\n",
            );
            let head = "version = \"1.2.3\"\nedition = \"2024\"\nlicense = \"MIT\"\nrepository = \"https://example.org/code\"\n";
            let needs = "[dependencies]\nbase = { path = \"../base\" }\n";
            folder.write("one/Cargo.toml", &format!("[package]\nname = \"one\"\n{head}{needs}"));
            folder.write("base/Cargo.toml", &format!("[package]\nname = \"base\"\n{head}"));
            for package in ["one", "base"] {
                folder.write(&format!("{package}/src/lib.rs"), "");
            }
            folder.git(&["init", "-q"]);
            folder.commit();
            folder
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }

        fn git(&self, arguments: &[&str]) -> String {
            let output = std::process::Command::new("git")
                .args(["-c", "user.name=a", "-c", "user.email=a@example.org"])
                .args(arguments)
                .current_dir(self.0.path())
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        }

        fn commit(&self) -> String {
            self.git(&["add", "--all"]);
            self.git(&["commit", "-q", "-m", "change"]);
            self.git(&["rev-parse", "HEAD"])
        }

        async fn of_one(&self) -> Provenance {
            provenance(self.0.path(), &["one"]).await.remove("one").unwrap()
        }
    }

    #[tokio::test]
    async fn the_revision_is_the_last_commit_that_changed_what_the_image_is_made_of() {
        let folder = Repository::new();
        folder.write("base/src/lib.rs", "pub fn base() {}");
        let wanted = folder.commit();
        folder.write("README.md", "something else");
        folder.commit();
        let found = folder.of_one().await;
        assert_eq!(found.revision.as_deref(), Some(wanted.as_str()));
        assert_eq!(found.version.as_deref(), Some("1.2.3"));
        assert_eq!(found.source.as_deref(), Some("https://example.org/code"));
        let committed = folder.git(&["log", "-1", "--format=%ct", &wanted]);
        assert_eq!(found.created, rfc3339(committed.parse().unwrap()));
    }

    #[tokio::test]
    async fn what_is_not_committed_has_no_revision() {
        let folder = Repository::new();
        folder.write("one/src/lib.rs", "pub fn one() {}");
        let found = folder.of_one().await;
        assert_eq!((found.revision, found.created), (None, None));
        assert_eq!(found.licenses.as_deref(), Some("MIT"));
    }
}
