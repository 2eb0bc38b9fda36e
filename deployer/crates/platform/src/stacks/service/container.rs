//! The container definition: image, variables, secrets, health check, log.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Builder, roles};
use crate::manifest::SecretSource;
use crate::stacks::links;
use crate::stacks::plan::DATABASE_CA_BUNDLE;
use cfn::template::{Handle, pseudo, sub};

/// Seconds between the last accepted request and the end of a service: 25 to drain, and some to flush.
const DRAIN: u32 = 32;
/// The variable with the seconds for which a stopping service still accepts requests.
const DELAY_VARIABLE: &str = "SHUTDOWN_DELAY";
/// Maximum of Fargate (Amazon ECS: container definition parameters, `stopTimeout`).
const MAX_STOP_TIMEOUT: u32 = 120;

/// Returns the container definition.
pub fn definition(builder: &mut Builder, image: &Value, logs: &Handle, generated: &[(String, Value)]) -> Value {
    let service = builder.service;
    let variables = variables(builder);
    let mut secrets: BTreeMap<String, Value> = generated.iter().cloned().collect();
    if let Some(([_, _, credentials], _)) = builder.database() {
        // RDS rotates the password while the task runs; ECS resolves secrets at the task's start alone.
        for (variable, key) in [("DATABASE_USERNAME", "username"), ("DATABASE_PASSWORD", "password")] {
            let arn = sub(&format!("${{Arn}}:{key}::"), [("Arn", credentials.clone())]);
            secrets.insert(variable.into(), arn);
        }
    }
    for secret in &service.existing_secrets {
        let from = match &secret.source {
            SecretSource::SecretsManager { arn, json_key: None } => arn.clone().into(),
            SecretSource::SecretsManager {
                arn,
                json_key: Some(key),
            } => format!("{arn}:{key}::").into(),
            SecretSource::Parameter { name } => roles::parameter_arn(name),
        };
        secrets.insert(secret.variable.clone(), from);
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
        "StopTimeout": stop_timeout(&variables),
        "PortMappings": ports,
        "Environment": variables.into_iter().map(|(name, value)| json!({ "Name": name, "Value": value })).collect::<Vec<_>>(),
        "LogConfiguration": { "LogDriver": "awslogs", "Options": {
            "awslogs-group": logs.reference(), "awslogs-region": pseudo("Region"), "awslogs-stream-prefix": service.name } },
    });
    if !secrets.is_empty() {
        let list = secrets
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

/// Returns the seconds between SIGTERM and SIGKILL: the service still accepts requests (`SHUTDOWN_DELAY`, by default 3), then
/// it drains.
fn stop_timeout(variables: &BTreeMap<String, Value>) -> u32 {
    let configured = variables.get(DELAY_VARIABLE).and_then(Value::as_str);
    let delay = configured.and_then(|seconds| seconds.parse().ok()).unwrap_or(3);
    DRAIN.saturating_add(delay).min(MAX_STOP_TIMEOUT)
}

/// Returns the environment variables: ports, database, brokers, called services, then those of the manifest, which override.
fn variables(builder: &mut Builder) -> BTreeMap<String, Value> {
    let (manifest, service) = (builder.manifest, builder.service);
    let mut variables: BTreeMap<String, Value> = BTreeMap::new();
    for port in &service.ports {
        variables.insert(port.variable.clone(), port.number.to_string().into());
    }
    if links::is_called(manifest, &service.name) {
        variables.insert(DELAY_VARIABLE.into(), links::SHUTDOWN_DELAY.to_string().into());
    }
    if let Some(([host, port, credentials], name)) = builder.database() {
        variables.insert("DATABASE_HOST".into(), host);
        variables.insert("DATABASE_PORT".into(), port);
        variables.insert("DATABASE_NAME".into(), name.into());
        variables.insert("DATABASE_SECRET_ARN".into(), credentials);
        // RDS rejects connections without TLS (rds.force_ssl); the client must verify the server itself.
        variables.insert("DATABASE_TLS".into(), "verify-full".into());
        variables.insert("DATABASE_CA_FILE".into(), DATABASE_CA_BUNDLE.into());
    }
    if let Some(servers) = builder.bootstrap_servers() {
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
