//! The check of the crates from which the images are built.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use super::{PreflightFinding, Problem, fatal};
use crate::image;
use platform::manifest::Manifest;

/// Returns what would end a build before it compiles: nothing if every service runs an existing image. For a command that builds
/// nothing (`builds` is false), a cargo that does not work is only a warning.
pub async fn check(manifest: &Manifest, builds: bool) -> Vec<PreflightFinding> {
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
        let folder = workspace.clone();
        return vec![fatal(Problem::NoWorkspace { folder })];
    }
    let metadata = match metadata(workspace).await {
        Ok(metadata) => metadata,
        Err(problem) => return vec![PreflightFinding { problem, fatal: builds }],
    };
    let binaries = binaries(&metadata);
    let mut findings: Vec<PreflightFinding> = built
        .iter()
        .filter(|(_, package)| !binaries.iter().any(|name| name == package))
        .map(|(service, package)| {
            fatal(Problem::NoBinary {
                service: (*service).to_owned(),
                package: (*package).to_owned(),
                folder: workspace.clone(),
                known: binaries.clone(),
            })
        })
        .collect();
    // The lock file is in the workspace's root, which may be a parent folder.
    let root = metadata["workspace_root"]
        .as_str()
        .map_or(workspace.as_path(), Path::new);
    if findings.is_empty() && !root.join("Cargo.lock").is_file() {
        let folder = root.to_owned();
        findings.push(fatal(Problem::NoLockFile { folder }));
    }
    findings
}

/// Reads the metadata of a workspace, without a network.
async fn metadata(workspace: &Path) -> Result<Value, Problem> {
    let output = Command::new(image::cargo())
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(workspace)
        .stdin(Stdio::null())
        .output();
    let output = output.await.map_err(|error| Problem::NoCargo {
        reason: error.to_string(),
    })?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        // The rest is cargo's chain of causes.
        let message = message.split("\n\n").next().unwrap_or_default().trim().to_owned();
        let folder = workspace.to_owned();
        return Err(Problem::CargoMetadata { folder, message });
    }
    Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
}

/// Returns the names of all binaries.
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

    /// Creates a folder with a manifest of one service `web`, and these files.
    fn project(files: &[(&str, &str)]) -> (tempfile::TempDir, Manifest) {
        let folder = tempfile::tempdir().expect("a folder");
        let manifest = "[project]\nname = \"shop\"\n[ingress]\nservice = \"web\"\n[services.web]\nports = { http = 80 }\n\
                        [environments.dev]\n";
        let write = |file: &str, text: &str| {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
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

    async fn problems(files: &[(&str, &str)]) -> Vec<Problem> {
        let (_folder, manifest) = project(files);
        let findings = check(&manifest, true).await;
        findings.into_iter().map(|found| found.problem).collect()
    }

    #[tokio::test]
    async fn what_a_build_would_miss_is_found_before() {
        assert!(matches!(problems(&[]).await.as_slice(), [Problem::NoWorkspace { .. }]));
        let wbe = package("wbe");
        let web = package("web");
        let main = ("src/main.rs", "fn main() {}");
        let unknown = problems(&[("Cargo.toml", &wbe), main]).await;
        assert!(
            matches!(unknown.as_slice(), [Problem::NoBinary { package, known, .. }] if package == "web" && *known == ["wbe"]),
            "{unknown:?}"
        );
        let unlocked = problems(&[("Cargo.toml", &web), main]).await;
        assert!(
            matches!(unlocked.as_slice(), [Problem::NoLockFile { .. }]),
            "{unlocked:?}"
        );
        let complete = problems(&[("Cargo.toml", &web), main, ("Cargo.lock", "version = 4\n")]).await;
        assert_eq!(complete, []);
        let broken = problems(&[("Cargo.toml", "[package]\nname = 7\n"), main]).await;
        assert!(
            matches!(broken.as_slice(), [Problem::CargoMetadata { message, .. }] if message.starts_with("error: ")),
            "{broken:?}"
        );
    }

    #[tokio::test]
    async fn existing_images_need_no_workspace() {
        let (_folder, mut manifest) = project(&[]);
        manifest.services[0].image = Some("registry.example.org/web:1".into());
        assert_eq!(check(&manifest, true).await, []);
    }
}
