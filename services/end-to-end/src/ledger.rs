//! Acknowledged writes, which are verified at the end of a test.

use std::{collections::BTreeMap, sync::Arc};

use http::StatusCode;
use kit::{testing::TraceParent, trace};
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    Client, Request, RequestError, Response, System, a_patient,
    check::{self, Acknowledged},
};

/// Every write that the platform acknowledged; clones share the entries.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    entries: Arc<Mutex<Entries>>,
}

#[derive(Debug, Default)]
struct Entries {
    patients: BTreeMap<Uuid, Acknowledged>,
    writes: usize,
    /// Traces of the requests about patients that were answered.
    answered: Vec<String>,
    failures: BTreeMap<String, usize>,
    violations: Vec<String>,
}

impl Ledger {
    /// Creates a patient and returns its id if the creation was acknowledged.
    pub async fn create(&self, client: &Client) -> Option<Uuid> {
        self.create_as(client, &a_patient(), &Uuid::new_v4().to_string()).await
    }

    /// Creates a patient with an idempotency key, so that the same call can be repeated after a failure.
    ///
    /// # Panics
    /// If an acknowledged patient has no id.
    pub async fn create_as(&self, client: &Client, patient: &Value, key: &str) -> Option<Uuid> {
        let request = client.post("/api/patients").json(patient);
        let (request, trace) = traced(request.header("idempotency-key", key));
        let response = self.classify(request.send().await, "create", &[409])?;
        self.add_answered([trace]);
        let body = response.json();
        let id = body["id"].as_str().and_then(|id| Uuid::parse_str(id).ok());
        let id = id.unwrap_or_else(|| panic!("an acknowledged patient without an id: {body}"));
        self.record(id, |patient| patient.version = patient.version.max(1));
        Some(id)
    }

    /// Changes a patient and returns whether that was acknowledged.
    ///
    /// # Panics
    /// If the response to an acknowledged change has no version.
    pub async fn update(&self, client: &Client, id: Uuid) -> bool {
        let (request, trace) = traced(client.put(&format!("/api/patients/{id}")).json(&a_patient()));
        let Some(response) = self.classify(request.send().await, "update", &[]) else {
            return false;
        };
        self.add_answered([trace]);
        let version = response.header("etag").map(|tag| tag.trim_matches('"').parse::<i64>());
        let Some(Ok(version)) = version else {
            panic!("an update without the version as its ETag: {:?}", response.headers);
        };
        self.record(id, |patient| patient.version = patient.version.max(version));
        true
    }

    /// Deletes a patient and returns whether that was acknowledged.
    ///
    /// A 404 counts as well: an earlier attempt succeeded and its response was lost.
    pub async fn delete(&self, client: &Client, id: Uuid) -> bool {
        let (request, trace) = traced(client.delete(&format!("/api/patients/{id}")));
        let Some(_) = self.classify(request.send().await, "delete", &[404]) else {
            return false;
        };
        self.add_answered([trace]);
        self.record(id, |patient| patient.deleted = true);
        true
    }

    /// Adds creations that were acknowledged to another client, such as [`crate::load`].
    pub fn add_created(&self, patients: impl IntoIterator<Item = Uuid>) {
        for id in patients {
            self.entries().writes += 1;
            self.record(id, |patient| patient.version = patient.version.max(1));
        }
    }

    /// Adds traces of requests about patients that were answered; each must be in the audit trail.
    pub fn add_answered(&self, traces: impl IntoIterator<Item = String>) {
        self.entries().answered.extend(traces);
    }

    /// Returns the number of acknowledged writes.
    pub fn writes(&self) -> usize {
        self.entries().writes
    }

    /// Returns the acknowledged state of each patient.
    pub fn patients(&self) -> BTreeMap<Uuid, Acknowledged> {
        self.entries().patients.clone()
    }

    /// Returns the number of writes that were not acknowledged, by reason.
    pub fn failures(&self) -> BTreeMap<String, usize> {
        self.entries().failures.clone()
    }

    /// Waits until the platform is idle, then verifies every invariant; see `check::invariants`.
    ///
    /// # Panics
    /// If one is violated, with a list of the violations.
    pub async fn verify(&self, system: &System) {
        let violations = self.entries().violations.clone();
        eprintln!(
            "{} writes acknowledged of {} patients; not acknowledged: {:?}",
            self.writes(),
            self.patients().len(),
            self.failures()
        );
        let answered = self.entries().answered.clone();
        check::invariants(system, &self.patients(), &answered, violations).await;
    }

    /// Returns the response to an acknowledged write, and counts any other.
    fn classify(&self, sent: Result<Response, RequestError>, what: &str, also: &[u16]) -> Option<Response> {
        let Ok(response) = sent else {
            *self
                .entries()
                .failures
                .entry(format!("{what}: no response"))
                .or_default() += 1;
            return None;
        };
        let status = response.status;
        if status.is_success() || (status == StatusCode::NOT_FOUND && also.contains(&404)) {
            self.entries().writes += 1;
            return Some(response);
        }
        let mut entries = self.entries();
        *entries.failures.entry(format!("{what}: {status}")).or_default() += 1;
        let expected = matches!(status.as_u16(), 502..=504) || also.contains(&status.as_u16());
        if !expected {
            entries
                .violations
                .push(format!("{what} got {status}: {}", response.text()));
        }
        None
    }

    fn record(&self, id: Uuid, change: impl FnOnce(&mut Acknowledged)) {
        change(self.entries().patients.entry(id).or_default());
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock()
    }
}

/// Starts a trace with the request, and returns its id.
fn traced(request: Request<'_>) -> (Request<'_>, String) {
    let trace = TraceParent::random();
    (request.header(trace::HEADER, &trace.to_string()), trace.trace_id)
}
