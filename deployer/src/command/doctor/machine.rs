//! What every target needs of this machine: a manifest, a compiler, certificates, room on the disk.

use std::path::Path;
use std::process::Command;

use super::check::Check;
use crate::target::Session;

/// What a build of a workspace and its images takes at least, and comfortably, in bytes.
const LITTLE: u64 = 1 << 30;
const COMFORTABLE: u64 = 5 << 30;

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
                .unwrap_or_else(|| "correct it; `deployer validate` checks it again".into());
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
    const RUSTUP: &str = "install Rust: https://rustup.rs; `rustup update` renews it";
    let Some(said) = version("cargo", workspace) else {
        return Check::fail("cargo", "`cargo --version` does not work", RUSTUP);
    };
    let manifest = std::fs::read_to_string(workspace.join("Cargo.toml")).unwrap_or_default();
    let manifest: toml::Table = toml::from_str(&manifest).unwrap_or_default();
    let package = |of: &toml::Value| of.get("package")?.get("rust-version")?.as_str().map(str::to_owned);
    let needed = manifest.get("workspace").and_then(package);
    match needed {
        Some(needed) if numbers(&said) < numbers(&needed) => {
            Check::fail("cargo", format!("{said}; the workspace needs {needed}"), RUSTUP)
        }
        _ => Check::ok("cargo", said),
    }
}

/// The first version number in a text, part by part.
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
            "none to put into the images",
            "apt-get install ca-certificates",
        ),
    }
}

fn disk(workspace: &Path) -> Check {
    let Ok(stat) = rustix::fs::statvfs(workspace) else {
        return Check::warn(
            "disk",
            format!("cannot look at {}", workspace.display()),
            "check that it exists",
        );
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let found = format!("{:.1} GB are free in {}", free as f64 / 1e9, workspace.display());
    let fix = "free some space; `cargo clean` removes what was compiled";
    match free {
        free if free < LITTLE => Check::fail("disk", found, fix),
        free if free < COMFORTABLE => Check::warn("disk", found, fix),
        _ => Check::ok("disk", found),
    }
}

fn docker() -> Check {
    Check::ok(
        "Docker",
        if on_path("docker") {
            "there, and not needed: images are made and run without it"
        } else {
            "not there, and not needed: images are made and run without it"
        },
    )
}

/// What `PROGRAM --version` says in this directory, where a rust-toolchain.toml may decide.
fn version(program: &str, directory: &Path) -> Option<String> {
    let output = Command::new(program)
        .arg("--version")
        .current_dir(directory)
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(said)
}

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
