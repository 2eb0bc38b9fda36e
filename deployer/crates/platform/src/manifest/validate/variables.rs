//! One meaning for each variable of a service.
//!
//! ECS rejects a task definition in which one name is a variable and a secret. If one derived value replaced another, a service
//! would connect to the wrong peer without any error. A value of `environment` replaces a derived one: that is intended.

use std::collections::BTreeMap;

use super::super::Service;
use super::super::problem::{Meaning, Problem};
use super::{ErrorContext, Validated};

/// Variables of a service's database, and those that are secrets.
const DATABASE: [&str; 6] = [
    "DATABASE_HOST",
    "DATABASE_PORT",
    "DATABASE_NAME",
    "DATABASE_SECRET_ARN",
    "DATABASE_TLS",
    "DATABASE_CA_FILE",
];
const DATABASE_SECRETS: [&str; 2] = ["DATABASE_USERNAME", "DATABASE_PASSWORD"];
/// Variables of a service that uses Kafka.
const KAFKA: [&str; 2] = ["KAFKA_BOOTSTRAP_SERVERS", "KAFKA_SECURITY"];

/// Accepts services whose variables have one meaning each.
pub fn one_meaning_each(context: &ErrorContext, services: &[Service]) -> Validated<()> {
    for service in services {
        let mut known: BTreeMap<String, Meaning> = BTreeMap::new();
        for (variable, meaning) in meanings(service, services) {
            let Some(other) = known.get(&variable) else {
                known.insert(variable, meaning);
                continue;
            };
            let overrides = meaning == Meaning::Environment && is_derived(other);
            if !overrides && *other != meaning {
                let problem = Problem::VariableConflict {
                    variable,
                    first: other.clone(),
                    second: meaning,
                };
                return context.reject(&["services", &service.name], problem);
            }
        }
    }
    Ok(())
}

fn is_derived(meaning: &Meaning) -> bool {
    matches!(
        meaning,
        Meaning::Port(_) | Meaning::ShutdownDelay | Meaning::Database(_) | Meaning::Brokers | Meaning::Address { .. }
    )
}

/// Returns every variable of a service with its meaning; those of `environment` come last.
fn meanings(service: &Service, services: &[Service]) -> Vec<(String, Meaning)> {
    let mut all = Vec::new();
    let mut add = |variable: &str, meaning: Meaning| all.push((variable.to_owned(), meaning));
    for port in &service.ports {
        add(&port.variable, Meaning::Port(port.name.clone()));
    }
    let mut calls = services.iter().flat_map(|caller| &caller.calls);
    if calls.any(|call| call.service == service.name) {
        add("SHUTDOWN_DELAY", Meaning::ShutdownDelay);
    }
    if let Some(key) = &service.database {
        for variable in DATABASE {
            add(variable, Meaning::Database(key.clone()));
        }
        for variable in DATABASE_SECRETS {
            add(variable, Meaning::DatabaseSecret(key.clone()));
        }
    }
    if service.uses_kafka() {
        for variable in KAFKA {
            add(variable, Meaning::Brokers);
        }
    }
    for call in &service.calls {
        let (service, port) = (call.service.clone(), call.port.name.clone());
        add(&call.variable(), Meaning::Address { service, port });
    }
    for variable in &service.secrets {
        add(variable, own_secret(service, services, variable));
    }
    for secret in &service.existing_secrets {
        add(&secret.variable, Meaning::ExistingSecret);
    }
    // All callers of a service share the secret of its calls.
    for call in &service.calls {
        if let Some(variable) = &call.secret {
            add(variable, Meaning::LinkSecret(call.service.clone()));
        }
    }
    for call in services.iter().flat_map(|caller| &caller.calls) {
        if let Some(variable) = call.secret.as_ref().filter(|_| call.service == service.name) {
            add(variable, Meaning::LinkSecret(service.name.clone()));
        }
    }
    for variable in service.environment.keys() {
        add(variable, Meaning::Environment);
    }
    all
}

/// A service's secret is that of its calls if a caller names the same variable.
fn own_secret(service: &Service, services: &[Service], variable: &str) -> Meaning {
    let shared = services
        .iter()
        .flat_map(|caller| &caller.calls)
        .any(|call| call.service == service.name && call.secret.as_deref() == Some(variable));
    if shared {
        Meaning::LinkSecret(service.name.clone())
    } else {
        Meaning::OwnSecret(service.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::plan_of;

    #[test]
    fn every_variable_of_a_container_is_known_here() {
        let (manifest, plan) = plan_of("prod");
        for service in &manifest.services {
            let known: Vec<String> = meanings(service, &manifest.services)
                .into_iter()
                .map(|(variable, _)| variable)
                .collect();
            let stack = plan.stack(&service.name).expect("its stack");
            let definition = &stack.template["Resources"]["TaskDefinition"]["Properties"];
            let container = &definition["ContainerDefinitions"][0];
            for list in ["Environment", "Secrets"] {
                for one in container[list].as_array().into_iter().flatten() {
                    let name = one["Name"].as_str().expect("a name").to_owned();
                    assert!(known.contains(&name), "{}: {name}", service.name);
                }
            }
        }
    }
}
