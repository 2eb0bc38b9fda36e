//! `deployer doctor`: is what a deployment needs there?

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::error::{Error, Result};
use crate::target::{Session, embedded};

/// Check this machine and the target for what a deployment needs.
#[derive(Debug, clap::Args)]
pub struct Args {}

struct Check {
    name: &'static str,
    /// What was found, or what is wrong and how to right it.
    found: std::result::Result<String, String>,
}

pub async fn run(_: Args, session: &Session) -> Result<()> {
    let mut checks = vec![
        Check {
            name: "manifest",
            found: session
                .plan()
                .map(|_| session.manifest.display().to_string())
                .map_err(|e| e.to_string()),
        },
        Check {
            name: "cargo",
            found: version("cargo", "install Rust: https://rustup.rs"),
        },
        Check {
            name: "CA certificates",
            found: file("/etc/ssl/certs/ca-certificates.crt", "apt-get install ca-certificates"),
        },
    ];
    if session.is_local() {
        let endpoint = match embedded::probe(session).await? {
            embedded::Answer::Nothing(reason) => Ok(format!("{reason}; `up` starts the embedded endpoint")),
            answer => answer
                .require(session)
                .map(|health| session.identity(&health).account())
                .map_err(|error| error.to_string()),
        };
        checks.push(Check {
            name: "endpoint",
            found: endpoint,
        });
        checks.push(Check {
            name: "PostgreSQL",
            found: postgres(),
        });
        checks.push(Check {
            name: "Kafka broker",
            found: broker(),
        });
    } else {
        checks.push(Check {
            name: "credentials and region",
            found: account(session).await,
        });
    }
    let lines = checks.iter().map(|check| match &check.found {
        Ok(found) => format!("ok       {}: {found}", check.name),
        Err(wrong) => format!("missing  {}: {wrong}", check.name),
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let value: Vec<_> = checks
        .iter()
        .map(|c| json!({ "check": c.name, "ok": c.found.is_ok(), "found": c.found.as_ref().unwrap_or_else(|e| e) }))
        .collect();
    session.ui.data("doctor", json!(value), &text);
    let missing = checks.iter().filter(|check| check.found.is_err()).count();
    if missing == 0 {
        Ok(())
    } else {
        Err(Error::Usage(format!("{missing} of {} checks failed", checks.len())))
    }
}

fn version(program: &str, hint: &str) -> std::result::Result<String, String> {
    match Command::new(program).arg("--version").output() {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        _ => Err(format!("`{program} --version` does not work; {hint}")),
    }
}

fn file(path: &str, hint: &str) -> std::result::Result<String, String> {
    if Path::new(path).exists() {
        Ok(path.to_owned())
    } else {
        Err(format!("{path} is not there; {hint}"))
    }
}

fn postgres() -> std::result::Result<String, String> {
    let installed = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin/postgres"));
    let on_path = std::env::var_os("PATH").map(|path| {
        std::env::split_paths(&path)
            .map(|dir| dir.join("postgres"))
            .collect::<Vec<_>>()
    });
    installed
        .chain(on_path.unwrap_or_default())
        .find(|path| path.is_file())
        .map(|path| path.display().to_string())
        .ok_or_else(|| "not found on PATH or under /usr/lib/postgresql; apt-get install postgresql".into())
}

fn broker() -> std::result::Result<String, String> {
    let home = std::env::var_os("KAFKA_HOME")
        .map(std::path::PathBuf::from)
        .or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".local/share/patient-management/kafka")));
    if let Some(home) = home.filter(|home| home.join("libs").is_dir()) {
        return version("java", "apt-get install openjdk-17-jre-headless")
            .map(|_| format!("Apache Kafka in {}", home.display()));
    }
    version("nisshi", "scripts/install-broker installs a broker")
}

async fn account(session: &Session) -> std::result::Result<String, String> {
    let aws = session.connect().await.map_err(|error| error.to_string())?;
    let identity = aws
        .sts
        .get_caller_identity()
        .send()
        .await
        .map_err(|error| Error::from(error).to_string())?;
    let zones = aws
        .ec2
        .describe_availability_zones()
        .send()
        .await
        .map_err(|error| Error::from(error).to_string())?;
    let zones = zones.availability_zones().len();
    if zones < 2 {
        return Err(format!(
            "the region has {zones} availability zones; the network needs two"
        ));
    }
    Ok(format!(
        "{}, {zones} availability zones",
        identity.arn().unwrap_or("an unnamed identity")
    ))
}
