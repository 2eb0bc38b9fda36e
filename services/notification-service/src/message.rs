//! The email message of a notification.

use uuid::Uuid;

use crate::{event::Recipient, notification::Kind};

/// An email message, ready to be sent; it has no `Debug`, because it contains personal data.
pub struct EmailMessage {
    /// Id of the notification, for logs.
    pub notification_id: Uuid,
    /// Id of the patient, for logs.
    pub patient_id: Uuid,
    /// Event of which it informs.
    pub kind: Kind,
    /// The same for each attempt, so that a mail server or reader drops a second copy (RFC 5322, section 3.6.4).
    pub message_id: String,
    /// Email address of the recipient.
    pub to: String,
    /// The `Subject` header.
    pub subject: &'static str,
    /// Plain text.
    pub body: String,
}

impl EmailMessage {
    /// Composes the message of a notification.
    pub fn compose(notification_id: Uuid, event_id: Uuid, patient_id: Uuid, kind: Kind, recipient: Recipient) -> Self {
        let (subject, sentence) = match kind {
            Kind::Welcome => ("Welcome", "you are registered as a patient with us."),
            Kind::DetailsChanged => (
                "Your details were changed",
                "your details were changed. If you did not ask for this change, please contact us.",
            ),
            Kind::Farewell => ("Goodbye", "you are no longer registered as a patient with us."),
        };
        Self {
            notification_id,
            patient_id,
            kind,
            message_id: format!("<{event_id}@notification-service>"),
            to: recipient.email,
            subject,
            body: format!("Dear {},\n\n{sentence}\n", recipient.name),
        }
    }
}
