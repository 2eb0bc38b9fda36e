//! Log files of processes.

use std::{fs, path::Path};

/// Returns the lines of a log file; bytes that are not UTF-8 are replaced.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
}

/// Returns the last lines, for a message.
pub(crate) fn tail(path: &Path) -> String {
    let lines = lines(path);
    lines[lines.len().saturating_sub(30)..].join("\n")
}
