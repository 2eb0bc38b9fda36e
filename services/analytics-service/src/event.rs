//! A patient event as this service reads it.

use contracts::{
    events::{PATIENT_CREATED, PATIENT_DELETED, PATIENT_UPDATED},
    patient::events::PatientEvent,
};
use prost::Message;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// Something that happened to a patient, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub event_id: Uuid,
    pub event_type: EventType,
    pub patient_id: Uuid,
    /// The patient's version after the event, from 1.
    pub version: i64,
    pub occurred_at: OffsetDateTime,
    /// Unknown when the publisher did not say it, or nonsense.
    pub birth_year: Option<i32>,
}

/// What happened to the patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub enum EventType {
    #[serde(rename = "PATIENT_CREATED")]
    Created,
    #[serde(rename = "PATIENT_UPDATED")]
    Updated,
    #[serde(rename = "PATIENT_DELETED")]
    Deleted,
}

impl EventType {
    pub fn as_str(self) -> &'static str {
        match self {
            EventType::Created => PATIENT_CREATED,
            EventType::Updated => PATIENT_UPDATED,
            EventType::Deleted => PATIENT_DELETED,
        }
    }
}

impl TryFrom<String> for EventType {
    type Error = Unreadable;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            PATIENT_CREATED => Ok(EventType::Created),
            PATIENT_UPDATED => Ok(EventType::Updated),
            PATIENT_DELETED => Ok(EventType::Deleted),
            _ => Err(Unreadable::EventType),
        }
    }
}

/// Why a message is no patient event; says the field, never its content, which may be a person's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("the message has no value")]
    Empty,
    #[error("the message is not a protobuf patient.events.PatientEvent")]
    Protobuf,
    #[error("event_id is missing or no UUID")]
    EventId,
    #[error("patient_id is missing or no UUID")]
    PatientId,
    #[error("event_type is none of PATIENT_CREATED, PATIENT_UPDATED, PATIENT_DELETED")]
    EventType,
    #[error("version is not from 1 up")]
    Version,
    #[error("occurred_at is missing or out of range")]
    OccurredAt,
}

impl Event {
    /// Reads a message's value.
    ///
    /// # Errors
    /// When it can never be read, however often it is delivered.
    pub fn decode(value: &[u8]) -> Result<Self, Unreadable> {
        if value.is_empty() {
            return Err(Unreadable::Empty);
        }
        let event = PatientEvent::decode(value).map_err(|_| Unreadable::Protobuf)?;
        Ok(Self {
            event_id: event.event_id.parse().map_err(|_| Unreadable::EventId)?,
            event_type: event.event_type.try_into()?,
            patient_id: event.patient_id.parse().map_err(|_| Unreadable::PatientId)?,
            version: Some(event.version)
                .filter(|version| *version > 0)
                .ok_or(Unreadable::Version)?,
            occurred_at: event.occurred_at.and_then(instant).ok_or(Unreadable::OccurredAt)?,
            birth_year: Some(event.birth_year).filter(|year| (1800..=9999).contains(year)),
        })
    }
}

/// The years 1970 to 9999: what both PostgreSQL and RFC 3339 can write.
fn instant(timestamp: prost_types::Timestamp) -> Option<OffsetDateTime> {
    let nanos = i64::from(timestamp.nanos);
    let at = OffsetDateTime::from_unix_timestamp(timestamp.seconds).ok()?;
    at.checked_add(time::Duration::nanoseconds(nanos))
        .filter(|at| at.year() >= 1970)
}
