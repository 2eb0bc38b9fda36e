//! Prepares a container from its definition, and starts it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::dependencies::{self, Dependency};
use super::members::{boolean, integer, list, text};
use super::model::{self, Task};
use super::{environment, volumes};
use crate::Context;
use crate::records::texts;
use crate::runtime::certificate_authority::CertificateAuthority;
use crate::runtime::task::process::{self, Container};
use crate::runtime::task::{self, Limit, Settings, launch_request::Command};
use crate::service::{ecr, logs};

/// The settings with which a container is started and its health is checked.
#[derive(Clone)]
pub struct PreparedContainer {
    pub name: String,
    pub essential: bool,
    pub rootfs: PathBuf,
    pub command: Command,
    pub settings: Settings,
    pub stop_timeout: Duration,
    /// The time in which containers that depend on this one can be started.
    pub start_timeout: Option<Duration>,
    pub depends_on: Vec<Dependency>,
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
    let overrides = list(&task.overrides, "containerOverrides")
        .iter()
        .find(|o| text(o, "name") == Some(&name));
    let overrides = overrides.unwrap_or(&Value::Null);
    let env = environment::of(cx, task, definition, container, overrides, &unpacked.config.env).await?;
    let user = text(container, "user").map_or_else(|| unpacked.config.user.clone(), str::to_owned);
    let settings = Settings {
        mounts: volumes::mounts(cx, task, container, &unpacked, &user)?,
        limits: list(container, "ulimits").iter().filter_map(limit).collect(),
        added_capabilities: texts(container.pointer("/linuxParameters/capabilities/add")),
        dropped_capabilities: texts(container.pointer("/linuxParameters/capabilities/drop")),
    };
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
        env,
        user,
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
        settings,
        stop_timeout: Duration::from_secs(stop_timeout),
        start_timeout: integer(container.get("startTimeout"))
            .map(|seconds| Duration::from_secs(seconds.unsigned_abs())),
        depends_on: dependencies::of(container),
        log,
        name,
    })
}

/// Reads a `Ulimit`; -1 is no limit, as in container engines.
fn limit(value: &Value) -> Option<Limit> {
    let number = |member: &str| integer(value.get(member)).and_then(|number| u64::try_from(number).ok());
    Some(Limit {
        name: text(value, "name")?.to_owned(),
        soft: number("softLimit"),
        hard: number("hardLimit"),
    })
}

impl PreparedContainer {
    pub async fn start(&self, cx: &Context, task: &Task) -> anyhow::Result<Container> {
        let folder = self.folder(cx, task);
        write_ca_bundles(cx, &self.rootfs, &folder)
            .context("CannotStartContainerError: cannot write the CA bundles of the container")?;
        process::start(&folder, &self.rootfs, self.command.clone(), self.settings.clone())
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
