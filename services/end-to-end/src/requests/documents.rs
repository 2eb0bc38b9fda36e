//! The operations of the OpenAPI documents at the gateway, and the ones that have been requested.

use std::collections::BTreeSet;

use anyhow::ensure;
use kit::openapi::for_each_operation;

use crate::System;

/// The services' documents by their names at the gateway.
const NAMES: [&str; 6] = ["patients", "auth", "billing", "analytics", "notifications", "audit"];

/// All operations.
pub(super) struct Documents(Vec<Operation>);

struct Operation {
    method: String,
    /// Such as `/api/patients/{id}`.
    path: String,
    statuses: BTreeSet<String>,
    requested: bool,
}

impl Documents {
    /// Reads the documents of the services and of the gateway.
    pub(super) async fn read(system: &System) -> Self {
        let mut operations = Vec::new();
        let addresses = NAMES.iter().map(|name| format!("/api-docs/{name}"));
        for address in addresses.chain(["/v3/api-docs".to_owned()]) {
            let mut document = system.anonymous().get(&address).response().await.json();
            let prefix = document["servers"][0]["url"].as_str().unwrap_or_default();
            let prefix = prefix.trim_end_matches('/').to_owned();
            for_each_operation(&mut document, |path, method, operation| {
                let responses = operation["responses"].as_object().expect("responses");
                operations.push(Operation {
                    method: method.to_ascii_uppercase(),
                    path: format!("{prefix}{path}"),
                    statuses: responses.keys().cloned().collect(),
                    requested: false,
                });
            });
        }
        assert!(
            operations.len() > 20,
            "the documents have only {} operations",
            operations.len()
        );
        Self(operations)
    }

    /// Marks an operation as requested.
    ///
    /// # Errors
    /// If its document does not have the status.
    pub(super) fn record(&mut self, method: &str, path: &str, status: u16) -> anyhow::Result<()> {
        let operation = self
            .0
            .iter_mut()
            .find(|operation| operation.method == method && matches(&operation.path, path));
        let Some(operation) = operation else {
            // A request may show the response to an unknown route; the FHIR API is described by its own statement.
            ensure!(
                status == 404 || path.starts_with("/fhir/"),
                "no document has this route"
            );
            return Ok(());
        };
        operation.requested = true;
        ensure!(
            operation.statuses.contains(&status.to_string()),
            "the document of {} does not have {status}",
            operation.path
        );
        Ok(())
    }

    /// Returns the operations without a request.
    pub(super) fn without_request(&self) -> Vec<String> {
        let missing = self.0.iter().filter(|operation| !operation.requested);
        missing
            .map(|operation| format!("{} {}", operation.method, operation.path))
            .collect()
    }
}

fn matches(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template
            .iter()
            .zip(path)
            .all(|(expected, actual)| *expected == actual || (expected.starts_with('{') && !actual.is_empty()))
}
