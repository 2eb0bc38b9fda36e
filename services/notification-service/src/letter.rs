//! What a notification says.

use uuid::Uuid;

use crate::notification::Kind;

/// A mail, ready to be sent; it has no `Debug`, since it names a person.
pub struct Letter {
    pub notification_id: Uuid,
    pub patient_id: Uuid,
    pub kind: Kind,
    /// The same for each attempt, so that a mail server or reader drops the second copy (RFC 5322, section 3.6.4).
    pub message_id: String,
    pub to: String,
    pub subject: &'static str,
    pub body: String,
}

impl Letter {
    /// Writes the letter of a notification.
    pub fn write(
        notification_id: Uuid,
        event_id: Uuid,
        patient_id: Uuid,
        kind: Kind,
        name: &str,
        email: String,
    ) -> Self {
        let (subject, sentence) = match kind {
            Kind::Welcome => ("Welcome", "you are registered as a patient with us."),
            Kind::DetailsChanged => (
                "Your details were changed",
                "your details were changed. If you did not ask for that, please tell us.",
            ),
            Kind::Farewell => ("Goodbye", "you are no longer registered as a patient with us."),
        };
        Self {
            notification_id,
            patient_id,
            kind,
            message_id: format!("<{event_id}@notification-service>"),
            to: email,
            subject,
            body: format!("Dear {name},\n\n{sentence}\n"),
        }
    }
}
