//! The commands of the documents, run unchanged.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use super::{Project, Run, repository};

const AWSCLI: &str = "awscli==1.46.2";

/// Returns the `sh` blocks of a document's section, in order.
pub fn blocks(document: &str, heading: &str) -> Vec<String> {
    let text = std::fs::read_to_string(repository().join(document)).unwrap();
    let (_, section) = text
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("{document} has no section '{heading}'"));
    let section = section.split("\n## ").next().unwrap();
    let blocks: Vec<String> = section
        .split("```sh\n")
        .skip(1)
        .filter_map(|block| Some(block.split_once("```")?.0.to_owned()))
        .collect();
    assert!(!blocks.is_empty(), "the section '{heading}' has no commands");
    blocks
}

/// Runs a script as in a checkout, but against the endpoint of this project, under its name.
pub fn paste(project: &Project, name: &str, script: &str) -> Run {
    let folder = project.path().join("scripts");
    std::fs::create_dir_all(&folder).unwrap();
    let wrapper = folder.join("deployer");
    std::fs::write(
        &wrapper,
        format!("#!/bin/sh\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_deployer")),
    )
    .unwrap();
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let script = script
        .replace(":4566", &format!(":{}", project.endpoint))
        .replace("patient-management-dev", &format!("{name}-dev"))
        .replace("/tmp/", &format!("{}/", project.path().display()));
    let checked = format!("set -euo pipefail\nshopt -s expand_aliases\n{script}");
    let output = Command::new(repository().join("scripts/python"))
        .args([AWSCLI, "--", "bash", "-c", &checked])
        .current_dir(project.path())
        .env("DEPLOYER_PORT", project.endpoint.to_string())
        .env("DEPLOYER_STATE_DIR", project.state())
        .env("AWS_PAGER", "")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let run = Run::from(output);
    println!("\n{script}   (exit {})\n{}", run.code, run.all());
    run
}
