//! A patient event as this service reads it.

use contracts::{
    events::{PATIENT_CREATED, PATIENT_DELETED, PATIENT_UPDATED},
    patient::events::PatientEvent,
};
use prost::Message;
use uuid::Uuid;

use crate::notification::Kind;

/// Something that a patient is to be told, checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    pub event_id: Uuid,
    pub patient_id: Uuid,
    /// The patient's version after the event, from 1.
    pub version: i64,
    /// What to say about it.
    pub kind: Kind,
    /// Unknown only for a deletion: the tombstone counts even when there is nobody left to write to.
    pub recipient: Option<Recipient>,
}

/// To whom a letter goes; it has no `Debug`, since it is a person.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient {
    pub name: String,
    pub email: String,
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
    #[error("name is missing or holds a control character")]
    Name,
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
        let kind = match event.event_type.as_str() {
            PATIENT_CREATED => Kind::Welcome,
            PATIENT_UPDATED => Kind::DetailsChanged,
            PATIENT_DELETED => Kind::Farewell,
            _ => return Err(Unreadable::EventType),
        };
        let recipient = match (line(event.name), line(event.email)) {
            (Some(name), Some(email)) => Some(Recipient { name, email }),
            _ if kind == Kind::Farewell => None,
            (None, _) => return Err(Unreadable::Name),
            (_, None) => return Err(Unreadable::Email),
        };
        Ok(Self {
            event_id: event.event_id.parse().map_err(|_| Unreadable::EventId)?,
            patient_id: event.patient_id.parse().map_err(|_| Unreadable::PatientId)?,
            version: Some(event.version)
                .filter(|version| *version > 0)
                .ok_or(Unreadable::Version)?,
            kind,
            recipient,
        })
    }
}

/// One line of text: a control character could add a header to the mail (or, NUL, be refused by the database for ever).
fn line(text: String) -> Option<String> {
    (!text.trim().is_empty() && !text.contains(char::is_control)).then_some(text)
}
