//! Prepares a container from its definition, and starts it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use indexmap::IndexMap;
use serde_json::Value;

use super::members::{boolean, integer, list, text};
use super::model::{self, Task};
use super::{credentials, secrets};
use crate::Context;
use crate::runtime::certificate_authority::CertificateAuthority;
use crate::runtime::task::process::{self, Container};
use crate::runtime::task::{self, launch_request::Command};
use crate::service::{ecr, logs};

/// The settings with which a container is started and its health is checked.
#[derive(Clone)]
pub struct PreparedContainer {
    pub name: String,
    pub essential: bool,
    pub rootfs: PathBuf,
    pub command: Command,
    pub stop_timeout: Duration,
    pub health_check: Option<HealthCheck>,
    pub log: Option<LogStream>,
}

#[derive(Clone)]
pub struct HealthCheck {
    pub argv: Vec<String>,
    pub interval: Duration,
    pub timeout: Duration,
    pub retries: u32,
    pub start_period: Duration,
}

/// The log group and stream of a container's output.
#[derive(Clone)]
pub struct LogStream {
    pub group: String,
    pub stream: String,
}

/// Unpacks a container's image and resolves its environment, secrets, command, health check and log.
///
/// # Errors
/// The reason why the container cannot be started, with the error name that ECS uses.
pub async fn prepare(
    cx: &Context,
    task: &Task,
    definition: &Value,
    container: &Value,
) -> anyhow::Result<PreparedContainer> {
    let name = text(container, "name").unwrap_or_default().to_owned();
    let image = text(container, "image").unwrap_or_default();
    let unpacked = ecr::unpack(cx, image).await.map_err(|error| {
        let reason = format!("{error:#}");
        if reason.starts_with("CannotPullContainerError") {
            error
        } else {
            anyhow::anyhow!("CannotPullContainerError: {reason}")
        }
    })?;
    let log = log_stream(cx, task, container, &name).await?;
    let mut env: IndexMap<String, String> = IndexMap::new();
    for pair in &unpacked.config.env {
        if let Some((key, value)) = pair.split_once('=') {
            env.insert(key.to_owned(), value.to_owned());
        }
    }
    env.entry("PATH".into())
        .or_insert_with(|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into());
    let overrides = list(&task.overrides, "containerOverrides")
        .iter()
        .find(|o| text(o, "name") == Some(&name));
    let overrides = overrides.unwrap_or(&Value::Null);
    for pair in list(container, "environment")
        .iter()
        .chain(list(overrides, "environment"))
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
    // An entry point in the definition discards the image's own arguments, as in container engines.
    let entry = strings(container, "entryPoint").filter(|e| !e.is_empty());
    let default = if entry.is_some() { Vec::new() } else { config.cmd };
    let arguments = strings(overrides, "command")
        .or_else(|| strings(container, "command"))
        .unwrap_or(default);
    let argv: Vec<String> = entry
        .unwrap_or(config.entrypoint)
        .into_iter()
        .chain(arguments)
        .collect();
    if argv.is_empty() {
        bail!("CannotStartContainerError: neither the image nor the task definition has a command");
    }
    let command = Command {
        argv,
        env: env.into_iter().collect(),
        user: text(container, "user").map_or(config.user, str::to_owned),
        working_dir: text(container, "workingDirectory").map_or(config.working_dir, str::to_owned),
        init: boolean(container.pointer("/linuxParameters/initProcessEnabled")).unwrap_or(false),
    };
    let stop_timeout = integer(container.get("stopTimeout"))
        .unwrap_or(30)
        .clamp(0, 120)
        .unsigned_abs();
    Ok(PreparedContainer {
        essential: container.get("essential").and_then(Value::as_bool).unwrap_or(true),
        health_check: health_check(&unpacked.rootfs, container)?,
        rootfs: unpacked.rootfs,
        command,
        stop_timeout: Duration::from_secs(stop_timeout),
        log,
        name,
    })
}

impl PreparedContainer {
    pub async fn start(&self, cx: &Context, task: &Task) -> anyhow::Result<Container> {
        let folder = self.folder(cx, task);
        write_ca_bundles(cx, &self.rootfs, &folder)
            .context("CannotStartContainerError: cannot write the CA bundles of the container")?;
        process::start(&folder, &self.rootfs, self.command.clone())
            .await
            .context("CannotStartContainerError")
    }

    pub fn folder(&self, cx: &Context, task: &Task) -> PathBuf {
        model::task_folder(cx, &task.id).join(&self.name)
    }
}

/// Writes the CA bundles that are mounted into the container: for databases the endpoint's database CA alone, in place of
/// the CA of RDS; for everything else the image's own CAs and the endpoint's CA, in place of the public CA that signs
/// AWS's names.
fn write_ca_bundles(cx: &Context, rootfs: &Path, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let databases = CertificateAuthority::for_databases(cx.root_dir()).certificate_pem()?;
    fs::write(folder.join(task::RDS_CA_BUNDLE.file), databases)?;
    let public = CertificateAuthority::for_public_names(cx.root_dir()).certificate_pem()?;
    for bundle in &task::SYSTEM_CA_BUNDLES {
        let of_image = rootfs.join(bundle.image_path);
        if task::is_regular_file(&of_image) {
            let mut all = fs::read(&of_image).with_context(|| format!("cannot read {}", of_image.display()))?;
            all.push(b'\n');
            all.extend_from_slice(public.as_bytes());
            fs::write(folder.join(bundle.file), all)?;
        }
    }
    Ok(())
}

fn health_check(rootfs: &Path, container: &Value) -> anyhow::Result<Option<HealthCheck>> {
    let Some(definition) = container.get("healthCheck") else {
        return Ok(None);
    };
    let command: Vec<String> = list(definition, "command")
        .iter()
        .filter_map(|word| word.as_str().map(str::to_owned))
        .collect();
    let argv = match command.split_first() {
        Some((kind, _)) if kind == "NONE" => return Ok(None),
        Some((kind, rest)) if kind == "CMD" => rest.to_vec(),
        Some((kind, rest)) if kind == "CMD-SHELL" => {
            if fs::symlink_metadata(rootfs.join("bin/sh")).is_err() {
                bail!(
                    "CannotStartContainerError: the health check is CMD-SHELL, but the image has no /bin/sh. Use CMD."
                );
            }
            ["/bin/sh".to_owned(), "-c".to_owned()]
                .into_iter()
                .chain(rest.iter().cloned())
                .collect()
        }
        _ => command,
    };
    if argv.is_empty() {
        bail!("CannotStartContainerError: the health check has no command");
    }
    let number = |member: &str, default: i64| integer(definition.get(member)).unwrap_or(default);
    let seconds = |member: &str, default: i64| Duration::from_secs(number(member, default).max(0).unsigned_abs());
    Ok(Some(HealthCheck {
        argv,
        interval: seconds("interval", 30),
        timeout: seconds("timeout", 5),
        retries: u32::try_from(number("retries", 3).max(1)).unwrap_or(u32::MAX),
        start_period: seconds("startPeriod", 0),
    }))
}

async fn log_stream(cx: &Context, task: &Task, container: &Value, name: &str) -> anyhow::Result<Option<LogStream>> {
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
    Ok(Some(LogStream {
        group: group.to_owned(),
        stream,
    }))
}
