//! Validation of a service: its size, its ports, and links to what exists.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use ipnet::Ipv4Net;

use super::super::file::{self, Nat, Scaling, Settings};
use super::super::problem::Problem;
use super::super::rollout::RolloutProblem;
use super::super::strategy::{Strategy, WrittenRollout};
use super::super::{Call, Egress, ExistingSecret, Permission, Port, Rollout, Service};
use super::{ErrorContext, Validated, is_variable};

/// CPU units with the minimum and maximum memory that Fargate has for them, in MiB (Amazon ECS: task size).
const FARGATE: &[(u32, u32, u32)] = &[
    (256, 512, 2048),
    (512, 1024, 4096),
    (1024, 2048, 8192),
    (2048, 4096, 16384),
    (4096, 8192, 30720),
];
/// The memory of a task is a multiple of this many MiB, except for the smallest with half of it.
const MEMORY_STEP: u32 = 1024;
const SMALLEST_MEMORY: u32 = 512;
/// Maximum of tasks of one service (Amazon ECS service quotas).
const MAX_TASKS: u32 = 5000;
/// Retentions of CloudWatch Logs up to two years.
const RETENTIONS: &[u32] = &[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 731];
/// Names of the stacks that the services share.
const SHARED_STACKS: [&str; 8] = [
    "keys",
    "alarms",
    "network",
    "registry",
    "data",
    "messaging",
    "platform",
    "dashboard",
];

/// Returns a service; `platform` is the platform's own network, if it is known.
pub fn service(
    context: &ErrorContext,
    name: &str,
    written: &file::Service,
    settings: &Settings,
    platform: Option<Ipv4Net>,
) -> Validated<Service> {
    let common = &settings.service_defaults;
    let at = |key: &'static str| ["services", name, key];
    context.name(&["services", name], name, 40)?;
    if SHARED_STACKS.contains(&name) {
        return context.reject(&["services", name], Problem::SharedStackName(name.to_owned()));
    }
    let (cpu, memory) = size(context, name, written, common)?;
    let count = written.count.or(common.count).unwrap_or(1);
    let quota = ", the number of tasks of an ECS service";
    context.in_range(&at("count"), count, 0, MAX_TASKS, quota)?;
    let scaling = written.scaling.or(common.scaling);
    if let Some(scaling) = scaling {
        scales(context, name, scaling)?;
    }
    exists(
        context,
        &at("database"),
        "database",
        written.database.as_ref(),
        &settings.databases,
    )?;
    exists(
        context,
        &at("publishes"),
        "topic",
        written.publishes.iter().flatten(),
        &settings.topics,
    )?;
    exists(
        context,
        &at("consumes"),
        "topic",
        written.consumes.iter().flatten(),
        &settings.topics,
    )?;
    let days = written.log_retention_days.or(common.log_retention_days).unwrap_or(14);
    if !RETENTIONS.contains(&days) {
        let known = RETENTIONS;
        return context.reject(&at("log_retention_days"), Problem::LogRetention { days, known });
    }
    let calls = written
        .calls
        .iter()
        .flatten()
        .map(|call| link(context, name, call, settings))
        .collect::<Validated<Vec<_>>>()?;
    let health_path = written.health_path.clone().unwrap_or_else(|| "/health/live".into());
    context.path(&at("health_path"), &health_path)?;
    if written.health_command.as_ref().is_some_and(Vec::is_empty) {
        return context.reject(&at("health_command"), Problem::EmptyCommand);
    }
    // The common command is for packages: an existing image has another binary.
    let common_command = common.health_command.clone().filter(|_| written.image.is_none());
    let (secrets, existing_secrets) = secrets(context, name, written)?;
    let ports = ports(context, name, written)?;
    Ok(Service {
        package: written.package.clone().unwrap_or_else(|| name.to_owned()),
        image: image(context, name, written)?,
        health_port: health_port(context, name, written, &ports)?,
        ports,
        name: name.to_owned(),
        cpu,
        memory,
        architecture: written.architecture.or(common.architecture).unwrap_or_default(),
        count,
        scaling,
        spot: written.spot.or(common.spot).unwrap_or(false),
        rollout: rollout(context, name, written, settings)?,
        health_path,
        health_command: written.health_command.clone().or(common_command),
        database: written.database.clone(),
        publishes: written.publishes.clone().unwrap_or_default(),
        consumes: written.consumes.clone().unwrap_or_default(),
        calls,
        egress: egress(context, name, written, settings, platform)?,
        environment: environment(context, name, written, common)?,
        secrets,
        existing_secrets,
        permissions: permissions(context, name, written)?,
        alarms: written
            .alarms
            .or(common.alarms)
            .unwrap_or(settings.alarms.enabled.unwrap_or(false)),
        log_retention_days: days,
    })
}

/// Returns CPU units and memory of a task.
fn size(context: &ErrorContext, name: &str, written: &file::Service, common: &file::Service) -> Validated<(u32, u32)> {
    let cpu = written.cpu.or(common.cpu).unwrap_or(256);
    let memory = written.memory.or(common.memory).unwrap_or(cpu * 2);
    let Some((_, min, max)) = FARGATE.iter().find(|(units, ..)| *units == cpu) else {
        return context.reject(&["services", name, "cpu"], Problem::Cpu(cpu));
    };
    let (at, min, max) = (["services", name, "memory"], *min, *max);
    if !(min..=max).contains(&memory) {
        let problem = Problem::Memory { memory, cpu, min, max };
        return context.reject(&at, problem);
    }
    if !memory.is_multiple_of(MEMORY_STEP) && memory != SMALLEST_MEMORY {
        let step = MEMORY_STEP;
        return context.reject(&at, Problem::MemoryStep { memory, step });
    }
    Ok((cpu, memory))
}

fn scales(context: &ErrorContext, name: &str, scaling: Scaling) -> Validated<()> {
    let at = ["services", name, "scaling"];
    if scaling.minimum == 0 || scaling.minimum > scaling.maximum || !(10..=95).contains(&scaling.cpu_percent) {
        return context.reject(&at, Problem::Scaling);
    }
    if scaling.requests_per_target == Some(0) {
        return context.reject(&at, Problem::RequestsPerTarget);
    }
    Ok(())
}

fn rollout(context: &ErrorContext, name: &str, written: &file::Service, settings: &Settings) -> Validated<Rollout> {
    let is_shifting = |written: &WrittenRollout| written.strategy != Strategy::Rolling;
    if let Some(common) = settings.service_defaults.rollout.filter(is_shifting) {
        let problem = RolloutProblem::OfAll(common.strategy.as_str());
        return context.reject(&["service_defaults", "rollout"], problem.into());
    }
    let at = ["services", name, "rollout"];
    let Some(written) = &written.rollout else {
        return Ok(Rollout::Rolling);
    };
    let rollout = Rollout::parse(written).or_else(|problem| context.reject(&at, problem.into()))?;
    match &settings.ingress.service {
        Some(ingress) if ingress != name && rollout.is_shifting() => {
            let (strategy, ingress) = (written.strategy.as_str(), ingress.clone());
            context.reject(&at, RolloutProblem::WithoutLoadBalancer { strategy, ingress }.into())
        }
        _ => Ok(rollout),
    }
}

/// Accepts names that are declared.
fn exists<'a, T>(
    context: &ErrorContext,
    at: &[&str],
    kind: &'static str,
    names: impl IntoIterator<Item = &'a String>,
    declared: &IndexMap<String, T>,
) -> Validated<()> {
    match names.into_iter().find(|name| !declared.contains_key(*name)) {
        None => Ok(()),
        Some(name) => {
            let (name, known) = (name.clone(), declared.keys().cloned().collect());
            context.reject(at, Problem::Unknown { kind, name, known })
        }
    }
}

fn image(context: &ErrorContext, name: &str, written: &file::Service) -> Validated<Option<String>> {
    let at = ["services", name, "image"];
    let Some(image) = written.image.clone() else {
        return Ok(None);
    };
    if written.package.is_some() {
        return context.reject(&at, Problem::PackageAndImage);
    }
    match image.parse::<oci_spec::distribution::Reference>() {
        Ok(_) => Ok(Some(image)),
        Err(reason) => context.reject(&at, Problem::Image { image, reason }),
    }
}

fn environment(
    context: &ErrorContext,
    name: &str,
    written: &file::Service,
    common: &file::Service,
) -> Validated<BTreeMap<String, String>> {
    let mut environment = common.environment.clone();
    environment.extend(written.environment.clone());
    // Some libraries read variables in lower case, such as http_proxy.
    match environment.keys().find(|name| !is_variable(&name.to_uppercase())) {
        None => Ok(environment),
        Some(wrong) => context.reject(
            &["services", name, "environment"],
            Problem::EnvironmentName(wrong.clone()),
        ),
    }
}

/// Returns the variables of generated secrets, and the existing ones.
fn secrets(
    context: &ErrorContext,
    name: &str,
    written: &file::Service,
) -> Validated<(Vec<String>, Vec<ExistingSecret>)> {
    let at = ["services", name, "secrets"];
    let (mut generated, mut existing) = (Vec::new(), Vec::new());
    for secret in written.secrets.iter().flatten() {
        let variable = match secret {
            file::Secret::Generated(variable) => {
                generated.push(variable.clone());
                variable
            }
            file::Secret::Existing(written) => {
                existing.push(ExistingSecret::parse(written).or_else(|problem| context.reject(&at, problem))?);
                &written.name
            }
        };
        if !is_variable(variable) {
            return context.reject(&at, Problem::VariableName(variable.clone()));
        }
    }
    Ok((generated, existing))
}

fn permissions(context: &ErrorContext, name: &str, written: &file::Service) -> Validated<Vec<Permission>> {
    let at = ["services", name, "permissions"];
    let parse = |one| Permission::parse(one).or_else(|problem| context.reject(&at, problem));
    written.permissions.iter().flatten().map(parse).collect()
}

fn egress(
    context: &ErrorContext,
    name: &str,
    written: &file::Service,
    settings: &Settings,
    platform: Option<Ipv4Net>,
) -> Validated<Vec<Egress>> {
    let at = ["services", name, "egress"];
    let written = written.egress.as_ref().or(settings.service_defaults.egress.as_ref());
    let written: Vec<_> = written.into_iter().flatten().collect();
    if !written.is_empty() && settings.network.nat == Some(Nat::None) {
        return context.reject(&at, Problem::EgressWithoutNat);
    }
    let parse = |one| Egress::parse(one, platform).or_else(|problem| context.reject(&at, problem));
    written.into_iter().map(parse).collect()
}

fn ports(context: &ErrorContext, name: &str, written: &file::Service) -> Validated<Vec<Port>> {
    let mut ports: Vec<Port> = Vec::new();
    for (label, number) in &written.ports {
        let at = ["services", name, "ports", label];
        context.name(&at, label, 32)?;
        if *number == 0 {
            return context.reject(&at, Problem::PortZero);
        }
        if let Some(other) = ports.iter().find(|port| port.number == *number) {
            let (number, other) = (*number, other.name.clone());
            return context.reject(&at, Problem::DuplicatePort { number, other });
        }
        ports.push(Port {
            name: label.clone(),
            number: *number,
            variable: variable_of(written, label),
        });
    }
    for (label, variable) in &written.port_variables {
        let at = ["services", name, "port_variables", label];
        if !is_variable(variable) {
            return context.reject(&at, Problem::VariableName(variable.clone()));
        }
        if !written.ports.contains_key(label) {
            return context.reject(&at, Problem::NoSuchPort(label.clone()));
        }
    }
    Ok(ports)
}

/// Returns the number of the port for the load balancer's health check; `None` for the port of the requests.
fn health_port(context: &ErrorContext, name: &str, written: &file::Service, ports: &[Port]) -> Validated<Option<u16>> {
    let Some(label) = written.health_port.as_deref().filter(|label| *label != "http") else {
        return Ok(None);
    };
    match ports.iter().find(|port| port.name == label) {
        Some(port) => Ok(Some(port.number)),
        None => context.reject(
            &["services", name, "health_port"],
            Problem::NoSuchPort(label.to_owned()),
        ),
    }
}

fn variable_of(written: &file::Service, label: &str) -> String {
    match written.port_variables.get(label) {
        Some(variable) => variable.clone(),
        None if label == "http" => "PORT".into(),
        None => format!("{}_PORT", label.to_uppercase().replace('-', "_")),
    }
}

fn link(context: &ErrorContext, name: &str, call: &file::Call, settings: &Settings) -> Validated<Call> {
    let at = ["services", name, "calls"];
    exists(context, &at, "service", [&call.service], &settings.services)?;
    let called = &settings.services[&call.service];
    let Some(number) = called.ports.get(&call.port) else {
        let problem = Problem::UnknownPort {
            service: call.service.clone(),
            port: call.port.clone(),
            known: called.ports.keys().cloned().collect(),
        };
        return context.reject(&at, problem);
    };
    if call.service == name {
        return context.reject(&at, Problem::SelfCall);
    }
    if let Some(variable) = call.secret.as_ref().filter(|variable| !is_variable(variable)) {
        return context.reject(&at, Problem::VariableName(variable.clone()));
    }
    let port = Port {
        name: call.port.clone(),
        number: *number,
        variable: variable_of(called, &call.port),
    };
    Ok(Call {
        service: call.service.clone(),
        port,
        secret: call.secret.clone(),
    })
}
