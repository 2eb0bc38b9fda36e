//! The container definition: image, variables, secrets, health check, log.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Parts;
use crate::manifest::Service;
use crate::stacks::links;
use crate::stacks::plan::DATABASE_AUTHORITIES;
use cfn::template::{Handle, pseudo, sub};

/// Seconds that a service may take to end once it takes no more requests: 25 to drain, and some to say the last.
const DRAIN: u32 = 32;
/// What Fargate grants at most (Amazon ECS: container definition parameters, `stopTimeout`).
const LONGEST_STOP: u32 = 120;

pub fn definition(parts: &mut Parts, image: Value, logs: &Handle, secrets: &[(String, Value)]) -> Value {
    let service = parts.service;
    let variables = variables(parts);
    let mut hidden: BTreeMap<String, Value> = secrets.iter().cloned().collect();
    if let Some(([_, _, credentials], _)) = parts.database() {
        for (variable, key) in [("DATABASE_USERNAME", "username"), ("DATABASE_PASSWORD", "password")] {
            let arn = sub(&format!("${{Arn}}:{key}::"), [("Arn", credentials.clone())]);
            hidden.insert(variable.into(), arn);
        }
    }
    let ports: Vec<Value> = service
        .ports
        .iter()
        .map(|port| json!({ "Name": port.name, "ContainerPort": port.number, "Protocol": "tcp" }))
        .collect();
    let mut container = json!({
        "Name": service.name,
        "Image": image,
        "Essential": true,
        "User": "10001",
        "ReadonlyRootFilesystem": true,
        "LinuxParameters": { "InitProcessEnabled": true, "Capabilities": { "Drop": ["ALL"] } },
        "StopTimeout": stop_timeout(service),
        "PortMappings": ports,
        "Environment": variables.into_iter().map(|(name, value)| json!({ "Name": name, "Value": value })).collect::<Vec<_>>(),
        "LogConfiguration": { "LogDriver": "awslogs", "Options": {
            "awslogs-group": logs.reference(), "awslogs-region": pseudo("Region"), "awslogs-stream-prefix": service.name } },
    });
    if !hidden.is_empty() {
        let list = hidden
            .into_iter()
            .map(|(name, from)| json!({ "Name": name, "ValueFrom": from }));
        container["Secrets"] = list.collect();
    }
    if let Some(command) = &service.health_command {
        let binary = format!("/usr/local/bin/{}", service.package);
        let program = service.image.is_none().then_some(binary.as_str());
        let command: Vec<&str> = std::iter::once("CMD")
            .chain(program)
            .chain(command.iter().map(String::as_str))
            .collect();
        container["HealthCheck"] = json!({
            "Command": command, "Interval": 10, "Timeout": 5, "Retries": 3, "StartPeriod": 60 });
    }
    container
}

/// Seconds between SIGTERM and SIGKILL: first it is seen leaving (`SHUTDOWN_DELAY`, 3 unless told), then it drains.
fn stop_timeout(service: &Service) -> u32 {
    let told = service.environment.get("SHUTDOWN_DELAY");
    let delay = told.and_then(|seconds| seconds.parse().ok()).unwrap_or(3);
    DRAIN.saturating_add(delay).min(LONGEST_STOP)
}

/// The plain variables: ports, database, brokers, peers, then what the manifest gives, which wins.
fn variables(parts: &mut Parts) -> BTreeMap<String, Value> {
    let (manifest, service) = (parts.manifest, parts.service);
    let mut variables: BTreeMap<String, Value> = BTreeMap::new();
    for port in &service.ports {
        variables.insert(port.variable.clone(), port.number.to_string().into());
    }
    if let Some(([host, port, _], name)) = parts.database() {
        variables.insert("DATABASE_HOST".into(), host);
        variables.insert("DATABASE_PORT".into(), port);
        variables.insert("DATABASE_NAME".into(), name.into());
        // RDS refuses what is in the clear (rds.force_ssl); that it is RDS who answers is for the client to check
        variables.insert("DATABASE_TLS".into(), "verify-full".into());
        variables.insert("DATABASE_CA_FILE".into(), DATABASE_AUTHORITIES.into());
    }
    if let Some(servers) = parts.bootstrap_servers() {
        variables.insert("KAFKA_BOOTSTRAP_SERVERS".into(), servers);
        let security = manifest
            .kafka
            .as_ref()
            .map_or("plaintext", |kafka| kafka.security.as_str());
        variables.insert("KAFKA_SECURITY".into(), security.into());
    }
    for call in &service.calls {
        let (variable, value) = links::address_variable(manifest, call);
        variables.insert(variable, value.into());
    }
    if manifest.demo_data {
        variables.insert("SEED_DEMO_DATA".into(), "true".into());
    }
    for (variable, value) in &service.environment {
        variables.insert(variable.clone(), value.clone().into());
    }
    variables
}
