//! Email addresses, with one validation for every service.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A valid email address without surrounding spaces, in the spelling that was sent.
///
/// Only the form is checked: RFC 5321 without quoted local parts, comments and address literals, and a domain of two labels
/// at least. `Debug` hides the address.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Email(String);

/// Rejection of an email address, as the message for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// The text is empty or blank.
    #[error("Email is required")]
    Missing,
    /// The text does not have the form of an address.
    #[error("Email should be valid")]
    Invalid,
}

impl Email {
    /// Maximum length in bytes (RFC 5321, 4.5.3.1.3: a path has at most 256 octets, its angle brackets included).
    pub const MAX_LENGTH: usize = 254;

    /// Checks an address.
    ///
    /// # Errors
    /// [`EmailError::Missing`] for blank text, [`EmailError::Invalid`] for anything else that is not an address.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let text = text.trim();
        if text.is_empty() {
            Err(EmailError::Missing)
        } else if is_address(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(EmailError::Invalid)
        }
    }

    /// Returns the address in lower case, for a service that compares addresses without regard to case.
    #[must_use]
    pub fn into_lowercase(self) -> Self {
        Self(self.0.to_ascii_lowercase())
    }

    /// Returns the address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= Email::MAX_LENGTH
        && (1..=64).contains(&local.len())
        && local.split('.').all(|part| !part.is_empty() && part.bytes().all(atom))
        && domain.contains('.')
        && domain.split('.').all(label)
}

impl TryFrom<String> for Email {
    type Error = EmailError;

    fn try_from(text: String) -> Result<Self, EmailError> {
        Self::parse(&text)
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Email(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_loses_surrounding_spaces_and_on_request_its_capitals() {
        let email = Email::parse("  Ada@Example.ORG ").expect("an address");
        assert_eq!(email.as_str(), "Ada@Example.ORG");
        assert_eq!(format!("{email:?}"), "Email(…)");
        assert_eq!(email.into_lowercase().as_str(), "ada@example.org");
    }

    #[test]
    fn the_messages_are_part_of_the_http_contract() {
        assert_eq!(EmailError::Missing.to_string(), "Email is required");
        assert_eq!(EmailError::Invalid.to_string(), "Email should be valid");
    }

    #[test]
    fn text_that_is_not_an_address_is_rejected() {
        assert_eq!(Email::parse(" \t"), Err(EmailError::Missing));
        let (local, label) = ("x".repeat(65), "x".repeat(64));
        for text in [
            "nope",
            "a@b",
            "@b.org",
            "a@@b.org",
            "a@b..org",
            "a..b@b.org",
            ".a@b.org",
            "a@-b.org",
            "a@b-.org",
            "a b@c.org",
            "a\0@b.org",
            "a@b.org\r\nBcc: c@d.org",
            "ü@b.org",
            "a@bücher.org",
            "\"a\"@b.org",
            "a@[127.0.0.1]",
            &format!("{local}@b.org"),
            &format!("a@{label}.org"),
            &format!("a@{}org", "x.".repeat(126)),
        ] {
            assert_eq!(Email::parse(text), Err(EmailError::Invalid), "{text:?}");
        }
        for text in ["a@b.org", "first.last+tag@sub.example.org", "!#$%&'*+/=?^_`{|}~-@b.org"] {
            assert!(Email::parse(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn deserialising_checks_the_form() {
        assert!(serde_json::from_str::<Email>("\"a@b.org\"").is_ok());
        assert!(serde_json::from_str::<Email>("\"nope\"").is_err());
        let email = Email::parse("a@b.org").expect("an address");
        assert_eq!(serde_json::to_string(&email).expect("JSON"), "\"a@b.org\"");
    }
}
