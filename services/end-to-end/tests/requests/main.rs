//! The files of `requests/`, sent as an editor sends them, and held against the documents of the services.

mod documents;
mod file;
mod send;

use std::{fs, path::Path, time::Duration};

use end_to_end::{Options, System, a_patient, until};

use documents::Documents;
use file::File;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the services' binaries and a broker; scripts/test runs it"]
async fn every_request_is_answered_as_its_file_says_and_no_route_is_without_one() {
    let system = System::start(Options::default()).await;
    let admin = system.admin().await;
    // The account of a patient is in the answer while billing is reachable, which it is a moment after the start.
    until("a billing account in the answer", Duration::from_secs(30), || async {
        let made = admin.post("/api/patients").json(&a_patient()).answer().await;
        made.json()["billing"]["status"] == "ACTIVE"
    })
    .await;

    let mut documents = Documents::read(&system).await;
    let mut wrong = Vec::new();
    for file in files() {
        wrong.extend(send::all(&file, &system.url(), &mut documents).await);
    }
    for operation in documents.without_request() {
        wrong.push(format!("{operation}: no file of requests/ has a request for it"));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
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
