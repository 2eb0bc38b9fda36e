//! Subject, addresses and text of a message (RFC 5322, RFC 2045 to 2047), as far as a mailbox for development shows them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Maximum depth of parts within parts.
const MAX_DEPTH: usize = 8;

/// A parsed message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parsed {
    pub from: Option<String>,
    /// The addresses of `To`.
    pub to: Vec<String>,
    pub subject: String,
    /// The first part in plain text, or of another type if there is none.
    pub text: String,
}

/// Parses a message; what is malformed is shown as it is.
pub(super) fn parse(data: &[u8]) -> Parsed {
    let message = String::from_utf8_lossy(data).replace("\r\n", "\n");
    let (headers, body) = split(&message);
    let header = |name| header(&headers, name);
    Parsed {
        from: header("from"),
        to: header("to")
            .map(|to| to.split(',').map(address).filter(|to| !to.is_empty()).collect())
            .unwrap_or_default(),
        subject: header("subject")
            .map(|subject| decode_words(&subject))
            .unwrap_or_default(),
        text: text(&headers, body, 0).map(|(_, text)| text).unwrap_or_default(),
    }
}

/// Returns the address in `Name <address>`, or the text itself.
pub(super) fn address(mailbox: &str) -> String {
    let inner = mailbox.rsplit_once('<').map_or(mailbox, |(_, rest)| rest);
    inner.trim().trim_end_matches('>').trim().to_owned()
}

/// Splits a message or part into its headers, each in one line, and the body.
fn split(message: &str) -> (Vec<(String, String)>, &str) {
    let (head, body) = match message.strip_prefix('\n') {
        Some(body) => ("", body),
        None => message.split_once("\n\n").unwrap_or((message, "")),
    };
    let unfolded = head.replace("\n ", " ").replace("\n\t", " ");
    let headers = unfolded.lines().filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    (headers.collect(), body)
}

fn header(headers: &[(String, String)], name: &str) -> Option<String> {
    let found = headers.iter().find(|(found, _)| found == name);
    found.map(|(_, value)| value.clone())
}

/// Returns the text of a part, and true if it is plain text.
fn text(headers: &[(String, String)], body: &str, depth: usize) -> Option<(bool, String)> {
    let kind = header(headers, "content-type").unwrap_or_else(|| "text/plain".to_owned());
    let lower = kind.to_ascii_lowercase();
    if lower.starts_with("multipart/") && depth < MAX_DEPTH {
        let at = lower.find("boundary=")? + "boundary=".len();
        let boundary = kind[at..].trim_start_matches('"').split(['"', ';']).next()?.trim();
        let delimiter = format!("--{boundary}");
        let parts = body.split(delimiter.as_str()).skip(1);
        let mut other = None;
        for part in parts.filter(|part| !part.starts_with("--")) {
            let (headers, body) = split(part.strip_prefix('\n').unwrap_or(part));
            match text(&headers, body, depth + 1) {
                Some((true, plain)) => return Some((true, plain)),
                found => other = other.or(found),
            }
        }
        return other;
    }
    let encoding = header(headers, "content-transfer-encoding")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let decoded = match encoding.as_str() {
        "base64" => base64(body),
        "quoted-printable" => Some(quoted_printable(body)),
        _ => None,
    };
    let decoded = decoded.map_or_else(
        || body.to_owned(),
        |bytes| String::from_utf8_lossy(&bytes).replace("\r\n", "\n"),
    );
    Some((lower.starts_with("text/plain"), decoded))
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let text: String = text.split_whitespace().collect();
    STANDARD.decode(text).ok()
}

fn quoted_printable(text: &str) -> Vec<u8> {
    let text = text.replace("=\n", "");
    let mut bytes = text.as_bytes().iter();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(&byte) = bytes.next() {
        let code = bytes.as_slice().get(..2).filter(|_| byte == b'=');
        let code = code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        decoded.push(code.unwrap_or(byte));
        if code.is_some() {
            bytes.nth(1);
        }
    }
    decoded
}

/// Decodes the encoded words of a header (RFC 2047) in UTF-8 or ASCII; others are left as they are.
pub(super) fn decode_words(text: &str) -> String {
    let mut decoded = String::new();
    let mut was_encoded = false;
    for (index, word) in text.split(' ').enumerate() {
        let plain = decode_word(word);
        // The space between two encoded words is not part of the text.
        if index > 0 && !(was_encoded && plain.is_some()) {
            decoded.push(' ');
        }
        was_encoded = plain.is_some();
        decoded.push_str(plain.as_deref().unwrap_or(word));
    }
    decoded
}

fn decode_word(word: &str) -> Option<String> {
    let mut parts = word.strip_prefix("=?")?.strip_suffix("?=")?.splitn(3, '?');
    let (charset, encoding, text) = (parts.next()?, parts.next()?, parts.next()?);
    if !["utf-8", "us-ascii"].contains(&charset.to_ascii_lowercase().as_str()) {
        return None;
    }
    let bytes = match encoding {
        "B" | "b" => base64(text)?,
        "Q" | "q" => quoted_printable(&text.replace('_', " ")),
        _ => return None,
    };
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_the_plain_text_are_decoded() {
        let message = "From: Clinic <clinic@example.org>\r\nTo: Ada <ada@example.org>,\r\n bob@example.org\r\n\
             Subject: =?UTF-8?B?R3LDvMOf?= =?utf-8?Q?e_an?= Ada\r\nContent-Type: multipart/alternative; boundary=\"b\"\r\n\r\n\
             --b\r\nContent-Type: text/html\r\n\r\n<p>no</p>\r\n\
             --b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
             Sch=C3=B6ne =\r\nZeile =3D=\r\n\r\n--b--\r\n";
        let parsed = parse(message.as_bytes());
        assert_eq!(parsed.subject, "Grüße an Ada");
        assert_eq!(parsed.to, ["ada@example.org", "bob@example.org"]);
        assert_eq!(parsed.from.as_deref(), Some("Clinic <clinic@example.org>"));
        assert_eq!(parsed.text, "Schöne Zeile =\n");
    }

    #[test]
    fn malformed_messages_do_not_panic() {
        for message in [
            "",
            "\n",
            ":",
            "Subject: =?UTF-8?B?!?=\n\n=",
            "Content-Type: multipart/mixed\n\nx",
            "Content-Type: multipart/mixed; boundary=\n\n----",
            "Content-Transfer-Encoding: quoted-printable\n\n=ü=4",
        ] {
            parse(message.as_bytes());
        }
        assert_eq!(parse(b"Subject: a\n\nb").text, "b");
    }
}
