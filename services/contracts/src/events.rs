//! What happened to a patient, as every consumer reads it: a message of topic [`crate::topics::PATIENT`], checked.

use std::fmt;

use prost::Message;
use serde::Serialize;
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::patient::events::PatientEvent;

/// A patient was created; its version is 1.
pub const PATIENT_CREATED: &str = "PATIENT_CREATED";
/// A patient was changed.
pub const PATIENT_UPDATED: &str = "PATIENT_UPDATED";
/// A patient was deleted; no later event can undo it.
pub const PATIENT_DELETED: &str = "PATIENT_DELETED";

/// Something that happened to a patient; its `Debug` tells no name and no address.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// The same in each delivery, so that a second one is known as such.
    pub event_id: Uuid,
    /// What happened.
    pub event_type: EventType,
    /// To whom.
    pub patient_id: Uuid,
    /// The patient's version after the event, from 1.
    pub version: i64,
    /// When, in the years 1970 to 9999.
    pub occurred_at: OffsetDateTime,
    /// Unknown when the publisher did not say it, or nonsense.
    pub birth_year: Option<i32>,
    name: String,
    email: String,
}

/// What happened to the patient.
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

/// Why a message is no patient event; says the field, never its content, which may be a person's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A tombstone of a compacted topic, or a mistake.
    #[error("the message has no value")]
    Empty,
    /// Not even the encoding is right.
    #[error("the message is not a protobuf patient.events.PatientEvent")]
    Protobuf,
    /// Without it nobody could tell a second delivery from a second event.
    #[error("event_id is missing or no UUID")]
    EventId,
    /// Nobody knows whom it is about.
    #[error("patient_id is missing or no UUID")]
    PatientId,
    /// A newer publisher, or a mistake.
    #[error("event_type is none of PATIENT_CREATED, PATIENT_UPDATED, PATIENT_DELETED")]
    EventType,
    /// Versions begin at 1.
    #[error("version is not from 1 up")]
    Version,
    /// Neither PostgreSQL nor RFC 3339 could write it.
    #[error("occurred_at is missing or out of range")]
    OccurredAt,
    /// Of [`Event::name`].
    #[error("name is missing or holds a control character")]
    Name,
    /// Of [`Event::email`].
    #[error("email is missing or holds a control character")]
    Email,
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
            name: event.name,
            email: event.email,
        })
    }

    /// The patient's name, as one line.
    ///
    /// # Errors
    /// When there is none, or it is more than a line.
    pub fn name(&self) -> Result<&str, Unreadable> {
        line(&self.name).ok_or(Unreadable::Name)
    }

    /// The patient's address for mail, as one line.
    ///
    /// # Errors
    /// When there is none, or it is more than a line.
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
    /// As it is on the wire.
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

/// The years 1970 to 9999: what both PostgreSQL and RFC 3339 can write.
fn instant(timestamp: prost_types::Timestamp) -> Option<OffsetDateTime> {
    let nanos = i64::from(timestamp.nanos);
    let at = OffsetDateTime::from_unix_timestamp(timestamp.seconds).ok()?;
    at.checked_add(Duration::nanoseconds(nanos))
        .filter(|at| (1970..=9999).contains(&at.year()))
}

/// One line of text: a control character could add a header to a mail (or, NUL, be refused by a database for ever).
fn line(text: &str) -> Option<&str> {
    (!text.trim().is_empty() && !text.contains(char::is_control)).then_some(text)
}
