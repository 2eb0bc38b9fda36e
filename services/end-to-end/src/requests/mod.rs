//! The files of `requests/`, sent as an editor sends them, and compared with the OpenAPI documents.

mod documents;
mod file;
mod send;

use std::{fs, path::Path};

use crate::System;

use documents::Documents;
use file::File;

/// Sends every request of every file, and returns the unexpected results: another status than the one in the file, a status
/// that the document of the service does not have, or an operation without a request.
///
/// # Panics
/// If there are no files, or one has a syntax error.
pub async fn send_all(system: &System) -> Vec<String> {
    let mut documents = Documents::read(system).await;
    let mut faults = Vec::new();
    for file in files() {
        faults.extend(send::send_file(&file, &system.url(), &mut documents).await);
    }
    for operation in documents.without_request() {
        faults.push(format!("{operation}: no file of requests/ has a request for it"));
    }
    faults
}

fn files() -> Vec<File> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../requests");
    let entries = fs::read_dir(&folder).expect("the folder requests/").flatten();
    let mut paths: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "http"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} has no .http file", folder.display());
    paths
        .iter()
        .map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            File::parse(&name, &fs::read_to_string(path).expect("a file of text"))
        })
        .collect()
}
