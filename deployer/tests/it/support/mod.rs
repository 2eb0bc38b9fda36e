//! Helpers of the tests: the CLI on an endpoint of the test's own, and what it wrote.

pub mod documents;
pub mod hello;
pub mod registry;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The manifest of the tests that deploy nothing.
pub const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/shop/deployer.toml");

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// A project directory with a manifest, deployed to an embedded endpoint on a port that nothing else uses.
pub struct Project {
    pub folder: tempfile::TempDir,
    pub endpoint: u16,
    pub ingress: u16,
}

impl Project {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            folder,
            endpoint: endpoint_port(),
            ingress: free_port(),
        }
    }

    /// A project with this repository's own manifest, under another name.
    pub fn from_repository(name: &str) -> Self {
        let project = Self::new();
        let root = repository();
        std::fs::copy(root.join("deployer.toml"), project.manifest()).unwrap();
        let edit = |from: &str, to: &str| project.edit("deployer.toml", from, to);
        edit("name = \"patient-management\"", &format!("name = \"{name}\""));
        edit("workspace = \".\"", &format!("workspace = \"{}\"", root.display()));
        project
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

    /// Replaces the first occurrence of a text in a file of the directory.
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

    /// Runs the CLI to its end, and shows what it wrote.
    pub fn run(&self, arguments: &[&str]) -> Run {
        let start = Instant::now();
        let run = Run::from(self.command(arguments).output().unwrap());
        let seconds = start.elapsed().as_secs_f32();
        println!(
            "\n$ deployer {}   ({seconds:.1} s, exit {})\n{}",
            arguments.join(" "),
            run.code,
            run.all()
        );
        run
    }

    /// Runs the CLI with `--json`.
    pub fn json(&self, arguments: &[&str]) -> Run {
        self.run(&[arguments, &["--json"]].concat())
    }

    /// The value of the result of a command that succeeds.
    pub fn result(&self, arguments: &[&str]) -> Value {
        let run = self.json(arguments);
        assert_eq!(run.code, 0, "deployer {}", arguments.join(" "));
        run.result()
    }

    /// The events of the stacks until now.
    pub fn stack_events(&self, arguments: &[&str]) -> Value {
        self.result(&[&["events", "-n", "100000"], arguments].concat())
    }

    /// The names of the stacks that exist.
    pub fn stacks(&self) -> Vec<String> {
        let status = self.result(&["status"]);
        let stacks = status["stacks"].as_array().unwrap().iter();
        let deployed = stacks.filter(|stack| stack["status"] != "not deployed");
        deployed.map(|stack| text(&stack["stack"])).collect()
    }

    /// Returns whether neither a template nor a resource outside the templates differs from what is deployed.
    pub fn has_no_drift(&self, arguments: &[&str]) -> bool {
        let drift = self.result(&[&["drift"], arguments].concat());
        drift["drifted"] == serde_json::json!([]) && drift["unmanaged"] == serde_json::json!([])
    }

    /// Processes of this endpoint: its own, and all that it started.
    pub fn processes(&self) -> Vec<String> {
        let needle = self.path().to_str().unwrap().to_owned();
        let octet = self.loopback_octet();
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else {
                continue;
            };
            let read = |file: &str| {
                std::fs::read(entry.path().join(file)).map(|b| String::from_utf8_lossy(&b).replace('\0', " "))
            };
            let Ok(arguments) = read("cmdline") else { continue };
            let host = read("environ").is_ok_and(|all| all.contains(&format!("HOST=127.{octet}.")));
            if pid != std::process::id() && (arguments.contains(&needle) || host) {
                found.push(format!("{pid} {arguments}"));
            }
        }
        found
    }

    /// The second octet of the loopback addresses of this endpoint's tasks.
    pub fn loopback_octet(&self) -> u16 {
        20 + self.endpoint % 200
    }

    pub fn url(&self) -> String {
        format!("http://localhost:{}", self.ingress)
    }
}

impl Drop for Project {
    /// Ends what a failed test left running.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.run(&["destroy", "--yes"]);
            // A protected environment is not destroyed, but its processes end.
            self.run(&["endpoint", "stop"]);
        }
    }
}

/// A command that has ended: its exit code and its output.
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self {
            code: output.status.code().unwrap_or(-1),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

impl Run {
    /// Both streams.
    pub fn all(&self) -> String {
        format!("{}{}", self.err, self.out)
    }

    /// The events that `--json` wrote, in their order.
    pub fn events(&self) -> Vec<Value> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not an event: {line}")))
            .collect()
    }

    /// The value of the last result.
    pub fn result(&self) -> Value {
        let mut results = self.events().into_iter().filter(|event| event["event"] == "result");
        results
            .next_back()
            .unwrap_or_else(|| panic!("no result: {}", self.all()))["value"]
            .clone()
    }

    /// The error event.
    pub fn error(&self) -> Value {
        let mut errors = self.events().into_iter().filter(|event| event["event"] == "error");
        errors.next().unwrap_or_else(|| panic!("no error: {}", self.all()))
    }

    /// The position of the first event that fits.
    pub fn position(&self, what: &str, fits: impl Fn(&Value) -> bool) -> usize {
        let position = self.events().iter().position(fits);
        position.unwrap_or_else(|| panic!("no event for: {what}"))
    }

    /// Asserts on the exit code, and on the identifier of the error.
    #[track_caller]
    pub fn fails(&self, exit_code: i32, code: &str) {
        assert_eq!(
            (self.code, self.error()["code"].as_str()),
            (exit_code, Some(code)),
            "{}",
            self.all()
        );
    }
}

/// A JSON string as text.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A port whose endpoint has another loopback block than the default one, on 4566, which may be running.
fn endpoint_port() -> u16 {
    loop {
        let port = free_port();
        if port % 200 != 4566 % 200 {
            return port;
        }
    }
}

/// A port on which nothing listens.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until a condition holds; fails after this many seconds.
pub fn eventually(what: &str, seconds: u64, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(seconds);
    while !holds() {
        assert!(Instant::now() < end, "not within {seconds} s: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Reports that a test cannot run here: a failure, unless `ALLOW_SKIP=1` accepts it.
pub fn skip(reason: &str) {
    let allowed = std::env::var("ALLOW_SKIP").is_ok_and(|value| value == "1");
    assert!(allowed, "{reason} (ALLOW_SKIP=1 skips this test)");
    println!("skipped: {reason}");
}

pub fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["-s", "--max-time", "20"])
        .args(arguments)
        .output()
        .expect("curl is installed");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
