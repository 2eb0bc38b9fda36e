//! Decoder of audit events: validated messages of topic [`crate::topics::AUDIT`].
//!
//! It is lenient where nothing depends on a value: an action or a role of a newer publisher must not end as a dead letter,
//! because a record that nobody sees is a gap in the trail.

use std::net::IpAddr;

use prost::Message;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::instant::instant;

/// The generated messages.
#[allow(clippy::all, clippy::pedantic, missing_docs, reason = "generated")]
#[rustfmt::skip]
pub mod v1 {
    include!("generated/audit.v1.rs");
}

use v1::AuditEvent;

/// Maximum length of a short text (action, role, route, name of a field, service), in bytes.
const MAX_TEXT: usize = 200;

/// A request about patients: who, what, when, and with which outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// One for each request.
    pub event_id: Uuid,
    /// The time of the response, in whole microseconds, in the years 1970 to 9999.
    pub occurred_at: OffsetDateTime,
    /// The user.
    pub actor: Uuid,
    /// The user's role at that time.
    pub role: String,
    /// The user's session, if the token had one.
    pub session: Option<Uuid>,
    /// The client's address, if it is known.
    pub address: Option<IpAddr>,
    /// The action, in capitals.
    pub action: String,
    /// Method and pattern of the route.
    pub route: String,
    /// The patient whom the request names.
    pub patient: Option<Uuid>,
    /// The patients whom the response showed.
    pub shown: Vec<Uuid>,
    /// The names of the fields that were set or changed.
    pub changed_fields: Vec<String>,
    /// The HTTP status of the response.
    pub outcome: u16,
    /// The trace, as 32 hexadecimal digits.
    pub trace: Option<String>,
    /// The service that answered.
    pub service: String,
}

/// Reason why a message is not an audit event; it names the field and never quotes its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The message has no value.
    #[error("the message has no value")]
    Empty,
    /// The encoding is invalid.
    #[error("the message is not a protobuf audit.v1.AuditEvent")]
    Protobuf,
    /// A field is missing or has an invalid value.
    #[error("{0} is missing or invalid")]
    Field(&'static str),
}

impl Event {
    /// Decodes the value of a message.
    ///
    /// # Errors
    /// If it can never be decoded, however often it is delivered.
    pub fn decode(value: &[u8]) -> Result<Self, Unreadable> {
        if value.is_empty() {
            return Err(Unreadable::Empty);
        }
        let event = AuditEvent::decode(value).map_err(|_| Unreadable::Protobuf)?;
        let at = event.occurred_at.and_then(instant);
        let at = at.ok_or(Unreadable::Field("occurred_at"))?;
        let shown = event.shown_patient_ids.iter().map(|id| uuid(id, "shown_patient_ids"));
        let fields = event
            .changed_fields
            .into_iter()
            .map(|name| text(name, "changed_fields"));
        Ok(Self {
            event_id: uuid(&event.event_id, "event_id")?,
            // PostgreSQL's precision: a record is hashed as it is stored.
            occurred_at: at - time::Duration::nanoseconds(i64::from(at.nanosecond() % 1000)),
            actor: uuid(&event.actor, "actor")?,
            role: text(event.role, "role")?,
            session: optional(&event.session_id, "session_id")?,
            address: optional(&event.client_address, "client_address")?,
            action: text(event.action, "action")?,
            route: text(event.route, "route")?,
            patient: optional(&event.patient_id, "patient_id")?,
            shown: shown.collect::<Result<_, _>>()?,
            changed_fields: fields.collect::<Result<_, _>>()?,
            outcome: status(event.outcome)?,
            trace: trace(event.trace_id)?,
            service: text(event.service, "service")?,
        })
    }

    /// Returns the value of a message.
    pub fn encode(&self) -> Vec<u8> {
        let text = |value: Option<String>| value.unwrap_or_default();
        let event = AuditEvent {
            event_id: self.event_id.to_string(),
            occurred_at: Some(prost_types::Timestamp {
                seconds: self.occurred_at.unix_timestamp(),
                nanos: self.occurred_at.nanosecond().cast_signed(),
            }),
            actor: self.actor.to_string(),
            role: self.role.clone(),
            session_id: text(self.session.map(|id| id.to_string())),
            client_address: text(self.address.map(|address| address.to_string())),
            action: self.action.clone(),
            route: self.route.clone(),
            patient_id: text(self.patient.map(|id| id.to_string())),
            shown_patient_ids: self.shown.iter().map(Uuid::to_string).collect(),
            changed_fields: self.changed_fields.clone(),
            outcome: self.outcome.into(),
            trace_id: text(self.trace.clone()),
            service: self.service.clone(),
        };
        event.encode_to_vec()
    }

    /// Returns the key of the message: the patient, or the event itself, so that the lists of a busy user are not sent
    /// one after another.
    pub fn key(&self) -> Uuid {
        self.patient.unwrap_or(self.event_id)
    }
}

fn uuid(value: &str, field: &'static str) -> Result<Uuid, Unreadable> {
    value.parse().map_err(|_| Unreadable::Field(field))
}

fn optional<T: std::str::FromStr>(value: &str, field: &'static str) -> Result<Option<T>, Unreadable> {
    let parsed = (!value.is_empty()).then(|| value.parse()).transpose();
    parsed.map_err(|_| Unreadable::Field(field))
}

/// Accepts printable ASCII only: names of fields, routes and services have nothing else.
fn text(value: String, field: &'static str) -> Result<String, Unreadable> {
    let is_valid = (1..=MAX_TEXT).contains(&value.len()) && value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if is_valid {
        Ok(value)
    } else {
        Err(Unreadable::Field(field))
    }
}

fn status(outcome: u32) -> Result<u16, Unreadable> {
    let status = u16::try_from(outcome).ok();
    let status = status.filter(|status| (100..=599).contains(status));
    status.ok_or(Unreadable::Field("outcome"))
}

fn trace(id: String) -> Result<Option<String>, Unreadable> {
    if id.is_empty() {
        return Ok(None);
    }
    let is_trace = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_trace {
        Ok(Some(id))
    } else {
        Err(Unreadable::Field("trace_id"))
    }
}
