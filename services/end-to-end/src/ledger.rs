//! What was acknowledged, so that it can be asked for at the end.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::StatusCode;
use serde_json::Value;
use uuid::Uuid;

use crate::{Answer, Client, System, a_patient, check};

/// Everything that the platform said it has done; clones write into the same.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    entries: Arc<Mutex<Entries>>,
}

#[derive(Debug, Default)]
struct Entries {
    patients: BTreeMap<Uuid, Acknowledged>,
    writes: usize,
    failures: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

/// What is known of one patient.
#[derive(Debug, Clone, Copy, Default)]
pub struct Acknowledged {
    /// The newest version that an answer told.
    pub version: i64,
    /// Whether its deletion was answered.
    pub deleted: bool,
}

impl Ledger {
    /// Creates a patient; gives its id when the creation was acknowledged.
    pub async fn create(&self, client: &Client) -> Option<Uuid> {
        self.create_as(client, &a_patient(), &Uuid::new_v4().to_string()).await
    }

    /// Creates this patient under an idempotency key: after a failure the same call may be made again.
    pub async fn create_as(&self, client: &Client, patient: &Value, key: &str) -> Option<Uuid> {
        let request = client.post("/api/patients").json(patient);
        let answer = self.sort(request.header("idempotency-key", key).send().await, "create", &[409])?;
        let body = answer.json();
        let id = body["id"].as_str().and_then(|id| Uuid::parse_str(id).ok());
        let id = id.unwrap_or_else(|| panic!("an acknowledged patient without an id: {body}"));
        self.note(id, |known| known.version = known.version.max(1));
        Some(id)
    }

    /// Changes a patient; says whether that was acknowledged.
    pub async fn update(&self, client: &Client, id: Uuid) -> bool {
        let request = client.put(&format!("/api/patients/{id}")).json(&a_patient());
        let Some(answer) = self.sort(request.send().await, "update", &[]) else {
            return false;
        };
        let version = answer.header("etag").map(|tag| tag.trim_matches('"').parse::<i64>());
        let Some(Ok(version)) = version else {
            panic!("an update without the version as its ETag: {:?}", answer.headers);
        };
        self.note(id, |known| known.version = known.version.max(version));
        true
    }

    /// Deletes a patient; says whether that was acknowledged.
    ///
    /// A 404 says so, too: an attempt before it was carried out and its answer lost.
    pub async fn delete(&self, client: &Client, id: Uuid) -> bool {
        let request = client.delete(&format!("/api/patients/{id}"));
        let Some(_) = self.sort(request.send().await, "delete", &[404]) else {
            return false;
        };
        self.note(id, |known| known.deleted = true);
        true
    }

    /// Notes creations that were acknowledged to somebody else, such as [`crate::load`].
    pub fn created(&self, patients: impl IntoIterator<Item = Uuid>) {
        for id in patients {
            self.entries().writes += 1;
            self.note(id, |known| known.version = known.version.max(1));
        }
    }

    /// How many writes were acknowledged.
    pub fn writes(&self) -> usize {
        self.entries().writes
    }

    /// Who was created.
    pub fn patients(&self) -> BTreeMap<Uuid, Acknowledged> {
        self.entries().patients.clone()
    }

    /// What was not acknowledged, by reason.
    pub fn failures(&self) -> BTreeMap<String, usize> {
        self.entries().failures.clone()
    }

    /// Waits until the platform has nothing left to do, then checks that everything holds; see [`check::everything`].
    ///
    /// # Panics
    /// When something does not, with a list of it.
    pub async fn settle(&self, system: &System) {
        let wrong = self.entries().wrong.clone();
        eprintln!(
            "{} writes acknowledged of {} patients; not acknowledged: {:?}",
            self.writes(),
            self.patients().len(),
            self.failures()
        );
        check::everything(system, &self.patients(), wrong).await;
    }

    /// Gives the answer of a write that was carried out, and counts what is none.
    fn sort(&self, sent: Result<Answer, String>, what: &str, also: &[u16]) -> Option<Answer> {
        let answer = match sent {
            Ok(answer) => answer,
            Err(_) => {
                *self.entries().failures.entry(format!("{what}: no answer")).or_default() += 1;
                return None;
            }
        };
        let status = answer.status;
        if status.is_success() || (status == StatusCode::NOT_FOUND && also.contains(&404)) {
            self.entries().writes += 1;
            return Some(answer);
        }
        let mut entries = self.entries();
        *entries.failures.entry(format!("{what}: {status}")).or_default() += 1;
        let expected = matches!(status.as_u16(), 502..=504) || also.contains(&status.as_u16());
        if !expected {
            entries
                .wrong
                .push(format!("{what} was answered {status}: {}", answer.text()));
        }
        None
    }

    fn note(&self, id: Uuid, change: impl FnOnce(&mut Acknowledged)) {
        change(self.entries().patients.entry(id).or_default());
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
