//! The OpenAPI documents, as the gateway shows them: which operations there are, and which were asked.

use std::collections::BTreeSet;

use end_to_end::System;
use kit::openapi::for_each_operation;

/// The services' documents by their names at the gateway.
const NAMES: [&str; 5] = ["patients", "auth", "billing", "analytics", "notifications"];

/// All operations.
pub struct Documents(Vec<Operation>);

struct Operation {
    method: String,
    /// Such as `/api/patients/{id}`.
    path: String,
    statuses: BTreeSet<String>,
    asked: bool,
}

impl Documents {
    /// Reads those of the services, and the gateway's own.
    pub async fn read(system: &System) -> Self {
        let mut operations = Vec::new();
        let addresses = NAMES.iter().map(|name| format!("/api-docs/{name}"));
        for address in addresses.chain(["/v3/api-docs".to_owned()]) {
            let mut document = system.anyone().get(&address).answer().await.json();
            let prefix = document["servers"][0]["url"].as_str().unwrap_or_default();
            let prefix = prefix.trim_end_matches('/').to_owned();
            for_each_operation(&mut document, |path, method, operation| {
                let responses = operation["responses"].as_object().expect("responses");
                operations.push(Operation {
                    method: method.to_ascii_uppercase(),
                    path: format!("{prefix}{path}"),
                    statuses: responses.keys().cloned().collect(),
                    asked: false,
                });
            });
        }
        assert!(
            operations.len() > 20,
            "the documents tell of {} operations",
            operations.len()
        );
        Self(operations)
    }

    /// Notes that an operation was asked.
    ///
    /// # Errors
    /// When its document does not tell of the status.
    pub fn tell(&mut self, method: &str, path: &str, status: u16) -> Result<(), String> {
        let found = self
            .0
            .iter_mut()
            .find(|operation| operation.method == method && fits(&operation.path, path));
        let Some(operation) = found else {
            // A request may show what no route answers.
            return if status == 404 {
                Ok(())
            } else {
                Err("no document tells of this route".to_owned())
            };
        };
        operation.asked = true;
        if operation.statuses.contains(&status.to_string()) {
            Ok(())
        } else {
            Err(format!("the document of {} does not tell of {status}", operation.path))
        }
    }

    /// The operations that nobody asked.
    pub fn without_request(&self) -> Vec<String> {
        let missing = self.0.iter().filter(|operation| !operation.asked);
        missing
            .map(|operation| format!("{} {}", operation.method, operation.path))
            .collect()
    }
}

fn fits(template: &str, path: &str) -> bool {
    let (wanted, given): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    wanted.len() == given.len()
        && wanted
            .iter()
            .zip(given)
            .all(|(wanted, given)| *wanted == given || (wanted.starts_with('{') && !given.is_empty()))
}
