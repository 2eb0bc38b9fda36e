//! What the tests that deploy something share: the CLI on an endpoint of its own, and what it said.

#![allow(dead_code, reason = "each test file uses its part of these")]

pub mod readme;
pub mod registry;
pub mod stranger;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A directory with a manifest, deployed to an endpoint on a port of its own.
pub struct Scratch {
    pub folder: tempfile::TempDir,
    pub endpoint: u16,
    pub ingress: u16,
}

impl Scratch {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            folder,
            endpoint: own_port(),
            ingress: free_port(),
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn manifest(&self) -> PathBuf {
        self.path().join("deployer.toml")
    }

    pub fn state(&self) -> PathBuf {
        self.path().join("var/state")
    }

    /// Changes the first occurrence in a file of the directory.
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no `{from}`");
        std::fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deployer"));
        command.args(arguments).args([
            "--target",
            "localstack",
            "--port",
            &self.endpoint.to_string(),
            "--manifest",
        ]);
        command.arg(self.manifest()).arg("--state-dir").arg(self.state());
        command
            .env_remove("DEPLOYER_PORT")
            .env_remove("DEPLOYER_STATE_DIR")
            .stdin(Stdio::null());
        command
    }

    /// Runs the CLI to its end, and shows what it said.
    pub fn run(&self, arguments: &[&str]) -> Said {
        let begun = Instant::now();
        let said = Said::from(self.command(arguments).output().unwrap());
        let seconds = begun.elapsed().as_secs_f32();
        println!(
            "\n$ deployer {}   ({seconds:.1} s, exit {})\n{}",
            arguments.join(" "),
            said.code,
            said.all
        );
        said
    }

    /// Processes of this endpoint: its own, and whatever it started.
    pub fn processes(&self) -> Vec<String> {
        let needle = self.path().to_str().unwrap().to_owned();
        let slice = 20 + self.endpoint % 200;
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else {
                continue;
            };
            let read = |file: &str| {
                std::fs::read(entry.path().join(file)).map(|b| String::from_utf8_lossy(&b).replace('\0', " "))
            };
            let Ok(arguments) = read("cmdline") else { continue };
            let host = read("environ").is_ok_and(|all| all.contains(&format!("HOST=127.{slice}.")));
            if pid != std::process::id() && (arguments.contains(&needle) || host) {
                found.push(format!("{pid} {arguments}"));
            }
        }
        found
    }

    pub fn url(&self) -> String {
        format!("http://localhost:{}", self.ingress)
    }
}

impl Drop for Scratch {
    /// A failed test leaves nothing running either.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.run(&["destroy", "--yes"]);
            // What is protected is not destroyed, but what runs for it ends.
            self.run(&["endpoint", "stop"]);
        }
    }
}

/// What a command said: exit code, stdout, and both streams together.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub all: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let all = format!("{}{out}", String::from_utf8_lossy(&output.stderr));
        Self {
            code: output.status.code().unwrap_or(-1),
            out,
            all,
        }
    }
}

/// A port whose endpoint has another loopback slice than the one that people run, on 4566.
fn own_port() -> u16 {
    loop {
        let port = free_port();
        if port % 200 != 4566 % 200 {
            return port;
        }
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Fails unless it holds within that many seconds.
pub fn eventually(what: &str, seconds: u64, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(seconds);
    while !holds() {
        assert!(Instant::now() < end, "not within {seconds} s: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

pub fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["-s", "--max-time", "20"])
        .args(arguments)
        .output()
        .expect("curl is installed");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
