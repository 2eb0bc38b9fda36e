//! Validity of FHIR resources.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::Value;

/// Validates resources with `scripts/fhir-schema`, which says if it has to be skipped.
///
/// # Panics
/// If a resource is not valid, or the script cannot run.
pub fn check_fhir(resources: &[Value]) {
    let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/fhir-schema"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("scripts/fhir-schema");
    let mut stdin = script.stdin.take().expect("a pipe");
    serde_json::to_writer(&mut stdin, resources).expect("written");
    stdin.flush().expect("written");
    drop(stdin);
    let output = script.wait_with_output().expect("an exit code");
    let report = String::from_utf8_lossy(&output.stdout);
    match output.status.code() {
        Some(77) => eprintln!("{report}"),
        code => assert_eq!(code, Some(0), "{report}"),
    }
}
