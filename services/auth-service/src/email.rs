//! An email address, in the one spelling that is stored and compared.

/// A plausible email address: trimmed, in lower case.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// RFC 5321, 4.5.3.1.3: a path has at most 256 octets, its angle brackets among them.
    const MAX_LENGTH: usize = 254;

    /// Parses what a person typed; the error is the message for that person.
    ///
    /// Only the shape is checked. Whether mail arrives is known when it does.
    pub fn parse(text: &str) -> Result<Email, &'static str> {
        let text = text.trim();
        if text.is_empty() {
            return Err("Email is required");
        }
        let strange = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | ',' | ';');
        let plausible = text.len() <= Self::MAX_LENGTH
            && !text.chars().any(strange)
            && text.split_once('@').is_some_and(|(local, domain)| {
                (1..=64).contains(&local.len())
                    && !domain.contains('@')
                    && domain.split('.').count() > 1
                    && domain.split('.').all(|label| (1..=63).contains(&label.len()))
            });
        if plausible {
            Ok(Email(text.to_lowercase()))
        } else {
            Err("Email should be valid")
        }
    }

    /// The address as it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Email;

    #[test]
    fn an_address_is_kept_in_lower_case_without_blanks() {
        assert_eq!(
            Email::parse("  Ada@Example.ORG ").ok().unwrap().as_str(),
            "ada@example.org"
        );
    }

    #[test]
    fn what_cannot_be_an_address_is_refused_with_a_message() {
        assert_eq!(Email::parse("  ").err(), Some("Email is required"));
        for text in [
            "nope",
            "a@b",
            "@b.org",
            "a@@b.org",
            "a@b..org",
            "a b@c.org",
            "a\0@b.org",
            "a@b.org\r\nBcc: c@d.org",
        ] {
            assert_eq!(Email::parse(text).err(), Some("Email should be valid"), "{text:?}");
        }
    }
}
