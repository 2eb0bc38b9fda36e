//! The checks of this machine for every target: manifest, compiler, CA certificates, disk space.

use std::path::Path;
use std::process::Command;

use super::check::Check;
use crate::context::Session;

/// The minimum and the recommended free disk space in bytes, for the build of a workspace and its images.
const MIN_FREE_DISK: u64 = 1 << 30;
const RECOMMENDED_FREE_DISK: u64 = 5 << 30;

pub fn checks(session: &Session) -> Vec<Check> {
    let (manifest, workspace) = match session.load() {
        Ok(manifest) => {
            let found = format!(
                "{}, environment {}",
                session.manifest.display(),
                session.common.environment
            );
            (Check::ok("manifest", found), Some(manifest.workspace))
        }
        Err(error) => {
            let fix = error
                .hint()
                .unwrap_or_else(|| "correct it, then run `deployer validate`".into());
            (Check::fail("manifest", error.to_string(), fix), None)
        }
    };
    let workspace = workspace.unwrap_or_else(|| ".".into());
    vec![
        manifest,
        cargo(&workspace),
        compiler(),
        certificates(),
        disk(&workspace),
        docker(),
    ]
}

fn cargo(workspace: &Path) -> Check {
    const RUSTUP: &str = "install Rust from https://rustup.rs, or run `rustup update`";
    let Some(found) = version("cargo", workspace) else {
        return Check::fail("cargo", "`cargo --version` fails", RUSTUP);
    };
    let manifest = std::fs::read_to_string(workspace.join("Cargo.toml")).unwrap_or_default();
    let manifest: toml::Table = toml::from_str(&manifest).unwrap_or_default();
    let package = |of: &toml::Value| of.get("package")?.get("rust-version")?.as_str().map(str::to_owned);
    let needed = manifest.get("workspace").and_then(package);
    match needed {
        Some(needed) if numbers(&found) < numbers(&needed) => {
            Check::fail("cargo", format!("{found}; the workspace needs {needed}"), RUSTUP)
        }
        _ => Check::ok("cargo", found),
    }
}

/// Returns the parts of the first version number in a text.
fn numbers(text: &str) -> Vec<u32> {
    let word = text
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    let parts = word.unwrap_or_default().split('.').map_while(|part| part.parse().ok());
    parts.collect()
}

fn compiler() -> Check {
    const FIX: &str = "apt-get install gcc g++ make cmake (scripts/setup does it)";
    let missing: Vec<&str> = ["cc", "c++", "make", "cmake"]
        .into_iter()
        .filter(|tool| !on_path(tool))
        .collect();
    if missing.is_empty() {
        Check::ok("C compiler", "cc, c++, make, cmake")
    } else {
        Check::warn(
            "C compiler",
            format!("not found: {}; crates with C code cannot be built", missing.join(", ")),
            FIX,
        )
    }
}

fn certificates() -> Check {
    const FILES: [&str; 3] = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
    ];
    match FILES.into_iter().find(|path| Path::new(path).is_file()) {
        Some(path) => Check::ok("CA certificates", path),
        None => Check::fail(
            "CA certificates",
            "not found; the images need them",
            "apt-get install ca-certificates",
        ),
    }
}

fn disk(workspace: &Path) -> Check {
    let Ok(stat) = rustix::fs::statvfs(workspace) else {
        return Check::warn(
            "disk",
            format!("cannot read {}", workspace.display()),
            "check that the directory exists",
        );
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let found = format!("{:.1} GB free in {}", free as f64 / 1e9, workspace.display());
    let fix = "free some space, for example with `cargo clean`";
    match free {
        free if free < MIN_FREE_DISK => Check::fail("disk", found, fix),
        free if free < RECOMMENDED_FREE_DISK => Check::warn("disk", found, fix),
        _ => Check::ok("disk", found),
    }
}

fn docker() -> Check {
    Check::ok(
        "Docker",
        if on_path("docker") {
            "installed, and not needed to build and run images"
        } else {
            "not installed, and not needed to build and run images"
        },
    )
}

/// Returns the output of `PROGRAM --version` in this directory, where a rust-toolchain.toml may select it.
fn version(program: &str, directory: &Path) -> Option<String> {
    let output = Command::new(program)
        .arg("--version")
        .current_dir(directory)
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}

/// Returns whether a program is on PATH.
pub fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_number_by_number() {
        assert_eq!(numbers("cargo 1.95.0 (f2d3ce0bd 2026-03-21)"), [1, 95, 0]);
        assert!(numbers("cargo 1.100.0") > numbers("1.95"));
        assert!(numbers("cargo 1.9.0") < numbers("1.95"));
    }
}
