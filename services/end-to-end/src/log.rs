//! What processes wrote.

use std::{fs, path::Path};

/// The lines of a log file; bytes that are no UTF-8 are replaced.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
}

/// The last lines, for a message.
pub(crate) fn tail(path: &Path) -> String {
    let lines = lines(path);
    lines[lines.len().saturating_sub(30)..].join("\n")
}
