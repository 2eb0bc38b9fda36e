//! Email addresses, with one validation for every service.

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_properties::{GeneralCategoryGroup as Group, UnicodeGeneralCategory};

use crate::text;

/// Maximum length of a local part in bytes (RFC 5321, 4.5.3.1.1).
const MAX_LOCAL: usize = 64;

/// A valid email address without surrounding spaces, in Unicode's normal form C and otherwise in the spelling that was sent.
///
/// Only the form is checked: RFC 5321 and RFC 6531 (any script) without quoted local parts, comments and address literals, and
/// a domain of two labels at least, the last of which is not a number (RFC 3696, 2). Characters that nobody sees are rejected.
/// Two addresses are the same if their [canonical](Email::canonical) forms are equal. `Debug` hides the address.
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
        let text = text::normalise(text);
        if text.is_empty() {
            Err(EmailError::Missing)
        } else if canonical(&text).is_some() {
            Ok(Self(text))
        } else {
            Err(EmailError::Invalid)
        }
    }

    /// Returns the form in which addresses are compared: in lower case and normal form C, with the domain in its ASCII form.
    pub fn canonical(&self) -> String {
        canonical(&self.0).unwrap_or_default()
    }

    /// Returns the address in its canonical form, for a service that stores nothing else.
    #[must_use]
    pub fn into_lowercase(self) -> Self {
        Self(self.canonical())
    }

    /// Returns the address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns the canonical form of an address; `None` if the text is not an address.
fn canonical(text: &str) -> Option<String> {
    let (local, domain) = text.rsplit_once('@')?;
    let is_local = (1..=MAX_LOCAL).contains(&local.len()) && local.split('.').all(is_atom);
    let domain = ascii_domain(domain).filter(|_| is_local)?;
    // Lower case can denormalise and lengthen text: the result is the canonical form of itself.
    let local = text::normalise(&local.to_lowercase());
    let canonical = format!("{local}@{domain}");
    (text.len().max(canonical.len()) <= Email::MAX_LENGTH && (1..=MAX_LOCAL).contains(&local.len()))
        .then_some(canonical)
}

/// Returns true for a part of a local part between dots: printable ASCII without specials, and visible characters of any script.
fn is_atom(part: &str) -> bool {
    let is_text = |character: char| match character {
        ' '..='~' => character.is_ascii_alphanumeric() || "!#$%&'*+/=?^_`{|}~-".contains(character),
        _ => text::is_visible(character) || character.general_category_group() == Group::Mark,
    };
    part.starts_with(text::is_visible)
        && part
            .chars()
            .all(|character| is_text(character) && !text::is_invisible(character))
}

/// Returns a domain in lower case and ASCII (UTS 46); `None` if it is not one.
fn ascii_domain(domain: &str) -> Option<String> {
    // The parser of URLs would decode percent signs, and map invisible characters to nothing.
    let is_plain = |character: char| match character {
        '\0'..='\x7f' => character.is_ascii_alphanumeric() || "-.".contains(character),
        _ => {
            (text::is_visible(character) || character.general_category_group() == Group::Mark)
                && !text::is_invisible(character)
        }
    };
    if domain.len() > Email::MAX_LENGTH || !domain.chars().all(is_plain) {
        return None;
    }
    // A last label that is a number makes it an IPv4 address, or an error.
    let Ok(url::Host::Domain(ascii)) = url::Host::parse(domain) else {
        return None;
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = ascii.rsplit('.').next().unwrap_or_default();
    (ascii.contains('.') && ascii.split('.').all(is_label) && !last.bytes().all(|byte| byte.is_ascii_digit()))
        .then_some(ascii)
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
    use proptest::prelude::*;

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
            "\u{200b}admin@b.org",
            "ad\u{ad}min@b.org",
            "ad\u{200d}min@b.org",
            "a@b\u{ad}.org",
            "a@b.o\u{200b}rg",
            "\u{202e}a@b.org",
            "\u{301}a@b.org",
            "\u{3164}@b.org",
            "a\u{a0}b@b.org",
            "a\u{e000}@b.org",
            "a@1.2.3.4",
            "a@b.1",
            "a@b.0x1",
            "a@b.org.",
            "a@b_c.org",
            "a@%62.org",
            "a@b.org:25",
            "a@xn--a.org",
            "\"a\"@b.org",
            "a@[127.0.0.1]",
            &format!("{local}@b.org"),
            &format!("{}@b.org", "ü".repeat(33)),
            &format!("a@{label}.org"),
            &format!("a@{}org", "x.".repeat(126)),
        ] {
            assert_eq!(Email::parse(text), Err(EmailError::Invalid), "{text:?}");
        }
        for text in [
            "müller@example.org",
            "user@bücher.example",
            "用户@例え.jp",
            "josé@b.org",
            "a@1.b.org",
            "a@b.c1",
            "a@xn--bcher-kva.example",
            "a@b.org",
            "first.last+tag@sub.example.org",
            "!#$%&'*+/=?^_`{|}~-@b.org",
        ] {
            assert!(Email::parse(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn look_alikes_have_one_canonical_form() {
        let canonical = |text: &str| Email::parse(text).expect(text).canonical();
        for (one, other) in [
            ("jose\u{301}@b.org", "JOS\u{c9}@B.org"),
            ("user@bu\u{308}cher.example", "User@B\u{dc}CHER.example"),
            ("user@xn--bcher-kva.example", "user@b\u{fc}cher.example"),
            ("a@ｂ.org", "a@b.org"),
        ] {
            assert_eq!(canonical(one), canonical(other), "{one} {other}");
        }
        assert_eq!(canonical("user@bücher.example"), "user@xn--bcher-kva.example");
        assert_eq!(
            Email::parse("jose\u{301}@b.org").expect("an address").as_str(),
            "jos\u{e9}@b.org"
        );
    }

    proptest! {
        #[test]
        fn an_address_and_its_canonical_form_are_addresses(text in "[\\PC.@A-Za-zÀ-ž]{0,8}[a-zİßΣ]@[a-zü\\PC]{1,8}\\.[a-z0-9]{1,3}") {
            if let Ok(email) = Email::parse(&text) {
                let again = Email::parse(email.as_str());
                prop_assert_eq!(again.as_ref().map(Email::as_str), Ok(email.as_str()));
                let canonical = email.canonical();
                prop_assert!(canonical.len() <= Email::MAX_LENGTH && !canonical.chars().any(text::is_invisible));
                let again = Email::parse(&canonical).map(|email| email.canonical());
                prop_assert_eq!(again.as_deref(), Ok(&*canonical));
            }
        }

        #[test]
        fn normal_form_and_case_do_not_make_another_address(local in "[a-zß-öø-ÿ]{1,9}", domain in "[a-zà-öø-ÿ]{1,9}") {
            use unicode_normalization::UnicodeNormalization;
            let text = format!("{local}@{domain}.example");
            let decomposed: String = text.nfd().collect();
            let one = Email::parse(&text).map(|email| email.canonical());
            let other = Email::parse(&decomposed).map(|email| email.canonical());
            prop_assert!(one.is_ok());
            prop_assert_eq!(one, other);
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
