//! A patient event as this service reads it.

use contracts::events::{self, EventType, Unreadable};
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

impl Event {
    /// Reads a message's value.
    ///
    /// # Errors
    /// When it can never be read, however often it is delivered.
    pub fn decode(value: &[u8]) -> Result<Self, Unreadable> {
        let event = events::Event::decode(value)?;
        let kind = match event.event_type {
            EventType::Created => Kind::Welcome,
            EventType::Updated => Kind::DetailsChanged,
            EventType::Deleted => Kind::Farewell,
        };
        let recipient = match Recipient::of(&event) {
            Ok(recipient) => Some(recipient),
            Err(_) if kind == Kind::Farewell => None,
            Err(unreadable) => return Err(unreadable),
        };
        Ok(Self {
            event_id: event.event_id,
            patient_id: event.patient_id,
            version: event.version,
            kind,
            recipient,
        })
    }
}

impl Recipient {
    fn of(event: &events::Event) -> Result<Self, Unreadable> {
        Ok(Self {
            name: event.name()?.to_owned(),
            email: event.email()?.to_owned(),
        })
    }
}
