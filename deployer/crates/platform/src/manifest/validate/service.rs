//! One service: its size, its ports, and links to things that are there.

use std::collections::BTreeMap;

use super::super::file::{self, Settings};
use super::super::{Call, Cidr, Egress, Nat, Port, Service};
use super::{Checked, Place, instead, is_name, is_variable};

/// CPU units with the smallest and greatest memory that Fargate gives them, in MiB (Amazon ECS: task size).
const FARGATE: &[(u32, u32, u32)] = &[
    (256, 512, 2048),
    (512, 1024, 4096),
    (1024, 2048, 8192),
    (2048, 4096, 16384),
    (4096, 8192, 30720),
];
/// Between the two it comes in steps of this many MiB; only the smallest task begins with half of one.
const STEP: u32 = 1024;
/// Tasks of one service (Amazon ECS service quotas).
const MOST_TASKS: u32 = 5000;

pub fn service(place: &Place, name: &str, own: &file::Service, given: &Settings, platform: Cidr) -> Checked<Service> {
    let at = |key: &'static str| ["services", name, key];
    let common = &given.service_defaults;
    const SHARED: [&str; 8] = [
        "keys",
        "alarms",
        "network",
        "registry",
        "data",
        "messaging",
        "platform",
        "dashboard",
    ];
    if !is_name(name, 40) || SHARED.contains(&name) {
        return place.invalid(
            &["services", name],
            "must be 1 to 40 lower-case letters, digits and hyphens, and not the name of a shared stack",
        );
    }
    let cpu = own.cpu.or(common.cpu).unwrap_or(256);
    let memory = own.memory.or(common.memory).unwrap_or(cpu * 2);
    match FARGATE.iter().find(|(units, ..)| *units == cpu) {
        None => {
            return place.invalid(
                &at("cpu"),
                format!("{cpu} is not a size of Fargate: 256, 512, 1024, 2048 or 4096 units"),
            );
        }
        Some((_, least, most)) if !(*least..=*most).contains(&memory) => {
            return place.invalid(
                &at("memory"),
                format!("{memory} MiB do not go with {cpu} CPU units: {least} to {most}"),
            );
        }
        Some(_) if !memory.is_multiple_of(STEP) && memory != 512 => {
            return place.invalid(
                &at("memory"),
                format!("{memory} MiB are not a size of Fargate: beyond 512 it comes in steps of {STEP}"),
            );
        }
        Some(_) => {}
    }
    let count = own.count.or(common.count).unwrap_or(1);
    if count > MOST_TASKS {
        return place.invalid(
            &at("count"),
            format!("{count} tasks are more than the {MOST_TASKS} of which ECS makes a service"),
        );
    }
    let scaling = own.scaling.or(common.scaling);
    if let Some(scaling) = scaling
        && (scaling.minimum == 0 || scaling.minimum > scaling.maximum || !(10..=95).contains(&scaling.cpu_percent))
    {
        return place.invalid(
            &at("scaling"),
            "needs 1 <= minimum <= maximum and a cpu_percent of 10 to 95",
        );
    }
    if scaling.is_some_and(|scaling| scaling.requests_per_target == Some(0)) {
        return place.invalid(&at("scaling"), "requests_per_target is 1 at least");
    }
    if let Some(key) = &own.database
        && !given.databases.contains_key(key)
    {
        return place.invalid(
            &at("database"),
            format!(
                "there is no database '{key}'; {}",
                instead("databases", key, given.databases.keys())
            ),
        );
    }
    for (key, topics) in [("publishes", &own.publishes), ("consumes", &own.consumes)] {
        for topic in topics.iter().flatten() {
            if !given.topics.contains_key(topic) {
                return place.invalid(
                    &at(key),
                    format!(
                        "there is no topic '{topic}'; {}",
                        instead("topics", topic, given.topics.keys())
                    ),
                );
            }
        }
    }
    let log_retention_days = own.log_retention_days.or(common.log_retention_days).unwrap_or(14);
    const RETENTION: [u32; 14] = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 731];
    if !RETENTION.contains(&log_retention_days) {
        return place.invalid(
            &at("log_retention_days"),
            format!("{log_retention_days} is not one of {RETENTION:?}, which CloudWatch Logs keeps"),
        );
    }
    let calls = own
        .calls
        .iter()
        .flatten()
        .map(|call| link(place, name, call, given))
        .collect::<Checked<Vec<_>>>()?;
    let mut environment: BTreeMap<String, String> = common.environment.clone();
    environment.extend(own.environment.clone());
    let secrets = own.secrets.clone().unwrap_or_default();
    if let Some(wrong) = secrets.iter().find(|variable| !is_variable(variable)) {
        return place.invalid(&at("secrets"), no_variable(wrong));
    }
    // libraries read some in lower case, such as http_proxy
    if let Some(wrong) = environment.keys().find(|name| !is_variable(&name.to_uppercase())) {
        return place.invalid(
            &at("environment"),
            format!("'{wrong}' is not a variable's name: letters, digits and '_', from a letter on"),
        );
    }
    let health_path = own.health_path.clone().unwrap_or_else(|| "/health/live".into());
    if !health_path.starts_with('/') {
        return place.invalid(
            &at("health_path"),
            format!("'{health_path}' is not a path: it begins with '/'"),
        );
    }
    if own.health_command.as_ref().is_some_and(Vec::is_empty) {
        return place.invalid(&at("health_command"), "is empty: leave it out, or say what is run");
    }
    if let Some(image) = &own.image {
        if own.package.is_some() {
            return place.invalid(&at("image"), "a service has a package or an image, not both");
        }
        if let Err(error) = image.parse::<oci_spec::distribution::Reference>() {
            return place.invalid(&at("image"), format!("'{image}' is no image reference: {error}"));
        }
    }
    // What images built here have in common is not what another one has.
    let common_check = common.health_command.clone().filter(|_| own.image.is_none());
    Ok(Service {
        package: own.package.clone().unwrap_or_else(|| name.to_owned()),
        image: own.image.clone(),
        ports: ports(place, name, own)?,
        name: name.to_owned(),
        cpu,
        memory,
        count,
        scaling,
        spot: own.spot.or(common.spot).unwrap_or(false),
        health_path,
        health_command: own.health_command.clone().or(common_check),
        database: own.database.clone(),
        publishes: own.publishes.clone().unwrap_or_default(),
        consumes: own.consumes.clone().unwrap_or_default(),
        calls,
        egress: egress(place, name, own, given, platform)?,
        environment,
        secrets,
        alarms: own
            .alarms
            .or(common.alarms)
            .unwrap_or(given.alarms.enabled.unwrap_or(false)),
        log_retention_days,
    })
}

fn egress(place: &Place, name: &str, own: &file::Service, given: &Settings, platform: Cidr) -> Checked<Vec<Egress>> {
    let at = ["services", name, "egress"];
    let ways = own.egress.as_ref().or(given.service_defaults.egress.as_ref());
    let ways: Vec<_> = ways.into_iter().flatten().collect();
    if !ways.is_empty() && given.network.nat == Some(Nat::None) {
        return place.invalid(&at, "there is no way out of this network: `network.nat` is \"none\"");
    }
    ways.into_iter()
        .map(|way| Egress::parse(way, platform).or_else(|wrong| place.invalid(&at, wrong)))
        .collect()
}

fn ports(place: &Place, name: &str, own: &file::Service) -> Checked<Vec<Port>> {
    let mut ports: Vec<Port> = Vec::new();
    for (label, number) in &own.ports {
        if !is_name(label, 32) {
            return place.invalid(
                &["services", name, "ports", label],
                "a port's name is 1 to 32 lower-case letters, digits and hyphens, from a letter on",
            );
        }
        if *number == 0 {
            return place.invalid(&["services", name, "ports", label], "0 is not a port to listen on");
        }
        if let Some(other) = ports.iter().find(|port| port.number == *number) {
            return place.invalid(
                &["services", name, "ports", label],
                format!("{number} is already the port '{}' of this service", other.name),
            );
        }
        ports.push(Port {
            name: label.clone(),
            number: *number,
            variable: variable_of(own, label),
        });
    }
    for (label, variable) in &own.port_variables {
        if !is_variable(variable) {
            return place.invalid(&["services", name, "port_variables", label], no_variable(variable));
        }
        if !own.ports.contains_key(label) {
            return place.invalid(
                &["services", name, "port_variables", label],
                format!("there is no port '{label}' in this service"),
            );
        }
    }
    Ok(ports)
}

fn no_variable(name: &str) -> String {
    format!("'{name}' is not a variable's name: A to Z, digits and '_', from a letter on")
}

fn variable_of(own: &file::Service, label: &str) -> String {
    match own.port_variables.get(label) {
        Some(variable) => variable.clone(),
        None if label == "http" => "PORT".into(),
        None => format!("{}_PORT", label.to_uppercase().replace('-', "_")),
    }
}

fn link(place: &Place, name: &str, call: &file::Call, given: &Settings) -> Checked<Call> {
    let at = ["services", name, "calls"];
    let Some(target) = given.services.get(&call.service) else {
        return place.invalid(
            &at,
            format!(
                "there is no service '{}'; {}",
                call.service,
                instead("services", &call.service, given.services.keys())
            ),
        );
    };
    let Some(number) = target.ports.get(&call.port) else {
        return place.invalid(
            &at,
            format!(
                "'{}' has no port '{}'; {}",
                call.service,
                call.port,
                instead("its ports", &call.port, target.ports.keys())
            ),
        );
    };
    if call.service == name {
        return place.invalid(&at, "a service does not call itself");
    }
    if let Some(variable) = call.secret.as_ref().filter(|variable| !is_variable(variable)) {
        return place.invalid(&at, no_variable(variable));
    }
    let port = Port {
        name: call.port.clone(),
        number: *number,
        variable: variable_of(target, &call.port),
    };
    Ok(Call {
        service: call.service.clone(),
        port,
        secret: call.secret.clone(),
    })
}
