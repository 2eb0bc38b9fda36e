//! Provenance of an image for its labels: a function of the sources alone, the same in every checkout.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::process::Command;

use crate::metadata::{Package, metadata};

/// The origin of a package. A value that is not known has no label.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// `version` of the package's Cargo.toml.
    pub version: Option<String>,
    /// `license` of the package's Cargo.toml.
    pub licenses: Option<String>,
    /// `repository` of the package's Cargo.toml.
    pub source: Option<String>,
    /// The last commit that changed a source of the package. Not the checked-out one: with it an unrelated commit would change
    /// the digest of every image, and deploy it again.
    pub revision: Option<String>,
    /// The time of that commit, or `SOURCE_DATE_EPOCH`; RFC 3339.
    pub created: Option<String>,
}

impl Provenance {
    /// Returns the labels, with OCI's predefined annotation keys.
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

/// Returns the provenance of packages, from cargo and git. It never fails: an image works without labels.
pub async fn provenance(workspace: &Path, packages: &[&str]) -> BTreeMap<String, Provenance> {
    let known = metadata(workspace).await.unwrap_or_default().packages;
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

/// Returns the directories of a package and its path dependencies, and the files that all packages are built with.
fn sources(workspace: &Path, package: &Package, all: &[Package]) -> BTreeSet<PathBuf> {
    let common = ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", ".cargo"];
    let mut found: BTreeSet<PathBuf> = common.iter().map(|name| workspace.join(name)).collect();
    let mut waiting = vec![package];
    while let Some(package) = waiting.pop() {
        if !found.insert(package.directory().to_owned()) {
            continue;
        }
        for path in package.path_dependencies() {
            waiting.extend(all.iter().find(|other| other.directory() == path));
        }
    }
    found
}

/// Returns ID and time of the last commit on these paths; `None` if one of them has uncommitted changes.
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

/// Returns the output of git; `None` if it fails.
async fn git(workspace: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(arguments)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .current_dir(workspace)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = output.await.ok().filter(|output| output.status.success())?;
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
        /// Creates two packages, of which `one` depends on the other.
        fn new() -> Self {
            let folder = Self(tempfile::tempdir().unwrap());
            folder.write(
                "Cargo.toml",
                "[workspace]\nresolver = \"3\"\nmembers = [\"one\", \"base\"]\n",
            );
            let head = "version = \"1.2.3\"\nedition = \"2024\"\nlicense = \"MIT\"\nrepository = \"https://example.org/code\"\n";
            let dependencies = "[dependencies]\nbase = { path = \"../base\" }\n";
            folder.write(
                "one/Cargo.toml",
                &format!("[package]\nname = \"one\"\n{head}{dependencies}"),
            );
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
    async fn the_revision_is_the_last_commit_that_changed_a_source_of_the_image() {
        let folder = Repository::new();
        folder.write("base/src/lib.rs", "pub fn base() {}");
        let expected = folder.commit();
        folder.write("README.md", "something else");
        folder.commit();
        let found = folder.of_one().await;
        assert_eq!(found.revision.as_deref(), Some(expected.as_str()));
        assert_eq!(found.version.as_deref(), Some("1.2.3"));
        assert_eq!(found.source.as_deref(), Some("https://example.org/code"));
        let committed = folder.git(&["log", "-1", "--format=%ct", &expected]);
        assert_eq!(found.created, rfc3339(committed.parse().unwrap()));
    }

    #[tokio::test]
    async fn uncommitted_sources_have_no_revision() {
        let folder = Repository::new();
        folder.write("one/src/lib.rs", "pub fn one() {}");
        let found = folder.of_one().await;
        assert_eq!((found.revision, found.created), (None, None));
        assert_eq!(found.licenses.as_deref(), Some("MIT"));
    }
}
