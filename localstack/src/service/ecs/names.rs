//! How tasks are found: as targets of load balancers, as Cloud Map instances, and by names in their hosts files.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;

use serde_json::{Value, json};

use super::model::{self, Service, Status, Task};
use super::task_definition;
use crate::records::now;
use crate::runtime::discovery;
use crate::service::ec2::reach;
use crate::service::logs;
use crate::service::servicediscovery::{self, Name};
use crate::{AwsError, Context};

/// What was written last, so that only changes are.
#[derive(Default)]
struct Written {
    hosts: Mutex<HashMap<String, String>>,
    /// Denials that were told already: (service, name) and the words.
    told: Mutex<HashMap<(String, String), String>>,
}

/// Registers a running task with its target groups and Cloud Map services.
pub async fn join(cx: &Context, task: &Task, definition: &Value) {
    for balancer in &task.wish.load_balancers {
        let target = json!([{"Id": task.address.to_string(), "Port": balancer.port}]);
        let input = json!({"TargetGroupArn": balancer.target_group, "Targets": target});
        if let Err(error) = cx.call("elasticloadbalancing", "RegisterTargets", input).await {
            tracing::warn!(task.id = %task.id, %error, "a task could not be registered as a target");
        }
    }
    for registry in &task.wish.registries {
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

/// The reverse of [`join`]; what is gone already is no error.
pub async fn leave(cx: &Context, task: &Task) {
    for balancer in &task.wish.load_balancers {
        let target = json!([{"Id": task.address.to_string(), "Port": balancer.port}]);
        let input = json!({"TargetGroupArn": balancer.target_group, "Targets": target});
        let _ = cx.call("elasticloadbalancing", "DeregisterTargets", input).await;
    }
    for registry in &task.wish.registries {
        let id = registry.arn.rsplit('/').next().unwrap_or_default();
        let input = json!({"ServiceId": id, "InstanceId": task.id});
        let _ = cx.call("servicediscovery", "DeregisterInstance", input).await;
    }
    let written = cx.extension::<Written>();
    written.hosts.lock().expect("no panic holds this lock").remove(&task.id);
}

/// Writes a new task's hosts file before its container starts.
pub fn write_hosts(cx: &Context, task: &Task, folder: &Path) -> Result<(), AwsError> {
    let names = servicediscovery::names(cx)?;
    let text = hosts(cx, task, &names, &model::services(cx)?)?;
    std::fs::write(folder.join("hosts"), text).map_err(anyhow::Error::from)?;
    Ok(())
}

/// Brings the proxies behind the names, and every running task's hosts file, in line with what is there now.
pub fn refresh(cx: &Context) -> Result<(), AwsError> {
    let names = servicediscovery::names(cx)?;
    let services = model::services(cx)?;
    let tasks: Vec<Task> = model::tasks(cx)?.into_iter().filter(Task::is_live).collect();
    let mut wanted: BTreeMap<Ipv4Addr, discovery::DiscoveryEntry> = BTreeMap::new();
    for name in &names {
        let mut ports: Vec<u16> = name.instances.iter().filter_map(|i| i.port).collect();
        for service in behind(name, &services) {
            ports.extend(
                task_definition::named(cx, &service.wish.task_definition)
                    .iter()
                    .flat_map(task_definition::ports),
            );
        }
        ports.sort_unstable();
        ports.dedup();
        let able = |id: &str| match tasks.iter().find(|t| t.id == id) {
            None => true,
            Some(task) => task.last_status == Status::Running && !task.stopping && is_healthy(cx, task),
        };
        let backends = name
            .instances
            .iter()
            .filter(|i| able(&i.id))
            .filter_map(|i| i.address)
            .map(IpAddr::V4);
        wanted.insert(
            name.address,
            discovery::DiscoveryEntry {
                ports,
                backends: backends.collect(),
            },
        );
    }
    discovery::apply(cx, wanted);
    let written = cx.extension::<Written>();
    for task in tasks.iter().filter(|t| t.last_status == Status::Running) {
        let text = hosts(cx, task, &names, &services)?;
        if written.hosts.lock().expect("no panic holds this lock").get(&task.id) == Some(&text) {
            continue;
        }
        for container in &task.containers {
            // In place: the container has this very file mounted.
            let path = model::folder(cx, &task.id).join(&container.name).join("hosts");
            let Ok(file) = std::fs::OpenOptions::new().write(true).open(path) else {
                continue;
            };
            let done = file
                .write_all_at(text.as_bytes(), 0)
                .and_then(|()| file.set_len(text.len() as u64));
            done.map_err(anyhow::Error::from)?;
        }
        written
            .hosts
            .lock()
            .expect("no panic holds this lock")
            .insert(task.id.clone(), text);
    }
    Ok(())
}

/// A task without a container health check counts as healthy while it runs.
fn is_healthy(cx: &Context, task: &Task) -> bool {
    let Ok(definition) = task_definition::named(cx, &task.wish.task_definition) else {
        return true;
    };
    let checked = super::shape::list(&definition, "containerDefinitions")
        .iter()
        .any(|c| c.get("healthCheck").is_some());
    !checked || task.health(&definition) == "HEALTHY"
}

fn behind<'a>(name: &Name, services: &'a [Service]) -> Vec<&'a Service> {
    let registers =
        |s: &&Service| s.status != "INACTIVE" && s.wish.registries.iter().any(|r| r.arn == name.service_arn);
    services.iter().filter(registers).collect()
}

/// The names that security groups let this task reach. A denial is told once, in the task's own log.
fn hosts(cx: &Context, task: &Task, names: &[Name], services: &[Service]) -> Result<String, AwsError> {
    let mut text = format!("127.0.0.1\tlocalhost\n::1\tlocalhost\n{}\t{}\n", task.address, task.id);
    for name in names {
        let peers = behind(name, services);
        let mut denied = None;
        let mut open = peers.is_empty() && !name.instances.is_empty();
        for peer in &peers {
            let own = Some(&peer.name) == task.service.as_ref() && peer.cluster == task.cluster;
            let definition = task_definition::named(cx, &peer.wish.task_definition)?;
            for port in task_definition::ports(&definition) {
                match reaches(cx, &task.wish.security_groups, &peer.wish.security_groups, port) {
                    _ if own => open = true,
                    Ok(()) => open = true,
                    Err(rule) => denied = Some(rule),
                }
            }
        }
        if open {
            text += &format!("{}\t{}\n", name.address, name.fqdn);
        } else if let Some(rule) = denied {
            tell(cx, task, &name.fqdn, &rule);
        }
    }
    Ok(text)
}

/// Whether security groups let a task come to `groups` on this port. Who is no task here is not held to any.
pub fn may_reach(cx: &Context, task: &str, groups: &[String], port: u16) -> Result<(), String> {
    match model::task(cx, task).map_err(|error| error.message)? {
        Some(task) => reaches(cx, &task.wish.security_groups, groups, port),
        None => Ok(()),
    }
}

fn reaches(cx: &Context, from: &[String], to: &[String], port: u16) -> Result<(), String> {
    match (from.is_empty(), to.is_empty()) {
        // Both are in the VPC's default group, whose members reach each other.
        (true, true) => Ok(()),
        (false, false) => reach::allows(cx, from, to, port),
        _ => Err("one side names no security group, and so is in the VPC's default group".into()),
    }
}

fn tell(cx: &Context, task: &Task, fqdn: &str, rule: &str) {
    let who = task.service.clone().unwrap_or_else(|| task.id.clone());
    let written = cx.extension::<Written>();
    let before = written
        .told
        .lock()
        .expect("no panic holds this lock")
        .insert((who.clone(), fqdn.to_owned()), rule.to_owned());
    if before.as_deref() == Some(rule) {
        return;
    }
    tracing::info!(service = %who, name = fqdn, "not wired, as security groups do not allow it: {rule}");
    let line = format!("embedded endpoint: {fqdn} is not reachable from {who}: {rule}");
    let Ok(definition) = task_definition::named(cx, &task.wish.task_definition) else {
        return;
    };
    for container in super::shape::list(&definition, "containerDefinitions") {
        let options = container.pointer("/logConfiguration/options").unwrap_or(&Value::Null);
        let name = super::shape::text(container, "name").unwrap_or_default();
        let (Some(group), Some(prefix)) = (
            super::shape::text(options, "awslogs-group"),
            super::shape::text(options, "awslogs-stream-prefix"),
        ) else {
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
