//! Registers tasks with target groups and Cloud Map, and writes the names that they may reach into their hosts files.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::FileExt;
use std::path::Path;

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::members::{list, text};
use super::model::{self, Service, Status, Task};
use super::task_definition;
use crate::behavior::Dns;
use crate::records::now;
use crate::runtime::discovery;
use crate::service::ec2::reachability::{self, ConnectionDenied};
use crate::service::logs;
use crate::service::servicediscovery::{self, Name};
use crate::{AwsError, Context};

/// The last written texts, so that only changes are written.
#[derive(Default)]
struct Written {
    /// Hosts files by task ID.
    hosts: Mutex<HashMap<String, String>>,
    /// Logged denials by service and name.
    denials: Mutex<HashMap<(String, String), String>>,
    /// The number of commits before the hosts files were last compared.
    commits: Mutex<Option<u64>>,
}

/// Registers a running task with its target groups and Cloud Map services.
pub async fn register(cx: &Context, task: &Task, definition: &Value) {
    for balancer in &task.spec.load_balancers {
        let target = json!([{"Id": task.address.to_string(), "Port": balancer.port}]);
        let input = json!({"TargetGroupArn": balancer.target_group, "Targets": target});
        if let Err(error) = cx.call("elasticloadbalancing", "RegisterTargets", input).await {
            tracing::warn!(task.id = %task.id, %error, "a task could not be registered as a target");
        }
    }
    for registry in &task.spec.registries {
        let port = registry
            .port
            .or_else(|| task_definition::ports(definition).first().copied());
        let mut attributes = json!({"AWS_INSTANCE_IPV4": task.address.to_string()});
        if let Some(port) = port {
            attributes["AWS_INSTANCE_PORT"] = port.to_string().into();
        }
        let id = registry.arn.rsplit('/').next().unwrap_or_default();
        let input = json!({"ServiceId": id, "InstanceId": task.id, "Attributes": attributes});
        if let Err(error) = cx.call("servicediscovery", "RegisterInstance", input).await {
            tracing::warn!(task.id = %task.id, %error, "a task could not be registered in Cloud Map");
        }
    }
}

/// Reverses [`register`]. A registration that no longer exists is not an error.
pub async fn deregister(cx: &Context, task: &Task) {
    for balancer in &task.spec.load_balancers {
        let target = json!([{"Id": task.address.to_string(), "Port": balancer.port}]);
        let input = json!({"TargetGroupArn": balancer.target_group, "Targets": target});
        let _ = cx.call("elasticloadbalancing", "DeregisterTargets", input).await;
    }
    for registry in &task.spec.registries {
        let id = registry.arn.rsplit('/').next().unwrap_or_default();
        let input = json!({"ServiceId": id, "InstanceId": task.id});
        let _ = cx.call("servicediscovery", "DeregisterInstance", input).await;
    }
    cx.extension::<Written>().hosts.lock().remove(&task.id);
}

/// Writes a new task's hosts file before its container starts.
pub fn write_hosts_file(cx: &Context, task: &Task, folder: &Path) -> Result<(), AwsError> {
    let names = servicediscovery::names(cx)?;
    let text = hosts_file(cx, task, &names, &model::services(cx)?)?;
    std::fs::write(folder.join("hosts"), text).map_err(anyhow::Error::from)?;
    Ok(())
}

/// Updates the proxies of all names, and the hosts files of all running tasks, to the current records.
pub fn refresh(cx: &Context) -> Result<(), AwsError> {
    let commits = Some(cx.store().commits());
    let names = servicediscovery::names(cx)?;
    let services = model::services(cx)?;
    let tasks: Vec<Task> = model::tasks(cx)?.into_iter().filter(Task::is_live).collect();
    let mut entries: BTreeMap<Ipv4Addr, discovery::DiscoveryEntry> = BTreeMap::new();
    for name in &names {
        let mut ports: Vec<u16> = name.instances.iter().filter_map(|i| i.port).collect();
        for service in registered_services(name, &services) {
            ports.extend(
                task_definition::named(cx, &service.spec.task_definition)
                    .iter()
                    .flat_map(task_definition::ports),
            );
        }
        ports.sort_unstable();
        ports.dedup();
        let serves = |id: &str| match tasks.iter().find(|t| t.id == id) {
            None => true,
            Some(task) => task.last_status == Status::Running && !task.stopping && is_healthy(cx, task),
        };
        let backends = name
            .instances
            .iter()
            .filter(|i| serves(&i.id))
            .filter_map(|i| i.address)
            .map(IpAddr::V4);
        let entry = discovery::DiscoveryEntry {
            ports,
            backends: backends.collect(),
            ttl: (cx.config().behavior.dns == Dns::Cached).then_some(name.ttl),
        };
        entries.insert(name.address, entry);
    }
    discovery::apply(cx, entries);
    // What a hosts file has depends on documents alone; whether a task may reach each name takes a while to check.
    let written = cx.extension::<Written>();
    if *written.commits.lock() == commits {
        return Ok(());
    }
    for task in tasks.iter().filter(|t| t.last_status == Status::Running) {
        let text = hosts_file(cx, task, &names, &services)?;
        if written.hosts.lock().get(&task.id) == Some(&text) {
            continue;
        }
        for container in &task.containers {
            // Written in place, because the container has this file mounted.
            let path = model::task_folder(cx, &task.id).join(&container.name).join("hosts");
            let Ok(file) = std::fs::OpenOptions::new().write(true).open(path) else {
                continue;
            };
            let done = file
                .write_all_at(text.as_bytes(), 0)
                .and_then(|()| file.set_len(text.len() as u64));
            done.map_err(anyhow::Error::from)?;
        }
        written.hosts.lock().insert(task.id.clone(), text);
    }
    *written.commits.lock() = commits;
    Ok(())
}

fn is_healthy(cx: &Context, task: &Task) -> bool {
    match task_definition::named(cx, &task.spec.task_definition) {
        Ok(definition) => task.passes_container_checks(&definition),
        Err(_) => true,
    }
}

/// Returns the services whose tasks are registered under a name.
fn registered_services<'a>(name: &Name, services: &'a [Service]) -> Vec<&'a Service> {
    let registers =
        |s: &&Service| s.status != "INACTIVE" && s.spec.registries.iter().any(|r| r.arn == name.service_arn);
    services.iter().filter(registers).collect()
}

/// Returns the hosts file of a task: the names that security groups allow it to reach. A denial is written to the task's
/// log once.
fn hosts_file(cx: &Context, task: &Task, names: &[Name], services: &[Service]) -> Result<String, AwsError> {
    let mut text = format!("127.0.0.1\tlocalhost\n::1\tlocalhost\n{}\t{}\n", task.address, task.id);
    for name in names {
        let peers = registered_services(name, services);
        let mut denial = None;
        let mut allowed = peers.is_empty() && !name.instances.is_empty();
        for peer in &peers {
            let definition = task_definition::named(cx, &peer.spec.task_definition)?;
            for port in task_definition::ports(&definition) {
                match security_groups_allow(cx, &task.spec.security_groups, &peer.spec.security_groups, port) {
                    _ if peer.owns(task) => allowed = true,
                    Ok(()) => allowed = true,
                    Err(denied) => denial = Some(denied),
                }
            }
        }
        if allowed {
            text += &format!("{}\t{}\n", name.address, name.fqdn);
        } else if let Some(denied) = denial {
            log_denial(cx, task, &name.fqdn, &denied);
        }
    }
    Ok(text)
}

/// Checks that security groups allow TCP from a task to members of `groups` on this port. A caller that is not a task of
/// this endpoint has no security groups and is always allowed.
///
/// # Errors
/// The reason why the connection is denied.
pub fn security_groups_allow_task(
    cx: &Context,
    task: &str,
    groups: &[String],
    port: u16,
) -> Result<(), ConnectionDenied> {
    match model::task(cx, task)? {
        Some(task) => security_groups_allow(cx, &task.spec.security_groups, groups, port),
        None => Ok(()),
    }
}

fn security_groups_allow(cx: &Context, from: &[String], to: &[String], port: u16) -> Result<(), ConnectionDenied> {
    match (from.is_empty(), to.is_empty()) {
        // Both are in the VPC's default group, whose members reach each other.
        (true, true) => Ok(()),
        (false, false) => reachability::check(cx, from, to, port),
        _ => Err(ConnectionDenied::DefaultGroup),
    }
}

fn log_denial(cx: &Context, task: &Task, fqdn: &str, denied: &ConnectionDenied) {
    let client = task.service.clone().unwrap_or_else(|| task.id.clone());
    let reason = denied.to_string();
    let key = (client.clone(), fqdn.to_owned());
    let previous = cx.extension::<Written>().denials.lock().insert(key, reason.clone());
    if previous.as_ref() == Some(&reason) {
        return;
    }
    tracing::info!(service = %client, name = fqdn, "not reachable: security groups do not allow it: {reason}");
    let line = format!("embedded endpoint: {fqdn} is not reachable from {client}: {reason}");
    let Ok(definition) = task_definition::named(cx, &task.spec.task_definition) else {
        return;
    };
    for container in list(&definition, "containerDefinitions") {
        let options = container.pointer("/logConfiguration/options").unwrap_or(&Value::Null);
        let name = text(container, "name").unwrap_or_default();
        let (Some(group), Some(prefix)) = (text(options, "awslogs-group"), text(options, "awslogs-stream-prefix"))
        else {
            continue;
        };
        let _ = logs::append(
            cx,
            group,
            &format!("{prefix}/{name}/{}", task.id),
            &[(now(), line.clone())],
        );
    }
}
