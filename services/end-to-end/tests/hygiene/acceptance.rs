//! The acceptance script, where it is there.

use std::path::PathBuf;

use tokio::process::Command;

/// Runs it against the system; it is left out where there is no script.
///
/// # Panics
/// When it fails.
pub async fn run(url: &str) {
    let Some(script) = script() else {
        eprintln!("system.py is neither in $ACCEPTANCE nor in ../shared/acceptance: left out");
        return;
    };
    let ran = Command::new("python3")
        .arg(script)
        .arg(url)
        .output()
        .await
        .expect("python3");
    let told = String::from_utf8_lossy(&ran.stdout);
    let failures: Vec<&str> = told.lines().filter(|line| !line.starts_with("ok ")).collect();
    assert!(
        ran.status.success(),
        "the acceptance script fails:\n{}",
        failures.join("\n")
    );
}

fn script() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/acceptance");
    let folder = std::env::var_os("ACCEPTANCE").map_or(beside, PathBuf::from);
    Some(folder.join("system.py")).filter(|script| script.is_file())
}
