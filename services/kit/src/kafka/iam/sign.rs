//! The signature: a presigned URL in base64 (IAM User Guide, "Create a signed AWS API request").

use aws_lc_rs::{digest, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret;
use time::{OffsetDateTime, format_description::FormatItem, macros::format_description};

use super::credentials::Credentials;

/// Seconds for which a token opens a connection; MSK takes no more.
const HOLDS: i64 = 900;
const SERVICE: &str = "kafka-cluster";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
/// All that RFC 3986 does not call unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const DAY: &[FormatItem<'_>] = format_description!("[year][month][day]");
const MOMENT: &[FormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");

pub(super) struct Token {
    pub(super) text: String,
    pub(super) expires: OffsetDateTime,
}

/// What the brokers of this region take from the owner of these credentials, from `now` on.
pub(super) fn token(credentials: &Credentials, region: &str, now: OffsetDateTime) -> Token {
    let longest = now + time::Duration::seconds(HOLDS);
    Token {
        // MSK reads the agent for its own statistics; it is no part of what is signed
        text: URL_SAFE_NO_PAD.encode(format!(
            "{}&User-Agent={}",
            signed(credentials, region, now),
            escape(AGENT)
        )),
        expires: credentials.expires.map_or(longest, |end| end.min(longest)),
    }
}

fn signed(credentials: &Credentials, region: &str, now: OffsetDateTime) -> String {
    let host = format!("kafka.{region}.amazonaws.com");
    let (day, moment) = (text(now, DAY), text(now, MOMENT));
    let scope = format!("{day}/{region}/{SERVICE}/aws4_request");
    let mut query = vec![
        ("Action", "kafka-cluster:Connect".to_owned()),
        ("X-Amz-Algorithm", ALGORITHM.to_owned()),
        ("X-Amz-Credential", format!("{}/{scope}", credentials.key_id)),
        ("X-Amz-Date", moment.clone()),
        ("X-Amz-Expires", HOLDS.to_string()),
    ];
    if let Some(session) = &credentials.session {
        query.push(("X-Amz-Security-Token", session.expose_secret().to_owned()));
    }
    query.push(("X-Amz-SignedHeaders", "host".to_owned()));
    // In the order of their names, which is the order above.
    let query: Vec<String> = query
        .iter()
        .map(|(name, value)| format!("{name}={}", escape(value)))
        .collect();
    let query = query.join("&");
    let request = format!("GET\n/\n{query}\nhost:{host}\n\nhost\n{}", sha256(""));
    let to_sign = format!("{ALGORITHM}\n{moment}\n{scope}\n{}", sha256(&request));
    let first = format!("AWS4{}", credentials.secret.expose_secret());
    let key = [day.as_str(), region, SERVICE, "aws4_request"]
        .iter()
        .fold(first.into_bytes(), |key, part| mac(&key, part));
    format!(
        "https://{host}/?{query}&X-Amz-Signature={}",
        hex::encode(mac(&key, &to_sign))
    )
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

fn text(moment: OffsetDateTime, form: &[FormatItem<'_>]) -> String {
    moment.format(form).unwrap_or_default()
}

fn sha256(text: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
        .as_ref()
        .to_vec()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use time::format_description::well_known::Rfc3339;

    use super::*;

    /// What AWS's own signer for Python made of the same; `vectors.py` beside it records them.
    #[derive(Deserialize)]
    struct Vector {
        key_id: String,
        secret: String,
        session: Option<String>,
        region: String,
        now: String,
        token: String,
        expires_ms: i64,
    }

    fn pairs(token: &str) -> (String, Vec<(String, String)>) {
        let url = URL_SAFE_NO_PAD.decode(token).expect("base64");
        let url = url::Url::parse(std::str::from_utf8(&url).expect("text")).expect("a URL");
        let pairs = url.query_pairs().into_owned().filter(|(name, _)| name != "User-Agent");
        let mut pairs: Vec<(String, String)> = pairs.collect();
        pairs.sort();
        (url.host_str().unwrap_or_default().to_owned(), pairs)
    }

    #[test]
    fn tokens_are_those_of_the_signer_that_aws_gives() {
        let vectors: Vec<Vector> = serde_json::from_str(include_str!("vectors.json")).expect("vectors");
        assert!(vectors.len() > 2);
        for vector in vectors {
            let credentials = Credentials {
                key_id: vector.key_id,
                secret: vector.secret.into(),
                session: vector.session.map(Into::into),
                expires: None,
            };
            let now = OffsetDateTime::parse(&vector.now, &Rfc3339).expect("a time");
            let made = token(&credentials, &vector.region, now);
            assert_eq!(pairs(&made.text), pairs(&vector.token), "{}", vector.region);
            assert_eq!(made.expires.unix_timestamp() * 1000, vector.expires_ms);
        }
    }

    #[test]
    fn a_token_ends_with_the_credentials_that_signed_it() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let credentials = Credentials {
            key_id: "AKID".into(),
            secret: "secret".into(),
            session: None,
            expires: Some(now + time::Duration::minutes(4)),
        };
        assert_eq!(
            token(&credentials, "eu-central-1", now).expires,
            now + time::Duration::minutes(4)
        );
    }
}
