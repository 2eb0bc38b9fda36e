//! The check of the crates from which the images are built.

use std::path::Path;

use images::{MetadataError, metadata};
use platform::manifest::Manifest;

use super::problem::CrateProblem;
use super::{PreflightFinding, fatal};

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
        return vec![fatal(CrateProblem::NoWorkspace { folder })];
    }
    let metadata = match metadata(workspace).await {
        Ok(metadata) => metadata,
        Err(error) => {
            let problem = unreadable(workspace, error).into();
            return vec![PreflightFinding { problem, fatal: builds }];
        }
    };
    let binaries: Vec<String> = metadata.binaries().map(str::to_owned).collect();
    let mut findings: Vec<PreflightFinding> = built
        .iter()
        .filter(|(_, package)| !binaries.iter().any(|name| name == package))
        .map(|(service, package)| {
            fatal(CrateProblem::NoBinary {
                service: (*service).to_owned(),
                package: (*package).to_owned(),
                folder: workspace.clone(),
                known: binaries.clone(),
            })
        })
        .collect();
    // The lock file is in the workspace's root, which may be a parent folder.
    let root = &metadata.workspace_root;
    if findings.is_empty() && !root.join("Cargo.lock").is_file() {
        let folder = root.clone();
        findings.push(fatal(CrateProblem::NoLockFile { folder }));
    }
    findings
}

fn unreadable(workspace: &Path, error: MetadataError) -> CrateProblem {
    let (reason, folder) = (error.to_string(), workspace.to_owned());
    match error {
        MetadataError::Cargo(source) => CrateProblem::NoCargo {
            reason: source.to_string(),
        },
        MetadataError::Failed { message, .. } => CrateProblem::CargoMetadata { folder, message },
        MetadataError::Output(_) => CrateProblem::CargoMetadata {
            folder,
            message: reason,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::Problem;
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
        assert!(matches!(
            problems(&[]).await.as_slice(),
            [Problem::Crate(CrateProblem::NoWorkspace { .. })]
        ));
        let wbe = package("wbe");
        let web = package("web");
        let main = ("src/main.rs", "fn main() {}");
        let unknown = problems(&[("Cargo.toml", &wbe), main]).await;
        assert!(
            matches!(unknown.as_slice(), [Problem::Crate(CrateProblem::NoBinary { package, known, .. })] if package == "web" && *known == ["wbe"]),
            "{unknown:?}"
        );
        let unlocked = problems(&[("Cargo.toml", &web), main]).await;
        assert!(
            matches!(unlocked.as_slice(), [Problem::Crate(CrateProblem::NoLockFile { .. })]),
            "{unlocked:?}"
        );
        let complete = problems(&[("Cargo.toml", &web), main, ("Cargo.lock", "version = 4\n")]).await;
        assert_eq!(complete, []);
        let broken = problems(&[("Cargo.toml", "[package]\nname = 7\n"), main]).await;
        assert!(
            matches!(broken.as_slice(), [Problem::Crate(CrateProblem::CargoMetadata { message, .. })] if message.starts_with("error: ")),
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
