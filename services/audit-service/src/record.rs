//! One record of the audit trail, and its hash.

use contracts::audit::Event;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use sqlx::FromRow;
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;
use uuid::Uuid;

/// A request about patients, as it is stored and as clients see it.
#[derive(Debug, Clone, PartialEq, Eq, FromRow, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Position in the chain, from 1 without gaps.
    #[schema(minimum = 1)]
    pub position: i64,
    /// One for each request.
    pub event_id: Uuid,
    /// Time of the response.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub occurred_at: OffsetDateTime,
    /// Time at which the record was appended to the chain.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub recorded_at: OffsetDateTime,
    /// The user's id.
    pub actor: Uuid,
    /// The user's role at that time.
    #[schema(example = "USER")]
    pub role: String,
    /// The user's session; absent if the token had none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub session_id: Option<Uuid>,
    /// The client's IP address; absent if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, example = "203.0.113.9")]
    pub client_address: Option<String>,
    /// READ, LIST, SEARCH, CREATE, UPDATE, DELETE, EXPORT, HISTORY, `AUDIT_READ` and others.
    #[schema(example = "READ")]
    pub action: String,
    /// Method and pattern of the route.
    #[schema(example = "GET /patients/{id}")]
    pub route: String,
    /// The patient whom the request names; absent for a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub patient_id: Option<Uuid>,
    /// The patients whom a list showed.
    pub shown_patient_ids: Vec<Uuid>,
    /// Names of the fields that were set or changed; no values.
    pub changed_fields: Vec<String>,
    /// HTTP status of the response.
    #[schema(minimum = 100, maximum = 599, example = 200)]
    pub outcome: i32,
    /// Trace of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, example = "4bf92f3577b34da6a3ce929d0e0e4736")]
    pub trace_id: Option<String>,
    /// The service that answered.
    #[schema(example = "patient-service")]
    pub service: String,
    /// SHA-256 of the previous record's hash and this record, as 64 hexadecimal digits.
    #[serde(serialize_with = "hexadecimal")]
    #[schema(value_type = String, min_length = 64, max_length = 64)]
    pub hash: Vec<u8>,
}

impl Record {
    /// Returns the record of an event at this position, with its hash.
    pub fn new(event: &Event, position: i64, recorded_at: OffsetDateTime, previous: &[u8]) -> Self {
        let mut record = Self {
            position,
            event_id: event.event_id,
            occurred_at: whole_microseconds(event.occurred_at),
            recorded_at: whole_microseconds(recorded_at),
            actor: event.actor,
            role: event.role.clone(),
            session_id: event.session,
            client_address: event.address.map(|address| address.to_string()),
            action: event.action.clone(),
            route: event.route.clone(),
            patient_id: event.patient,
            shown_patient_ids: event.shown.clone(),
            changed_fields: event.changed_fields.clone(),
            outcome: event.outcome.into(),
            trace_id: event.trace.clone(),
            service: event.service.clone(),
            hash: Vec::new(),
        };
        record.hash = record.hash_after(previous);
        record
    }

    /// Returns the hash that the record must have behind a record with the hash `previous`.
    ///
    /// The encoding is canonical: a version, then each field in its order, with its length in front, so that no two records
    /// have the same encoding.
    pub fn hash_after(&self, previous: &[u8]) -> Vec<u8> {
        let mut encoding = Encoding(Sha256::new());
        encoding.field(b"audit record 1");
        encoding.field(previous);
        encoding.field(&self.position.to_be_bytes());
        encoding.field(self.event_id.as_bytes());
        encoding.field(&microseconds(self.occurred_at));
        encoding.field(&microseconds(self.recorded_at));
        encoding.field(self.actor.as_bytes());
        encoding.field(self.role.as_bytes());
        encoding.optional(self.session_id.as_ref().map(|id| id.as_bytes().as_slice()));
        encoding.optional(self.client_address.as_deref().map(str::as_bytes));
        encoding.field(self.action.as_bytes());
        encoding.field(self.route.as_bytes());
        encoding.optional(self.patient_id.as_ref().map(|id| id.as_bytes().as_slice()));
        encoding.list(self.shown_patient_ids.iter().map(|id| id.as_bytes().as_slice()));
        encoding.list(self.changed_fields.iter().map(String::as_bytes));
        encoding.field(&self.outcome.to_be_bytes());
        encoding.optional(self.trace_id.as_deref().map(str::as_bytes));
        encoding.field(self.service.as_bytes());
        encoding.0.finalize().to_vec()
    }
}

/// The canonical encoding, as input of a hash.
struct Encoding(Sha256);

impl Encoding {
    fn field(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    fn optional(&mut self, bytes: Option<&[u8]>) {
        self.list(bytes.into_iter());
    }

    fn list<'a>(&mut self, items: impl ExactSizeIterator<Item = &'a [u8]>) {
        self.0.update((items.len() as u64).to_be_bytes());
        items.for_each(|item| self.field(item));
    }
}

/// Returns the time in PostgreSQL's precision: a record must have the same hash when it is read back.
fn whole_microseconds(at: OffsetDateTime) -> OffsetDateTime {
    at - Duration::nanoseconds(i64::from(at.nanosecond() % 1000))
}

fn microseconds(at: OffsetDateTime) -> [u8; 16] {
    (at.unix_timestamp_nanos() / 1000).to_be_bytes()
}

fn hexadecimal<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(bytes))
}
