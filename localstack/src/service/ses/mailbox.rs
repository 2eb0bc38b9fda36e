//! The mailbox: the newest messages, and the routes that read and clear it.

use std::collections::VecDeque;

use axum::Json;
use axum::extract::{Query, State};
use http::StatusCode;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::Context;

/// Path of the routes.
pub const ROUTE: &str = "/_deployer/mail";

/// Maximum number of messages; the oldest are dropped.
const MAX_MESSAGES: usize = 1000;
/// Maximum size of a text, in bytes; the rest is dropped.
const MAX_TEXT: usize = 64 * 1024;

/// A message as it is listed.
#[derive(Clone, Serialize)]
pub struct Message {
    pub id: String,
    pub from: String,
    pub to: Vec<String>,
    pub subject: String,
    #[serde(with = "time::serde::rfc3339")]
    pub time: OffsetDateTime,
    /// The text, or the HTML of a message without one.
    pub text: String,
}

/// The newest messages, oldest first.
#[derive(Default)]
pub struct Mailbox(Mutex<VecDeque<Message>>);

impl Mailbox {
    /// Adds a message.
    pub fn add(&self, mut message: Message) {
        message.text.truncate(message.text.floor_char_boundary(MAX_TEXT));
        let mut messages = self.0.lock();
        messages.push_back(message);
        while messages.len() > MAX_MESSAGES {
            messages.pop_front();
        }
    }

    fn list(&self, to: Option<&str>) -> Vec<Message> {
        let is_selected =
            |message: &&Message| to.is_none_or(|to| message.to.iter().any(|address| address.eq_ignore_ascii_case(to)));
        self.0.lock().iter().filter(is_selected).cloned().collect()
    }
}

/// Query parameters of the list.
#[derive(Deserialize)]
pub struct Filter {
    /// Only messages to this address.
    to: Option<String>,
}

/// Lists the messages, oldest first.
pub async fn list(State(cx): State<Context>, Query(filter): Query<Filter>) -> Json<Vec<Message>> {
    Json(cx.shared::<Mailbox>().list(filter.to.as_deref()))
}

/// Deletes all messages.
pub async fn clear(State(cx): State<Context>) -> StatusCode {
    cx.shared::<Mailbox>().0.lock().clear();
    StatusCode::NO_CONTENT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: usize, text: &str) -> Message {
        Message {
            id: id.to_string(),
            from: "clinic@example.org".into(),
            to: vec![format!("patient{id}@example.org")],
            subject: "Welcome".into(),
            time: OffsetDateTime::UNIX_EPOCH,
            text: text.into(),
        }
    }

    #[test]
    fn the_newest_messages_are_kept_and_texts_are_bounded() {
        let mailbox = Mailbox::default();
        for id in 0..=MAX_MESSAGES {
            mailbox.add(message(id, "text"));
        }
        mailbox.add(message(0, &"ü".repeat(MAX_TEXT)));
        let messages = mailbox.list(None);
        assert_eq!((messages.len(), messages[0].id.as_str()), (MAX_MESSAGES, "2"));
        assert_eq!(messages[MAX_MESSAGES - 1].text.len(), MAX_TEXT);
        assert_eq!(mailbox.list(Some("PATIENT7@example.org")).len(), 1);
        assert!(mailbox.list(Some("patient1@example.org")).is_empty());
    }
}
