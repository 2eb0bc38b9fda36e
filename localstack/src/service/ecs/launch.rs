//! From a container definition to a running container.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use indexmap::IndexMap;
use serde_json::Value;

use super::credentials;
use super::model::{self, Task};
use super::secrets;
use super::shape::{flag, list, text, whole};
use crate::Context;
use crate::runtime::certificate_authority::CertificateAuthority;
use crate::runtime::task::process::{self, Container};
use crate::runtime::task::{self, launch_request::Command};
use crate::service::{ecr, logs};

/// A container as it is to be run; also what its health check needs later.
#[derive(Clone)]
pub struct Prepared {
    pub name: String,
    pub essential: bool,
    pub rootfs: PathBuf,
    pub command: Command,
    pub stop_timeout: Duration,
    pub check: Option<Check>,
    pub log: Option<Log>,
}

#[derive(Clone)]
pub struct Check {
    pub argv: Vec<String>,
    pub interval: Duration,
    pub timeout: Duration,
    pub retries: u32,
    pub start_period: Duration,
}

/// Where a container's output goes.
#[derive(Clone)]
pub struct Log {
    pub group: String,
    pub stream: String,
}

/// Why a container cannot be started, as ECS words it.
pub async fn prepare(cx: &Context, task: &Task, definition: &Value, container: &Value) -> anyhow::Result<Prepared> {
    let name = text(container, "name").unwrap_or_default().to_owned();
    let image = text(container, "image").unwrap_or_default();
    let unpacked = ecr::unpack(cx, image).await.map_err(|error| {
        let words = format!("{error:#}");
        match words.starts_with("CannotPullContainerError") {
            true => error,
            false => anyhow::anyhow!("CannotPullContainerError: {words}"),
        }
    })?;
    let log = log(cx, task, container, &name).await?;
    let mut env: IndexMap<String, String> = IndexMap::new();
    for pair in &unpacked.config.env {
        if let Some((key, value)) = pair.split_once('=') {
            env.insert(key.to_owned(), value.to_owned());
        }
    }
    env.entry("PATH".into())
        .or_insert_with(|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into());
    let overridden = list(&task.overrides, "containerOverrides")
        .iter()
        .find(|o| text(o, "name") == Some(&name));
    let overridden = overridden.unwrap_or(&Value::Null);
    for pair in list(container, "environment")
        .iter()
        .chain(list(overridden, "environment"))
    {
        if let Some(key) = text(pair, "name") {
            env.insert(key.to_owned(), text(pair, "value").unwrap_or_default().to_owned());
        }
    }
    for secret in list(container, "secrets") {
        let (Some(key), Some(from)) = (text(secret, "name"), text(secret, "valueFrom")) else {
            continue;
        };
        let value = secrets::value(cx, from).await.context(
            "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed",
        )?;
        env.insert(key.to_owned(), value);
    }
    let endpoint = format!("http://127.0.0.1:{}", cx.config().port);
    env.insert("HOST".into(), task.address.to_string());
    env.insert("AWS_REGION".into(), cx.region().into());
    env.insert("AWS_DEFAULT_REGION".into(), cx.region().into());
    env.insert("AWS_ENDPOINT_URL".into(), endpoint);
    env.extend(credentials::variables(cx, task, definition)?);
    let config = unpacked.config;
    let strings = |value: &Value, member: &str| -> Option<Vec<String>> {
        let found = value.get(member)?.as_array()?;
        Some(found.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect())
    };
    // A new entry point leaves the image's own arguments behind, as container engines have it.
    let entry = strings(container, "entryPoint").filter(|e| !e.is_empty());
    let default = if entry.is_some() { Vec::new() } else { config.cmd };
    let arguments = strings(overridden, "command")
        .or_else(|| strings(container, "command"))
        .unwrap_or(default);
    let argv: Vec<String> = entry
        .unwrap_or(config.entrypoint)
        .into_iter()
        .chain(arguments)
        .collect();
    if argv.is_empty() {
        bail!("CannotStartContainerError: neither the image nor the task definition names a command");
    }
    let command = Command {
        argv,
        env: env.into_iter().collect(),
        user: text(container, "user").map_or(config.user, str::to_owned),
        working_dir: text(container, "workingDirectory").map_or(config.working_dir, str::to_owned),
        init: flag(container.pointer("/linuxParameters/initProcessEnabled")).unwrap_or(false),
    };
    let stop_timeout = whole(container.get("stopTimeout")).unwrap_or(30).clamp(0, 120);
    Ok(Prepared {
        essential: container.get("essential").and_then(Value::as_bool).unwrap_or(true),
        check: check(&unpacked.rootfs, container)?,
        rootfs: unpacked.rootfs,
        command,
        stop_timeout: Duration::from_secs(stop_timeout as u64),
        log,
        name,
    })
}

impl Prepared {
    pub async fn start(&self, cx: &Context, task: &Task) -> anyhow::Result<Container> {
        let folder = self.folder(cx, task);
        show_authorities(cx, &self.rootfs, &folder)
            .context("CannotStartContainerError: the endpoint's authorities cannot be shown")?;
        process::start(&folder, &self.rootfs, self.command.clone())
            .await
            .context("CannotStartContainerError")
    }

    pub fn folder(&self, cx: &Context, task: &Task) -> PathBuf {
        model::folder(cx, &task.id).join(&self.name)
    }
}

/// Whom the container is to trust: for databases the endpoint's authority alone, as it would be RDS; for all else the
/// image's own authorities and the endpoint's, which stands for the public one that vouches for AWS's names.
fn show_authorities(cx: &Context, rootfs: &Path, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let databases = CertificateAuthority::for_databases(cx.state_dir()).certificate_pem()?;
    fs::write(folder.join(task::RDS_CA_BUNDLE.file), databases)?;
    let public = CertificateAuthority::for_public_names(cx.state_dir()).certificate_pem()?;
    for bundle in &task::SYSTEM_CA_BUNDLES {
        let theirs = rootfs.join(bundle.image_path);
        if task::is_regular_file(&theirs) {
            let mut all = fs::read(&theirs).with_context(|| format!("cannot read {}", theirs.display()))?;
            all.push(b'\n');
            all.extend_from_slice(public.as_bytes());
            fs::write(folder.join(bundle.file), all)?;
        }
    }
    Ok(())
}

fn check(rootfs: &Path, container: &Value) -> anyhow::Result<Option<Check>> {
    let Some(given) = container.get("healthCheck") else {
        return Ok(None);
    };
    let words: Vec<String> = list(given, "command")
        .iter()
        .filter_map(|w| w.as_str().map(str::to_owned))
        .collect();
    let argv = match words.split_first() {
        Some((kind, _)) if kind == "NONE" => return Ok(None),
        Some((kind, rest)) if kind == "CMD" => rest.to_vec(),
        Some((kind, rest)) if kind == "CMD-SHELL" => {
            if fs::symlink_metadata(rootfs.join("bin/sh")).is_err() {
                bail!(
                    "CannotStartContainerError: the health check is CMD-SHELL, and the image has no /bin/sh: use CMD"
                );
            }
            ["/bin/sh".to_owned(), "-c".to_owned()]
                .into_iter()
                .chain(rest.iter().cloned())
                .collect()
        }
        _ => words,
    };
    if argv.is_empty() {
        bail!("CannotStartContainerError: the health check names no command");
    }
    let seconds =
        |member: &str, default: i64| Duration::from_secs(whole(given.get(member)).unwrap_or(default).max(0) as u64);
    Ok(Some(Check {
        argv,
        interval: seconds("interval", 30),
        timeout: seconds("timeout", 5),
        retries: whole(given.get("retries")).unwrap_or(3).max(1) as u32,
        start_period: seconds("startPeriod", 0),
    }))
}

async fn log(cx: &Context, task: &Task, container: &Value, name: &str) -> anyhow::Result<Option<Log>> {
    let Some(options) = container.get("logConfiguration").and_then(|l| l.get("options")) else {
        return Ok(None);
    };
    let group = text(options, "awslogs-group")
        .context("ResourceInitializationError: failed to validate logger args: awslogs-group must be specified")?;
    if text(options, "awslogs-create-group") == Some("true") {
        let _ = cx
            .call("logs", "CreateLogGroup", serde_json::json!({"logGroupName": group}))
            .await;
    }
    let stream = match text(options, "awslogs-stream-prefix") {
        Some(prefix) => format!("{prefix}/{name}/{}", task.id),
        None => task.id.clone(),
    };
    logs::append(cx, group, &stream, &[]).map_err(|error| {
        anyhow::anyhow!("ResourceInitializationError: failed to validate logger args: {group}: {error}")
    })?;
    Ok(Some(Log {
        group: group.to_owned(),
        stream,
    }))
}
