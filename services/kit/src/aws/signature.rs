//! Signatures of requests: Signature Version 4 (IAM User Guide, "Create a signed AWS API request").

use std::fmt;

use aws_lc_rs::{digest, hmac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret;
use time::{OffsetDateTime, format_description::FormatItem, macros::format_description};

use super::credentials::Credentials;

/// All characters other than the unreserved ones of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const DATE: &[FormatItem<'_>] = format_description!("[year][month][day]");
const TIMESTAMP: &[FormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");

/// The scope of a signature: day, region and service; shown as in a credential.
pub(crate) struct Scope<'a> {
    date: String,
    timestamp: String,
    region: &'a str,
    service: &'a str,
}

impl<'a> Scope<'a> {
    /// Name of the algorithm.
    pub(crate) const ALGORITHM: &'static str = "AWS4-HMAC-SHA256";

    /// Returns the scope of a signature that is made now.
    pub(crate) fn new(region: &'a str, service: &'a str, now: OffsetDateTime) -> Self {
        let format = |description| now.format(description).unwrap_or_default();
        Self {
            date: format(DATE),
            timestamp: format(TIMESTAMP),
            region,
            service,
        }
    }

    /// Returns the time of the signature, as in `X-Amz-Date`.
    pub(crate) fn timestamp(&self) -> &str {
        &self.timestamp
    }

    /// Returns the signature of a request; the query and the headers are sorted by name, and these are in lower case.
    pub(crate) fn sign(
        &self,
        credentials: &Credentials,
        method: &str,
        (path, query): (&str, &str),
        headers: &[(&str, &str)],
        body: &str,
    ) -> String {
        let lines: String = headers
            .iter()
            .flat_map(|(name, value)| [name, ":", value, "\n"])
            .collect();
        let request = format!(
            "{method}\n{path}\n{query}\n{lines}\n{}\n{}",
            names(headers),
            sha256(body)
        );
        let to_sign = format!("{}\n{}\n{self}\n{}", Self::ALGORITHM, self.timestamp, sha256(&request));
        let secret = format!("AWS4{}", credentials.secret.expose_secret());
        let key = [self.date.as_str(), self.region, self.service, "aws4_request"]
            .iter()
            .fold(secret.into_bytes(), |key, part| hmac_sha256(&key, part));
        hex::encode(hmac_sha256(&key, &to_sign))
    }

    /// Returns the value of the header `Authorization` for a POST; see [`Scope::sign`].
    pub(crate) fn authorization(
        &self,
        credentials: &Credentials,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> String {
        let signature = self.sign(credentials, "POST", (path, ""), headers, body);
        let (algorithm, key_id, names) = (Self::ALGORITHM, &credentials.key_id, names(headers));
        format!("{algorithm} Credential={key_id}/{self}, SignedHeaders={names}, Signature={signature}")
    }
}

impl fmt::Display for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/aws4_request", self.date, self.region, self.service)
    }
}

/// Escapes a value of a query.
pub(crate) fn escape(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

fn names(headers: &[(&str, &str)]) -> String {
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    names.join(";")
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
    use time::macros::datetime;

    use super::*;

    /// `post-vanilla` of AWS's test suite for Signature Version 4.
    #[test]
    fn a_post_is_signed_as_in_the_test_suite_of_aws() {
        let credentials = Credentials {
            key_id: "AKIDEXAMPLE".into(),
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session: None,
            expires: None,
        };
        let scope = Scope::new("us-east-1", "service", datetime!(2015-08-30 12:36:00 UTC));
        let headers = [("host", "example.amazonaws.com"), ("x-amz-date", scope.timestamp())];
        assert_eq!(
            scope.authorization(&credentials, "/", &headers, ""),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, \
             Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
        );
    }
}
