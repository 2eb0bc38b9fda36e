//! No variable of a service has two meanings.
//!
//! ECS refuses a task definition in which one name is a variable and a secret; and where one derived value hid another, a
//! service would talk to the wrong peer, and nobody would be told. What `environment` says over a plain derived value wins:
//! that is meant.

use std::collections::BTreeMap;

use super::{Checked, Place};
use crate::manifest::Service;

/// What a database tells its service, in the clear and as secrets.
const DATABASE: [&str; 5] = [
    "DATABASE_HOST",
    "DATABASE_PORT",
    "DATABASE_NAME",
    "DATABASE_TLS",
    "DATABASE_CA_FILE",
];
const DATABASE_SECRETS: [&str; 2] = ["DATABASE_USERNAME", "DATABASE_PASSWORD"];
const KAFKA: [&str; 2] = ["KAFKA_BOOTSTRAP_SERVERS", "KAFKA_SECURITY"];

/// What a variable holds, in words.
#[derive(Debug, PartialEq, Eq)]
struct Meaning {
    words: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Derived,
    Secret,
    /// What `environment` says.
    Given,
}

pub fn one_meaning_each(place: &Place, services: &[Service]) -> Checked<()> {
    for service in services {
        let mut known: BTreeMap<String, Meaning> = BTreeMap::new();
        for (variable, meaning) in meanings(service, services) {
            let Some(other) = known.get(&variable) else {
                known.insert(variable, meaning);
                continue;
            };
            let overrides = meaning.kind == Kind::Given && other.kind == Kind::Derived;
            if !overrides && *other != meaning {
                let message = format!(
                    "{variable} would be both {} and {}; one of them needs another name",
                    other.words, meaning.words
                );
                return place.invalid(&["services", &service.name], message);
            }
        }
    }
    Ok(())
}

/// Every variable of a service with what it holds; what `environment` says comes last.
fn meanings(service: &Service, services: &[Service]) -> Vec<(String, Meaning)> {
    let mut all = Vec::new();
    let mut add = |variable: &str, kind: Kind, words: String| {
        all.push((variable.to_owned(), Meaning { words, kind }));
    };
    for port in &service.ports {
        add(&port.variable, Kind::Derived, format!("the port '{}'", port.name));
    }
    if let Some(key) = &service.database {
        for variable in DATABASE {
            add(variable, Kind::Derived, format!("told of the database '{key}'"));
        }
        for variable in DATABASE_SECRETS {
            add(variable, Kind::Secret, format!("a secret of the database '{key}'"));
        }
    }
    if service.uses_kafka() {
        for variable in KAFKA {
            add(variable, Kind::Derived, "told of the brokers".to_owned());
        }
    }
    for call in &service.calls {
        let words = format!("the address of '{}', port '{}'", call.service, call.port.name);
        add(&call.variable(), Kind::Derived, words);
    }
    // A link's secret is one for all who call the same service by it.
    let of_link = |callee: &str| format!("the secret of the calls to '{callee}'");
    for variable in &service.secrets {
        add(variable, Kind::Secret, of_own(service, services, variable));
    }
    for call in &service.calls {
        if let Some(variable) = &call.secret {
            add(variable, Kind::Secret, of_link(&call.service));
        }
    }
    for call in services.iter().flat_map(|caller| &caller.calls) {
        if let Some(variable) = call.secret.as_ref().filter(|_| call.service == service.name) {
            add(variable, Kind::Secret, of_link(&service.name));
        }
    }
    for variable in service.environment.keys() {
        add(variable, Kind::Given, "what `environment` says".to_owned());
    }
    all
}

/// A service's own secret is the one that its callers show, where they name the same.
fn of_own(service: &Service, services: &[Service], variable: &str) -> String {
    let shared = services
        .iter()
        .flat_map(|caller| &caller.calls)
        .any(|call| call.service == service.name && call.secret.as_deref() == Some(variable));
    match shared {
        true => format!("the secret of the calls to '{}'", service.name),
        false => format!("a secret of '{}' itself", service.name),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::manifest::Manifest;

    #[test]
    fn every_variable_of_a_container_is_known_here() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../deployer.toml");
        let manifest = Manifest::load(&path, "prod").expect("the manifest");
        let plan = crate::stacks::plan(&manifest);
        for service in &manifest.services {
            let known: Vec<String> = meanings(service, &manifest.services)
                .into_iter()
                .map(|(variable, _)| variable)
                .collect();
            let stack = plan.stacks.iter().find(|stack| stack.short == service.name);
            let container = &stack.expect("its stack").template["Resources"]["TaskDefinition"]["Properties"]["ContainerDefinitions"]
                [0];
            for list in ["Environment", "Secrets"] {
                for one in container[list].as_array().into_iter().flatten() {
                    let name = one["Name"].as_str().expect("a name").to_owned();
                    assert!(known.contains(&name), "{}: {name}", service.name);
                }
            }
        }
    }
}
