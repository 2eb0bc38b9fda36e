//! Addresses of mail: the sender of the settings, and recipients.

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use lettre::{Address, message::Mailbox};

use super::MailError;

/// Maximum bytes of text in one encoded word, whose maximum length is 75 characters (RFC 2047, 2).
const ENCODED_WORD_BYTES: usize = 45;

/// Parses `MAIL_FROM`: an address, or a name and an address in angle brackets.
///
/// # Errors
/// If it is neither.
pub(super) fn sender(text: &str) -> anyhow::Result<Mailbox> {
    let mailbox: Mailbox = text.parse().with_context(|| {
        format!("MAIL_FROM `{text}` is not an address: set it to name@example.org or `Name <name@example.org>`")
    })?;
    let email = ascii(&mailbox.email).context("the domain of MAIL_FROM is not a host name")?;
    Ok(Mailbox::new(mailbox.name, email))
}

/// Parses the address of a recipient; an internationalised domain becomes ASCII, which every server takes.
pub(super) fn recipient(to: &str) -> Result<Address, MailError> {
    let address: Option<Address> = to.parse().ok();
    address
        .and_then(|address| ascii(&address))
        .ok_or_else(|| MailError::Refused("the recipient is not an email address".to_owned()))
}

fn ascii(address: &Address) -> Option<Address> {
    let url::Host::Domain(domain) = url::Host::parse(address.domain()).ok()? else {
        return None;
    };
    Address::new(address.user(), domain).ok()
}

/// Returns a mailbox in the form of a header, in ASCII: a name with other characters becomes encoded words (RFC 2047).
pub(super) fn header(mailbox: &Mailbox) -> String {
    let Some(name) = mailbox.name.as_deref().filter(|name| !name.is_ascii()) else {
        return mailbox.to_string();
    };
    let mut words = vec![String::new()];
    for character in name.chars() {
        match words.last_mut() {
            Some(word) if word.len() + character.len_utf8() <= ENCODED_WORD_BYTES => word.push(character),
            _ => words.push(character.to_string()),
        }
    }
    let words: Vec<String> = words
        .iter()
        .map(|word| format!("=?UTF-8?B?{}?=", STANDARD.encode(word)))
        .collect();
    format!("{} <{}>", words.join(" "), mailbox.email)
}

/// Returns a subject in one line: control characters, which would begin another header, become spaces.
pub(super) fn one_line(subject: &str) -> String {
    subject.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_has_a_name_and_a_host() {
        let plain = sender("clinic@example.org").expect("an address");
        assert_eq!(header(&plain), "clinic@example.org");
        let named = sender("Zoë's Praxis <clinic@bücher.example>").expect("an address");
        assert_eq!(
            header(&named),
            "=?UTF-8?B?Wm/DqydzIFByYXhpcw==?= <clinic@xn--bcher-kva.example>"
        );
        let long = header(&Mailbox::new(Some("ü".repeat(40)), plain.email));
        assert!(long.split(' ').all(|word| word.len() <= 75), "{long}");
        for wrong in ["", "clinic", "Name <clinic>", "clinic@10.0.0.1"] {
            assert!(sender(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_recipient_is_one_address_of_one_line() {
        let address = recipient("ada@bücher.example").expect("an address");
        assert_eq!(address.to_string(), "ada@xn--bcher-kva.example");
        for wrong in [
            "",
            "ada",
            "ada@example.org\r\nBcc: eve@example.org",
            "a@b.example, c@d.example",
            "<a@b.example>",
        ] {
            assert!(recipient(wrong).is_err_and(|error| error.is_permanent()), "{wrong}");
        }
    }
}
