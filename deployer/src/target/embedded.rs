//! The embedded endpoint as a process: is it there, start it in the background, stop it.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};

use super::{Session, http, reach};
use crate::error::{Error, Result};

/// How long the endpoint may take to answer after it was started.
const START: Duration = Duration::from_secs(60);
/// How long it may take to end its processes when it is stopped.
const STOP: Duration = Duration::from_secs(90);

/// What answers at the endpoint's URL.
#[derive(Debug, Clone)]
pub enum Answer {
    /// An AWS endpoint, with its health document.
    Endpoint(Value),
    Nothing(String),
    Stranger(String),
}

impl Answer {
    pub fn is_embedded(&self) -> bool {
        matches!(self, Self::Endpoint(health) if health["edition"] == "embedded")
    }

    /// An error unless an AWS endpoint answers.
    pub fn require(self, session: &Session) -> Result<Value> {
        let url = session.endpoint_url().unwrap_or_default();
        match self {
            Self::Endpoint(health) => Ok(health),
            Self::Nothing(reason) if session.common.endpoint_url.is_some() => Err(Error::Unreachable { url, reason }),
            Self::Nothing(reason) => Err(Error::NoEndpoint { url, reason }),
            Self::Stranger(seen) => Err(Error::PortTaken { port: port(&url), seen }),
        }
    }
}

/// Asks for the endpoint's health; ends within two seconds.
pub async fn probe(session: &Session) -> Result<Answer> {
    let url = session.endpoint_url().unwrap_or_default();
    if let Err(reason) = reach::connect(&url).await? {
        return Ok(Answer::Nothing(reason));
    }
    let asked = http::get(&format!("{url}/_localstack/health"), reach::ANSWER).await;
    let seen = match asked {
        Ok((200, body)) => match serde_json::from_str::<Value>(&body) {
            Ok(health) if health.get("services").is_some() => {
                return Ok(Answer::Endpoint(introduced(&url, health).await));
            }
            _ => "it answers /_localstack/health with something else".to_owned(),
        },
        Ok((status, _)) => format!("it answers /_localstack/health with HTTP {status}"),
        Err(reason) => {
            return Ok(Answer::Stranger(format!(
                "it does not speak HTTP as an AWS endpoint does ({reason})"
            )));
        }
    };
    Ok(match introduction(&url, &Value::Null).await {
        Some(health) => Answer::Endpoint(health),
        None => Answer::Stranger(seen),
    })
}

/// Paths at which products that imitate LocalStack, or do not, say who they are.
const INTRODUCTIONS: [(&str, &str); 3] = [
    ("ministack", "/_ministack/health"),
    ("fakecloud", "/_fakecloud/health"),
    ("moto", "/moto-api/config"),
];

/// The health document with the product's name, where that is not known from the document itself.
async fn introduced(url: &str, health: Value) -> Value {
    let known = matches!(
        health["edition"].as_str(),
        Some("embedded" | "community" | "pro" | "enterprise")
    );
    match known {
        true => health,
        false => introduction(url, &health).await.unwrap_or(health),
    }
}

async fn introduction(url: &str, health: &Value) -> Option<Value> {
    // All are asked at once: a person waits for the answer.
    let asked = INTRODUCTIONS.map(|(product, path)| async move {
        match http::get(&format!("{url}{path}"), Duration::from_millis(500)).await {
            Ok((200..=299, body)) => Some((product, serde_json::from_str::<Value>(&body).ok()?)),
            _ => None,
        }
    });
    let (product, said) = futures::future::join_all(asked).await.into_iter().flatten().next()?;
    let version = health.get("version").or_else(|| said.get("version"));
    Some(json!({
        "product": product, "services": health["services"], "edition": health["edition"], "version": version,
    }))
}

/// Uses what answers; starts the embedded endpoint when nothing does.
pub async fn start_unless_answering(session: &Session) -> Result<Value> {
    match probe(session).await? {
        Answer::Nothing(_) if session.common.endpoint_url.is_none() => {
            start(session).await?;
            probe(session).await?.require(session)
        }
        answer => answer.require(session),
    }
}

/// Starts the embedded endpoint in a session of its own and waits until it answers.
pub async fn start(session: &Session) -> Result<()> {
    let state_dir = session.state_dir();
    let log = state_dir.join("endpoint.log");
    let mut child = spawn(session, &state_dir, &log)?;
    session.ui.info(format!(
        "nothing listens on port {}: started the embedded endpoint (pid {}, state in {})",
        session.common.port,
        child.id(),
        state_dir.display()
    ));
    let began = Instant::now();
    loop {
        let failed = |reason: String| Error::EndpointStart {
            reason,
            log: log.display().to_string(),
        };
        if let Ok(Some(status)) = child.try_wait() {
            // Another `up` may have started one at the same moment; then its endpoint is as good as ours.
            if matches!(probe(session).await?, Answer::Endpoint(_)) {
                return Ok(());
            }
            return Err(failed(format!("it ended with {status}: {}", last_line(&log))));
        }
        if matches!(probe(session).await?, Answer::Endpoint(_)) {
            return Ok(());
        }
        if began.elapsed() > START {
            let _ = child.kill();
            return Err(failed(format!(
                "no answer within {} s: {}",
                START.as_secs(),
                last_line(&log)
            )));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn spawn(session: &Session, state_dir: &Path, log: &Path) -> Result<std::process::Child> {
    let cannot = |what: &Path| {
        let what = what.display().to_string();
        move |error: std::io::Error| {
            let reason = format!("the endpoint cannot keep its state in {what}: {error}");
            match error.kind() {
                ErrorKind::StorageFull => Error::Io {
                    what: format!("the endpoint cannot keep its state in {what}"),
                    source: error,
                },
                _ => Error::Usage(format!("{reason}; --state-dir names another folder")),
            }
        }
    };
    std::fs::create_dir_all(state_dir).map_err(cannot(state_dir))?;
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(log)
        .map_err(cannot(log))?;
    let copy = file.try_clone().map_err(cannot(log))?;
    let program = std::env::current_exe().map_err(Error::io("cannot find this program's own file"))?;
    let common = &session.common;
    let mut command = Command::new(program);
    command.args([
        "endpoint",
        "start",
        "--foreground",
        "--detached",
        "--port",
        &common.port.to_string(),
    ]);
    command
        .args(["--slice", &common.slice().to_string()])
        .arg("--state-dir")
        .arg(state_dir);
    if let Some(region) = &common.region {
        command.args(["--region", region]);
    }
    if let Some(broker) = &common.broker {
        command.args(["--broker", broker]);
    }
    command
        .current_dir(state_dir)
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(copy);
    command.spawn().map_err(Error::io("cannot start the embedded endpoint"))
}

/// The pid of the embedded endpoint that keeps its state here, when it lives.
pub fn pid(state_dir: &Path) -> Option<i32> {
    let text = std::fs::read_to_string(state_dir.join("endpoint.pid")).ok()?;
    let pid: i32 = text.split_whitespace().next()?.parse().ok()?;
    test_kill_process(Pid::from_raw(pid)?).ok()?;
    // A recycled pid is some other program: ours has `endpoint` among its arguments.
    let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let ours = arguments.is_empty() || arguments.split(|b| *b == 0).any(|a| a == b"endpoint");
    let zombie = std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| s.contains(") Z "));
    (ours && !zombie).then_some(pid)
}

/// Ends the embedded endpoint and all its processes; the state stays. False when there was none.
pub async fn stop(session: &Session) -> Result<bool> {
    let state_dir = session.state_dir();
    let answer = probe(session).await?;
    let Some(pid) = pid(&state_dir) else {
        if !answer.is_embedded() {
            return Ok(false);
        }
        let port = session.common.port;
        let reason = format!(
            "the endpoint on port {port} keeps its state elsewhere than in {}",
            state_dir.display()
        );
        return Err(Error::Usage(format!("{reason}; name it with --state-dir")));
    };
    let url = format!("http://127.0.0.1:{}/_localstack/shutdown", session.common.port);
    let asked = answer.is_embedded()
        && http::post(&url, Duration::from_secs(5))
            .await
            .is_ok_and(|(status, _)| status < 400);
    if !asked {
        signal(pid, Signal::TERM);
    }
    let began = Instant::now();
    while self::pid(&state_dir) == Some(pid) {
        if began.elapsed() > STOP {
            signal(pid, Signal::KILL);
            return Err(Error::TimedOut {
                what: format!("the endpoint (pid {pid}), now killed,"),
                seconds: STOP.as_secs(),
                last: None,
            });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(true)
}

fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

/// Removes the endpoint's state. Refuses a directory that no endpoint made.
pub fn remove_state(state_dir: &Path) -> Result<bool> {
    if !state_dir.exists() {
        return Ok(false);
    }
    if !state_dir.join("state.redb").exists() && !state_dir.join("endpoint.log").exists() {
        let why = "it holds no endpoint's state";
        return Err(Error::Usage(format!("{} is left as it is: {why}", state_dir.display())));
    }
    std::fs::remove_dir_all(state_dir).map_err(Error::io(format!("cannot remove {}", state_dir.display())))?;
    Ok(true)
}

/// Why the endpoint ended: the last thing that it said, without what it says to nobody but us.
fn last_line(log: &PathBuf) -> String {
    let Ok(file) = File::open(log) else {
        return "it left no log".into();
    };
    last_words(&std::io::read_to_string(file).unwrap_or_default())
}

fn last_words(log: &str) -> String {
    let said = |line: &&str| !line.trim().is_empty() && !line.starts_with("hint: ");
    let line = log.lines().rev().find(said).unwrap_or("it left no log");
    let known = ["error: ", "the embedded endpoint did not start: "];
    known
        .iter()
        .fold(line, |line, start| line.strip_prefix(start).unwrap_or(line))
        .to_owned()
}

fn port(url: &str) -> u16 {
    url::Url::parse(url)
        .ok()
        .and_then(|url| url.port_or_known_default())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_what_the_endpoint_said_and_not_its_hint() {
        let log = "ready\nerror: the embedded endpoint did not start: cannot open the state\nhint: its log is here\n\n";
        assert_eq!(last_words(log), "cannot open the state");
        assert_eq!(last_words("thread panicked\n"), "thread panicked");
        assert_eq!(last_words(""), "it left no log");
    }
}
