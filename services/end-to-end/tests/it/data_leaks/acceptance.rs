//! An optional acceptance script, run against the system of the test.

use std::path::PathBuf;

use tokio::process::Command;

/// Runs `system.py` of the folder `ACCEPTANCE`, if that variable is set: an acceptance script that is not part of this
/// repository adds its own requests to the test.
///
/// # Panics
/// If the script is missing or fails.
pub async fn run(url: &str) {
    let Some(folder) = std::env::var_os("ACCEPTANCE") else {
        return;
    };
    let script = PathBuf::from(folder).join("system.py");
    let output = Command::new("python3")
        .arg(script)
        .arg(url)
        .output()
        .await
        .expect("python3");
    let report = String::from_utf8_lossy(&output.stdout);
    let failures: Vec<&str> = report.lines().filter(|line| !line.starts_with("ok ")).collect();
    assert!(
        output.status.success(),
        "the acceptance script failed:\n{}",
        failures.join("\n")
    );
}
