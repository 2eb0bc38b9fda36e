//! The rules of Fargate on a task definition, and the members of it that this endpoint stores but cannot run.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::error::{client, invalid_parameter};
use super::members::{integer, list, text};
use super::{dependencies, volume_rules};
use crate::AwsError;
use crate::records::texts;
use crate::runtime::task::settings;

/// The log drivers of ECS (`LogConfiguration`), those of Fargate first.
const LOG_DRIVERS: [&str; 8] = [
    "awslogs",
    "splunk",
    "awsfirelens",
    "fluentd",
    "gelf",
    "json-file",
    "journald",
    "syslog",
];
const OF_FARGATE: usize = 3;

/// The sizes of Fargate tasks: the CPU units, and the least, the greatest and the steps of the memory in MiB ("Task CPU and
/// memory"). The smallest has 512 MiB too.
const SIZES: [(i64, i64, i64, i64); 7] = [
    (256, 1024, 2048, 1024),
    (512, 1024, 4096, 1024),
    (1024, 2048, 8192, 1024),
    (2048, 4096, 16384, 1024),
    (4096, 8192, 30720, 1024),
    (8192, 16384, 61440, 4096),
    (16384, 32768, 122_880, 8192),
];

/// The members of a container that change how it runs, and that the endpoint cannot follow.
const NOT_RUN: [&str; 17] = [
    "volumesFrom",
    "firelensConfiguration",
    "repositoryCredentials",
    "resourceRequirements",
    "links",
    "extraHosts",
    "restartPolicy",
    "systemControls",
    "credentialSpecs",
    "dnsServers",
    "dnsSearchDomains",
    "dockerSecurityOptions",
    "hostname",
    "privileged",
    "interactive",
    "pseudoTerminal",
    "disableNetworking",
];

/// The members of `linuxParameters` that Fargate does not support (Amazon ECS API, `LinuxParameters`).
const NOT_RUN_LINUX: [&str; 5] = ["devices", "maxSwap", "sharedMemorySize", "swappiness", "tmpfs"];

/// Checks a new task definition as ECS does.
///
/// # Errors
/// `ClientException` for what Fargate rejects, if the definition requires it.
pub fn check(definition: &Value, containers: &[Value]) -> Result<(), AwsError> {
    let mut names = HashSet::new();
    for container in containers {
        let name = text(container, "name").unwrap_or_default();
        if !names.insert(name) {
            return Err(client(format!("Duplicate container name: {name}.")));
        }
        if let Some(other) = log_driver(container).filter(|driver| !LOG_DRIVERS.contains(driver)) {
            return Err(client(format!(
                "Log driver {other} is not one of {}.",
                LOG_DRIVERS.join(", ")
            )));
        }
    }
    dependencies::check(containers)?;
    volume_rules::check(definition, containers)?;
    if text(definition, "networkMode") == Some("awsvpc") {
        check_ports(containers)?;
    }
    if list(definition, "requiresCompatibilities").contains(&json!("FARGATE")) {
        check_fargate(definition, containers)?;
    }
    Ok(())
}

fn check_ports(containers: &[Value]) -> Result<(), AwsError> {
    let mut mappings = containers.iter().flat_map(|container| list(container, "portMappings"));
    let differs = |mapping: &Value| integer(mapping.get("hostPort")) != integer(mapping.get("containerPort"));
    if mappings.any(differs) {
        return Err(client(
            "When networkMode=awsvpc, the host ports and container ports in port mappings must match.",
        ));
    }
    Ok(())
}

fn check_fargate(definition: &Value, containers: &[Value]) -> Result<(), AwsError> {
    if text(definition, "networkMode") != Some("awsvpc") {
        return Err(client("Fargate only supports network mode 'awsvpc'."));
    }
    if text(definition, "pidMode") == Some("host") {
        return Err(client(
            "Tasks using the Fargate launch type do not support pidMode 'host'. The supported value for pidMode is 'task'.",
        ));
    }
    let size = |member: &str| {
        let value = definition.get(member).and_then(crate::records::scalar);
        value.ok_or_else(|| {
            client(format!(
                "Fargate requires that '{member}' be defined at the task level."
            ))
        })
    };
    let (cpu, memory) = (size("cpu")?, size("memory")?);
    let (units, mib) = (amount(&cpu, "vcpu"), amount(&memory, "gb"));
    let is_size = |&(of, least, most, step): &(i64, i64, i64, i64)| {
        let fits = mib.is_some_and(|mib| (least..=most).contains(&mib) && (mib - least) % step == 0);
        units == Some(of) && (fits || of == 256 && mib == Some(512))
    };
    if !SIZES.iter().any(is_size) {
        return Err(client(format!(
            "No Fargate configuration exists for given values: {cpu} CPU, {memory} memory. See the Amazon ECS documentation \
             for the valid values."
        )));
    }
    for container in containers {
        let name = text(container, "name").unwrap_or_default();
        if integer(container.get("memory")) > mib || integer(container.get("cpu")) > units {
            return Err(client(format!(
                "Invalid setting for container '{name}'. Its cpu and memory must not exceed those of the task."
            )));
        }
        let driver = log_driver(container);
        if let Some(driver) = driver.filter(|driver| !LOG_DRIVERS[..OF_FARGATE].contains(driver)) {
            return Err(client(format!(
                "Fargate does not support the log driver {driver} of '{name}'."
            )));
        }
        let needs_role = driver == Some("awslogs") || !list(container, "secrets").is_empty();
        if needs_role && text(definition, "executionRoleArn").is_none_or(str::is_empty) {
            return Err(client(
                "Fargate requires task definition to have execution role ARN to support log driver awslogs and secrets.",
            ));
        }
    }
    Ok(())
}

/// Checks that the endpoint can run the tasks of a definition.
///
/// # Errors
/// `InvalidParameterException` that names the member which it stores but cannot run.
pub fn check_runnable(definition: &Value) -> Result<(), AwsError> {
    let unsupported = |what: String| {
        let family = text(definition, "family").unwrap_or_default();
        invalid_parameter(format!(
            "The embedded endpoint cannot run tasks of {family}: it does not support {what}."
        ))
    };
    for container in list(definition, "containerDefinitions") {
        if let Some(driver) = log_driver(container).filter(|driver| *driver != "awslogs") {
            return Err(unsupported(format!("the log driver {driver}, only awslogs")));
        }
        if let Some(member) = set_member(container, &NOT_RUN) {
            return Err(unsupported(format!("{member} of a container")));
        }
        let linux = container.get("linuxParameters").unwrap_or(&Value::Null);
        if let Some(member) = set_member(linux, &NOT_RUN_LINUX) {
            return Err(unsupported(format!("{member} of linuxParameters")));
        }
        for member in ["add", "drop"] {
            let names = texts(linux.pointer(&format!("/capabilities/{member}")));
            if let Some(name) = names.iter().find(|name| !settings::is_capability(name)) {
                return Err(unsupported(format!("the capability {name}")));
            }
        }
        let limits = list(container, "ulimits")
            .iter()
            .filter_map(|limit| text(limit, "name"));
        if let Some(name) = limits.into_iter().find(|name| !settings::is_limit(name)) {
            return Err(unsupported(format!("the ulimit {name}")));
        }
    }
    for volume in list(definition, "volumes") {
        if let Some(member) = volume_rules::unsupported(volume) {
            return Err(unsupported(format!("{member} of a volume")));
        }
    }
    Ok(())
}

/// Returns the first of the members that has a value other than nothing, false or an empty list.
fn set_member(of: &Value, members: &[&'static str]) -> Option<&'static str> {
    let is_set = |member: &&&str| match of.get(**member) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Object(config)) => config.get("enabled") != Some(&Value::Bool(false)),
        Some(_) => true,
    };
    members.iter().find(is_set).copied()
}

fn log_driver(container: &Value) -> Option<&str> {
    container.get("logConfiguration").and_then(|log| text(log, "logDriver"))
}

/// Reads CPU units or MiB; with a unit, such as `.5 vCPU` or `1 GB`, a number of 1024 each.
#[expect(
    clippy::cast_possible_truncation,
    reason = "`as` saturates, and no size of a task comes near the limits"
)]
fn amount(text: &str, unit: &str) -> Option<i64> {
    let lower = text.trim().to_lowercase();
    match lower.strip_suffix(unit) {
        Some(number) => number.trim().parse::<f64>().ok().map(|number| (number * 1024.0) as i64),
        None => lower.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fargate_rejects_is_rejected() {
        let container = json!({"name": "c", "image": "x"});
        let merged = |base: &Value, change: &Value| {
            let mut merged = base.clone();
            for (member, value) in change.as_object().unwrap() {
                merged[member.as_str()] = value.clone();
            }
            merged
        };
        let base = json!({
            "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
        });
        let checked = |task: Value, of_container: Value| {
            check(&merged(&base, &task), &[merged(&container, &of_container)]).map_err(|error| error.code)
        };
        for (task, of_container, is_valid) in [
            (json!({}), json!({}), true),
            (json!({"cpu": ".5 vCPU", "memory": "1 GB"}), json!({}), true),
            (json!({"cpu": "300", "memory": "500"}), json!({}), false),
            (json!({"memory": "8192"}), json!({}), false),
            (json!({"networkMode": "bridge"}), json!({}), false),
            (
                json!({}),
                json!({"portMappings": [{"containerPort": 80, "hostPort": 81}]}),
                false,
            ),
            (json!({}), json!({"memory": 1024}), false),
            (json!({}), json!({"logConfiguration": {"logDriver": "awslogs"}}), false),
            (
                json!({"executionRoleArn": "r"}),
                json!({"logConfiguration": {"logDriver": "awslogs"}}),
                true,
            ),
            (
                json!({}),
                json!({"logConfiguration": {"logDriver": "json-file"}}),
                false,
            ),
            (json!({}), json!({"logConfiguration": {"logDriver": "splunk"}}), true),
            (
                json!({"requiresCompatibilities": []}),
                json!({"logConfiguration": {"logDriver": "json-file"}}),
                true,
            ),
        ] {
            let expected = if is_valid {
                Ok(())
            } else {
                Err("ClientException".to_owned())
            };
            assert_eq!(
                checked(task.clone(), of_container.clone()),
                expected,
                "{task} {of_container}"
            );
        }
        assert!(check(&json!({}), &[container.clone(), container.clone()]).is_err());
    }

    #[test]
    fn a_definition_that_cannot_run_is_refused_by_the_member() {
        for (member, value, is_run) in [
            ("volumesFrom", json!([]), true),
            ("volumesFrom", json!([{"sourceContainer": "o"}]), false),
            ("logConfiguration", json!({"logDriver": "splunk"}), false),
            ("privileged", json!(false), true),
            ("privileged", json!(true), false),
            ("restartPolicy", json!({"enabled": true}), false),
            (
                "linuxParameters",
                json!({"initProcessEnabled": true, "capabilities": {"drop": ["ALL"]}}),
                true,
            ),
            ("linuxParameters", json!({"capabilities": {"add": ["NO_SUCH"]}}), false),
            ("linuxParameters", json!({"sharedMemorySize": 64}), false),
            (
                "ulimits",
                json!([{"name": "nofile", "softLimit": 1, "hardLimit": 1}]),
                true,
            ),
            ("ulimits", json!([{"name": "files"}]), false),
        ] {
            let definition = json!({"family": "f", "containerDefinitions": [{"name": "c", member: value}]});
            assert_eq!(check_runnable(&definition).is_ok(), is_run, "{member}");
        }
    }

    #[test]
    fn only_ephemeral_volumes_are_run_and_mounted() {
        let with = |volume: Value| json!({"family": "f", "volumes": [volume]});
        assert!(check_runnable(&with(json!({"name": "v", "host": {}}))).is_ok());
        assert!(check_runnable(&with(json!({"name": "v", "host": {"sourcePath": "/"}}))).is_err());
        assert!(
            check_runnable(&with(
                json!({"name": "v", "efsVolumeConfiguration": {"fileSystemId": "f"}})
            ))
            .is_err()
        );
        let point = |volume: &str, path: &str| {
            let container = json!({"name": "c", "mountPoints": [{"sourceVolume": volume, "containerPath": path}]});
            check(&with(json!({"name": "v"})), &[container])
        };
        assert!(point("v", "/data").is_ok());
        assert!(point("w", "/data").is_err());
        assert!(point("v", "data").is_err());
    }
}
