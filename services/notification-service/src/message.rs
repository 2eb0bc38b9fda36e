//! The texts of the notifications, from templates.

use kit::mail::Mail;
use uuid::Uuid;

use crate::{event::Recipient, notification::Kind};

/// Composes the mail of a notification.
pub(crate) fn compose(message_id: Uuid, kind: Kind, recipient: &Recipient) -> Mail {
    let (subject, body) = template(kind);
    Mail {
        message_id,
        to: recipient.email.clone(),
        subject: subject.to_owned(),
        // Plain text: nothing in a name has a meaning, so nothing is escaped.
        body: body.replace("{name}", &recipient.name),
    }
}

/// Returns the subject and the body with `{name}`; a template is a header `Subject`, a blank line and the body.
fn template(kind: Kind) -> (&'static str, &'static str) {
    let text = match kind {
        Kind::Welcome => include_str!("../templates/welcome.txt"),
        Kind::DetailsChanged => include_str!("../templates/details_changed.txt"),
        Kind::Farewell => include_str!("../templates/farewell.txt"),
    };
    let (header, body) = text.split_once("\n\n").unwrap_or(("", text));
    (header.trim_start_matches("Subject: "), body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_template_has_a_subject_and_the_name_as_it_is() {
        let recipient = Recipient {
            name: "Zoë <b>{name}</b> & {subject} O'Neill".to_owned(),
            email: "zoe@example.org".to_owned(),
        };
        for kind in [Kind::Welcome, Kind::DetailsChanged, Kind::Farewell] {
            let mail = compose(Uuid::nil(), kind, &recipient);
            assert!(
                !mail.subject.is_empty() && !mail.subject.contains(['\n', ':']),
                "{kind:?}"
            );
            let first_line = format!("Dear {},\n", recipient.name);
            assert!(mail.body.starts_with(&first_line), "{kind:?}: {}", mail.body);
        }
    }
}
