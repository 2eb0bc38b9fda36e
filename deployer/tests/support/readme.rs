//! The README's commands, to be run as they stand.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Said, Scratch};

const AWSCLI: &str = "awscli==1.46.2";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The `sh` blocks of a section, in their order.
pub fn blocks(heading: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    let (_, section) = text
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("the README has no section '{heading}'"));
    let section = section.split("\n## ").next().unwrap();
    let blocks: Vec<String> = section
        .split("```sh\n")
        .skip(1)
        .filter_map(|block| Some(block.split_once("```")?.0.to_owned()))
        .collect();
    assert!(!blocks.is_empty(), "the section '{heading}' has no commands");
    blocks
}

/// Runs a script as a person would in a checkout, but against this scratch's endpoint and project.
pub fn paste(scratch: &Scratch, project: &str, script: &str) -> Said {
    let folder = scratch.path().join("scripts");
    std::fs::create_dir_all(&folder).unwrap();
    let wrapper = folder.join("deployer");
    std::fs::write(
        &wrapper,
        format!("#!/bin/sh\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_deployer")),
    )
    .unwrap();
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let script = script
        .replace(":4566", &format!(":{}", scratch.endpoint))
        .replace("patient-management-dev", &format!("{project}-dev"))
        .replace("/tmp/", &format!("{}/", scratch.path().display()));
    let whole = format!("set -euo pipefail\nshopt -s expand_aliases\n{script}");
    let output = Command::new(root().join("scripts/python"))
        .args([AWSCLI, "--", "bash", "-c", &whole])
        .current_dir(scratch.path())
        .env("DEPLOYER_PORT", scratch.endpoint.to_string())
        .env("DEPLOYER_STATE_DIR", scratch.state())
        .env("AWS_PAGER", "")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = Said::from(output);
    println!("\n{script}   (exit {})\n{}", said.code, said.all);
    said
}
