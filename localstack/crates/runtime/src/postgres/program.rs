//! Execution of PostgreSQL's programs.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

/// Runs a program until it ends, with `input` on its standard input.
///
/// # Errors
/// When the program fails or does not end in time; with its error output.
pub async fn run(mut command: Command, input: Option<String>, purpose: &str) -> anyhow::Result<()> {
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot run {program} to {purpose}"))?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        stdin
            .write_all(input.as_bytes())
            .await
            .with_context(|| format!("{program} did not read its input"))?;
    }
    let output = timeout(Duration::from_mins(2), child.wait_with_output()).await;
    let output = output.with_context(|| format!("{program} took too long to {purpose}"))??;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    // The single-user mode exits with success even if a statement fails.
    if !output.status.success() || stderr.lines().any(|line| line.contains("ERROR: ")) {
        let hint = if stderr.contains("unshare") || stderr.contains("mount:") {
            "\nAn endpoint that runs as root needs mount namespaces for its databases: give the container CAP_SYS_ADMIN, or \
             run the endpoint as another user"
        } else {
            ""
        };
        bail!("cannot {purpose}: {}{hint}", stderr.trim());
    }
    Ok(())
}
