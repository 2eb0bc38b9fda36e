//! A patient event, decoded into the notification that it causes.

use contracts::events::{self, EventType, Unreadable};
use uuid::Uuid;

use crate::notification::Kind;

/// A valid patient event.
#[derive(Clone, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "the names in the contract")]
pub struct Event {
    pub event_id: Uuid,
    pub patient_id: Uuid,
    /// The patient's version after the event, from 1.
    pub version: i64,
    /// The kind of notification.
    pub kind: Kind,
    /// `None` only for a deletion, whose tombstone counts even without a recipient.
    pub recipient: Option<Recipient>,
}

/// The recipient of a notification; it has no `Debug`, because it is personal data.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient {
    pub name: String,
    pub email: String,
}

impl Event {
    /// Decodes the value of a message.
    ///
    /// # Errors
    /// Fails if the message can never be decoded, however often it is delivered.
    pub fn decode(value: &[u8]) -> Result<Self, Unreadable> {
        let event = events::Event::decode(value)?;
        let kind = match event.event_type {
            EventType::Created => Kind::Welcome,
            EventType::Updated => Kind::DetailsChanged,
            EventType::Deleted => Kind::Farewell,
        };
        let recipient = match Recipient::from_event(&event) {
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
    fn from_event(event: &events::Event) -> Result<Self, Unreadable> {
        Ok(Self {
            name: event.name()?.to_owned(),
            email: event.email()?.to_owned(),
        })
    }
}
