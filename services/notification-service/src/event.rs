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
    pub change: Change,
}

/// The change of a patient.
#[derive(Clone, PartialEq, Eq)]
pub enum Change {
    Created(Recipient),
    Updated(Recipient),
    /// The event has ids only.
    Deleted,
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
        let change = match event.event_type {
            EventType::Created => Change::Created(Recipient::from_event(&event)?),
            EventType::Updated => Change::Updated(Recipient::from_event(&event)?),
            EventType::Deleted => Change::Deleted,
        };
        Ok(Self {
            event_id: event.event_id,
            patient_id: event.patient_id,
            version: event.version,
            change,
        })
    }
}

impl Change {
    /// Returns the kind of notification that it causes.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Created(_) => Kind::Welcome,
            Self::Updated(_) => Kind::DetailsChanged,
            Self::Deleted => Kind::Farewell,
        }
    }

    /// Returns the recipient as of this event; `None` for a deletion.
    pub(crate) fn recipient(&self) -> Option<&Recipient> {
        match self {
            Self::Created(recipient) | Self::Updated(recipient) => Some(recipient),
            Self::Deleted => None,
        }
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
