//! Decoder of patient events: validated messages of topic [`crate::topics::PATIENT`], for every consumer.

use std::fmt;

use prost::Message;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{instant::instant, patient::events::PatientEvent};

/// A patient was created; its version is 1.
pub const PATIENT_CREATED: &str = "PATIENT_CREATED";
/// A patient was changed.
pub const PATIENT_UPDATED: &str = "PATIENT_UPDATED";
/// A patient was deleted; a late event does not undo it, and the message contains ids only.
pub const PATIENT_DELETED: &str = "PATIENT_DELETED";

/// Maximum version of a patient; a greater one would supersede every later event of that patient.
pub const MAX_VERSION: i64 = 1_000_000_000;

/// A change of a patient; its `Debug` omits name and email address.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// The same in each delivery, so that duplicates are detected.
    pub event_id: Uuid,
    /// The type of change.
    pub event_type: EventType,
    /// The patient.
    pub patient_id: Uuid,
    /// The patient's version after the event, 1 to [`MAX_VERSION`].
    pub version: i64,
    /// The time of the change, in the years 1970 to 9999.
    pub occurred_at: OffsetDateTime,
    /// The year of birth, 1800 to 9999; `None` in a deletion, and if the message has none or another number.
    pub birth_year: Option<i32>,
    name: String,
    email: String,
}

/// The type of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub enum EventType {
    /// [`PATIENT_CREATED`]
    #[serde(rename = "PATIENT_CREATED")]
    Created,
    /// [`PATIENT_UPDATED`]
    #[serde(rename = "PATIENT_UPDATED")]
    Updated,
    /// [`PATIENT_DELETED`]
    #[serde(rename = "PATIENT_DELETED")]
    Deleted,
}

/// Reason why a message is not a patient event; it names the field and never quotes its content, which may be personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The tombstone of a compacted topic, or an error of the publisher.
    #[error("the message has no value")]
    Empty,
    /// The encoding is invalid.
    #[error("the message is not a protobuf patient.events.PatientEvent")]
    Protobuf,
    /// Without it, a second delivery cannot be distinguished from a second event.
    #[error("event_id is missing or not a UUID")]
    EventId,
    /// The patient is unknown.
    #[error("patient_id is missing or not a UUID")]
    PatientId,
    /// A type of a newer publisher, or an error.
    #[error("event_type is not PATIENT_CREATED, PATIENT_UPDATED or PATIENT_DELETED")]
    EventType,
    /// Versions start at 1; see [`MAX_VERSION`].
    #[error("version is not from 1 to {MAX_VERSION}")]
    Version,
    /// PostgreSQL or RFC 3339 cannot represent it.
    #[error("occurred_at is missing or out of range")]
    OccurredAt,
    /// Error of [`Event::name`].
    #[error("name is missing or contains a control character")]
    Name,
    /// Error of [`Event::email`].
    #[error("email is missing or contains a control character")]
    Email,
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
        let mut event = PatientEvent::decode(value).map_err(|_| Unreadable::Protobuf)?;
        let event_type = EventType::try_from(event.event_type)?;
        if event_type == EventType::Deleted {
            // Earlier publishers sent the person with the deletion.
            (event.name, event.email, event.birth_year) = (String::new(), String::new(), 0);
        }
        Ok(Self {
            event_id: event.event_id.parse().map_err(|_| Unreadable::EventId)?,
            event_type,
            patient_id: event.patient_id.parse().map_err(|_| Unreadable::PatientId)?,
            version: Some(event.version)
                .filter(|version| (1..=MAX_VERSION).contains(version))
                .ok_or(Unreadable::Version)?,
            occurred_at: event.occurred_at.and_then(instant).ok_or(Unreadable::OccurredAt)?,
            birth_year: Some(event.birth_year).filter(|year| (1800..=9999).contains(year)),
            name: event.name,
            email: event.email,
        })
    }

    /// Returns the patient's name, a single line.
    ///
    /// # Errors
    /// If it is blank, as in a deletion, or contains a control character.
    pub fn name(&self) -> Result<&str, Unreadable> {
        line(&self.name).ok_or(Unreadable::Name)
    }

    /// Returns the patient's email address, a single line.
    ///
    /// # Errors
    /// If it is blank, as in a deletion, or contains a control character.
    pub fn email(&self) -> Result<&str, Unreadable> {
        line(&self.email).ok_or(Unreadable::Email)
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Event")
            .field("event_id", &self.event_id)
            .field("event_type", &self.event_type)
            .field("patient_id", &self.patient_id)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl EventType {
    /// Returns the type as in the message.
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

/// Returns a single line of text: a control character could add a header to a mail, and PostgreSQL rejects NUL.
fn line(text: &str) -> Option<&str> {
    (!text.trim().is_empty() && !text.contains(char::is_control)).then_some(text)
}
