//! The crates that the images are made of: is there a workspace, and does it have them?

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use super::{Finding, fatal};
use crate::image;
use crate::manifest::Manifest;
use crate::suggest::closest_or_all;

/// What a build would stumble on before it compiles anything; nothing when every service runs an image that exists. Where
/// nothing is built (`builds`), a cargo that cannot be asked is no more than a warning.
pub async fn look(manifest: &Manifest, builds: bool) -> Vec<Finding> {
    let built: Vec<(&str, &str)> = manifest
        .services
        .iter()
        .filter(|service| service.image.is_none())
        .map(|service| (service.name.as_str(), service.package.as_str()))
        .collect();
    if built.is_empty() {
        return Vec::new();
    }
    let workspace = &manifest.workspace;
    if !workspace.join("Cargo.toml").is_file() {
        return vec![fatal(
            format!("there is no Cargo.toml in {}", workspace.display()),
            "project.workspace names the folder of the cargo workspace, relative to deployer.toml; a service that is not \
             built from a crate says `image = \"…\"`",
        )];
    }
    let metadata = match metadata(workspace).await {
        Ok(metadata) => metadata,
        Err(finding) => {
            return vec![Finding {
                fatal: builds,
                ..finding
            }];
        }
    };
    let binaries = binaries(&metadata);
    let mut findings: Vec<Finding> = built
        .iter()
        .filter(|(_, package)| !binaries.iter().any(|name| name == package))
        .map(|(service, package)| {
            fatal(
                format!(
                    "{service} is built from the binary '{package}', which no package of {} has",
                    workspace.display()
                ),
                closest_or_all("binaries", package, binaries.iter().map(String::as_str)),
            )
        })
        .collect();
    // The lock file lies at the workspace's root, which may be further up.
    let root = metadata["workspace_root"]
        .as_str()
        .map_or(workspace.as_path(), Path::new);
    if findings.is_empty() && !root.join("Cargo.lock").is_file() {
        findings.push(fatal(
            format!("there is no Cargo.lock in {}", root.display()),
            "`cargo generate-lockfile` makes it; commit it, so that the same sources give the same image",
        ));
    }
    findings
}

/// What cargo knows of a workspace, without asking any network.
async fn metadata(workspace: &Path) -> Result<Value, Finding> {
    let asked = Command::new(image::cargo())
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(workspace)
        .stdin(Stdio::null())
        .output();
    let said = asked.await.map_err(|error| {
        fatal(
            format!("cargo cannot be run: {error}"),
            "install Rust (https://rustup.rs), or name cargo's path in the variable CARGO",
        )
    })?;
    if !said.status.success() {
        let words = String::from_utf8_lossy(&said.stderr);
        // The rest is where in cargo it was noticed.
        let words = words.split("\n\n").next().unwrap_or_default().trim();
        return Err(fatal(
            format!("cargo cannot read {}: {words}", workspace.display()),
            "`cargo metadata --no-deps` there says it again",
        ));
    }
    Ok(serde_json::from_slice(&said.stdout).unwrap_or_default())
}

/// The names of all binaries.
fn binaries(metadata: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let targets = list(&metadata["packages"])
        .into_iter()
        .flat_map(|package| list(&package["targets"]));
    let programs = targets.filter(|target| list(&target["kind"]).iter().any(|kind| kind == "bin"));
    programs
        .filter_map(|target| target["name"].as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with a manifest of one service `web`, and whatever else is written there.
    fn project(files: &[(&str, &str)]) -> (tempfile::TempDir, Manifest) {
        let folder = tempfile::tempdir().expect("a folder");
        let manifest = "[project]\nname = \"shop\"\n[ingress]\nservice = \"web\"\n[services.web]\nports = { http = 80 }\n\
                        [environments.dev]\n";
        let write = |file: &str, text: &str| {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        };
        write("deployer.toml", manifest);
        for (file, text) in files {
            write(file, text);
        }
        let manifest = Manifest::load(&folder.path().join("deployer.toml"), "dev").expect("a manifest");
        (folder, manifest)
    }

    fn package(name: &str) -> String {
        format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n")
    }

    async fn told(files: &[(&str, &str)]) -> String {
        let (folder, manifest) = project(files);
        let findings = look(&manifest, true).await;
        let words = findings.iter().map(|found| format!("{} | {}", found.what, found.hint));
        let place = manifest.workspace.display().to_string();
        drop(folder);
        words.collect::<Vec<_>>().join("\n").replace(&place, "HERE")
    }

    #[tokio::test]
    async fn what_is_missing_for_a_build_is_told_before_anything_begins() {
        assert!(
            told(&[])
                .await
                .starts_with("there is no Cargo.toml in HERE | project.workspace")
        );
        let wbe = package("wbe");
        let web = package("web");
        let main = ("src/main.rs", "fn main() {}");
        assert_eq!(
            told(&[("Cargo.toml", &wbe), main]).await,
            "web is built from the binary 'web', which no package of HERE has | did you mean 'wbe'?"
        );
        assert!(
            told(&[("Cargo.toml", &web), main])
                .await
                .starts_with("there is no Cargo.lock in HERE")
        );
        assert_eq!(
            told(&[("Cargo.toml", &web), main, ("Cargo.lock", "version = 4\n")]).await,
            ""
        );
        let broken = told(&[("Cargo.toml", "[package]\nname = 7\n"), main]).await;
        assert!(broken.starts_with("cargo cannot read HERE: error: "), "{broken}");
    }

    #[tokio::test]
    async fn images_that_exist_need_no_workspace() {
        let (_folder, mut manifest) = project(&[]);
        manifest.services[0].image = Some("registry.example.org/web:1".into());
        assert_eq!(look(&manifest, true).await, []);
    }
}
