//! A token: a presigned URL in base64 (IAM User Guide, "Create a signed AWS API request").

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::ExposeSecret;
use time::OffsetDateTime;

use crate::aws::{Credentials, Scope, escape};

/// Validity of a token in seconds, the maximum that MSK accepts.
const VALIDITY_SECONDS: i64 = 900;
const SERVICE: &str = "kafka-cluster";
const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

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
    let scope = Scope::new(region, SERVICE, now);
    let mut query = vec![
        ("Action", "kafka-cluster:Connect".to_owned()),
        ("X-Amz-Algorithm", Scope::ALGORITHM.to_owned()),
        ("X-Amz-Credential", format!("{}/{scope}", credentials.key_id)),
        ("X-Amz-Date", scope.timestamp().to_owned()),
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
    let signature = scope.sign(credentials, "GET", ("/", &query), &[("host", &host)], "");
    format!("https://{host}/?{query}&X-Amz-Signature={signature}")
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
