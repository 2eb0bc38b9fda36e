//! Signature of a token: a presigned URL in base64 (IAM User Guide, "Create a signed AWS API request").

use aws_lc_rs::{digest, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret;
use time::{OffsetDateTime, format_description::FormatItem, macros::format_description};

use super::credentials::Credentials;

/// Validity of a token in seconds, the maximum that MSK accepts.
const VALIDITY_SECONDS: i64 = 900;
const SERVICE: &str = "kafka-cluster";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
/// All characters other than the unreserved ones of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const DATE: &[FormatItem<'_>] = format_description!("[year][month][day]");
const TIMESTAMP: &[FormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");

pub(super) struct Token {
    pub(super) text: String,
    pub(super) expires: OffsetDateTime,
}

/// Returns the token of these credentials for the brokers of a region, valid from `now` on.
pub(super) fn token(credentials: &Credentials, region: &str, now: OffsetDateTime) -> Token {
    let max = now + time::Duration::seconds(VALIDITY_SECONDS);
    Token {
        // MSK reads the user agent for its statistics; it is not signed.
        text: URL_SAFE_NO_PAD.encode(format!(
            "{}&User-Agent={}",
            presigned_url(credentials, region, now),
            escape(USER_AGENT)
        )),
        expires: credentials.expires.map_or(max, |end| end.min(max)),
    }
}

fn presigned_url(credentials: &Credentials, region: &str, now: OffsetDateTime) -> String {
    let host = format!("kafka.{region}.amazonaws.com");
    let (date, timestamp) = (format(now, DATE), format(now, TIMESTAMP));
    let scope = format!("{date}/{region}/{SERVICE}/aws4_request");
    let mut query = vec![
        ("Action", "kafka-cluster:Connect".to_owned()),
        ("X-Amz-Algorithm", ALGORITHM.to_owned()),
        ("X-Amz-Credential", format!("{}/{scope}", credentials.key_id)),
        ("X-Amz-Date", timestamp.clone()),
        ("X-Amz-Expires", VALIDITY_SECONDS.to_string()),
    ];
    if let Some(session) = &credentials.session {
        query.push(("X-Amz-Security-Token", session.expose_secret().to_owned()));
    }
    query.push(("X-Amz-SignedHeaders", "host".to_owned()));
    // Sorted by name, as the signature requires.
    let query: Vec<String> = query
        .iter()
        .map(|(name, value)| format!("{name}={}", escape(value)))
        .collect();
    let query = query.join("&");
    let request = format!("GET\n/\n{query}\nhost:{host}\n\nhost\n{}", sha256(""));
    let to_sign = format!("{ALGORITHM}\n{timestamp}\n{scope}\n{}", sha256(&request));
    let secret = format!("AWS4{}", credentials.secret.expose_secret());
    let key = [date.as_str(), region, SERVICE, "aws4_request"]
        .iter()
        .fold(secret.into_bytes(), |key, part| hmac_sha256(&key, part));
    format!(
        "https://{host}/?{query}&X-Amz-Signature={}",
        hex::encode(hmac_sha256(&key, &to_sign))
    )
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

fn format(timestamp: OffsetDateTime, description: &[FormatItem<'_>]) -> String {
    timestamp.format(description).unwrap_or_default()
}

fn sha256(text: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

fn hmac_sha256(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
        .as_ref()
        .to_vec()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use time::format_description::well_known::Rfc3339;

    use super::*;

    /// A token of AWS's own signer for Python; `vectors.py` records them.
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
    fn tokens_equal_those_of_the_signer_of_aws() {
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
            let signed = token(&credentials, &vector.region, now);
            assert_eq!(pairs(&signed.text), pairs(&vector.token), "{}", vector.region);
            assert_eq!(signed.expires.unix_timestamp() * 1000, vector.expires_ms);
        }
    }

    #[test]
    fn a_token_expires_with_the_credentials_that_signed_it() {
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
