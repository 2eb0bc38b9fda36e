//! Verification of MSK's IAM token: a presigned URL of the action Connect that is never requested (IAM User Guide,
//! "Create a signed AWS API request"; Amazon MSK Developer Guide, "IAM access control").

use std::collections::BTreeMap;

use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use time::format_description::FormatItem;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

use crate::service::sts::session::Session;

const SERVICE: &str = "kafka-cluster";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SIGNATURE: &str = "X-Amz-Signature";
/// A parameter that is added after signing, for MSK's statistics.
const AGENT: &str = "User-Agent";
/// MSK's limit of `X-Amz-Expires`.
const MAX_LIFETIME_SECONDS: i64 = 900;
/// The tolerated lead of a signer's clock.
const MAX_CLOCK_SKEW: Duration = Duration::minutes(5);
/// The characters that RFC 3986 does not list as unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const DATE_FORMAT: &[FormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");
/// Signers omit the padding; MSK accepts tokens with and without it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The reason why a token is not accepted. Its text repeats nothing of the token except a valid date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token is not a base64-encoded URL")]
    NotAUrl,
    #[error("the token is not signed for https://{0}, the region of this cluster")]
    WrongHost(String),
    #[error("a parameter of the token's URL is not valid UTF-8")]
    InvalidEncoding,
    #[error("a parameter occurs twice in the token's URL")]
    RepeatedParameter,
    #[error("the token is not for the action kafka-cluster:Connect")]
    WrongAction,
    #[error("the token is not signed with AWS4-HMAC-SHA256 over the host header alone")]
    WrongAlgorithm,
    #[error("the token's X-Amz-Date is not a timestamp")]
    InvalidDate,
    #[error("the token's X-Amz-Expires is not between 1 and {MAX_LIFETIME_SECONDS} s")]
    InvalidLifetime,
    #[error("the token was signed in the future, at {0}. Check the clock.")]
    NotYetValid(String),
    #[error("the token has expired: it was signed at {date} and was valid for {seconds} s")]
    Expired { date: String, seconds: i64 },
    #[error("the token's credential does not have the scope {0}")]
    WrongScope(String),
    #[error("the token is not signed with the credentials of a task's role")]
    UnknownCredentials,
    #[error("the credentials of {role} that signed the token have expired")]
    ExpiredCredentials { role: String },
    #[error("the token's signature is wrong")]
    WrongSignature,
}

/// Returns the session whose credentials signed the token. A token may be used repeatedly until it expires, as with
/// MSK.
///
/// `session` finds a session by its session token.
///
/// # Errors
/// Returns a [`TokenError`] if the token is malformed, expired, for another region or action, or not signed by such a
/// session.
pub fn verify(
    token: &str,
    region: &str,
    now: OffsetDateTime,
    session: impl FnOnce(&str) -> Option<Session>,
) -> Result<Session, TokenError> {
    let url = BASE64
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or(TokenError::NotAUrl)?;
    let host = format!("kafka.{region}.amazonaws.com");
    let Some(query) = url.strip_prefix(&format!("https://{host}/?")) else {
        return Err(TokenError::WrongHost(host));
    };
    let mut parameters = parse(query)?;
    let signature = parameters.remove(SIGNATURE).unwrap_or_default();
    parameters.remove(AGENT);
    let is = |name: &str, value: &str| parameters.get(name).is_some_and(|found| found == value);
    let text = |name: &str| parameters.get(name).map_or("", String::as_str);
    if !is("Action", "kafka-cluster:Connect") {
        return Err(TokenError::WrongAction);
    }
    if !is("X-Amz-Algorithm", ALGORITHM) || !is("X-Amz-SignedHeaders", "host") {
        return Err(TokenError::WrongAlgorithm);
    }
    let date = text("X-Amz-Date");
    check_validity(date, text("X-Amz-Expires"), now)?;
    let scope = format!("{}/{region}/{SERVICE}/aws4_request", &date[..8]);
    let key_id = text("X-Amz-Credential").strip_suffix(&scope);
    let Some(key_id) = key_id.and_then(|key| key.strip_suffix('/')) else {
        return Err(TokenError::WrongScope(scope));
    };
    let session = session(text("X-Amz-Security-Token"))
        .filter(|session| session.key_id == key_id)
        .ok_or(TokenError::UnknownCredentials)?;
    if session.is_over(now) {
        return Err(TokenError::ExpiredCredentials { role: session.role });
    }
    let expected = sign(&session.secret, &parameters, date, region);
    match constant_time::verify_slices_are_equal(expected.as_bytes(), signature.as_bytes()) {
        Ok(()) => Ok(session),
        Err(_) => Err(TokenError::WrongSignature),
    }
}

/// Decodes the names and values of a query string. A repeated name is rejected, since the signer may read it otherwise.
fn parse(query: &str) -> Result<BTreeMap<String, String>, TokenError> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(|text| text.into_owned());
    let mut parameters = BTreeMap::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Ok(name), Ok(value)) = (decoded(name), decoded(value)) else {
            return Err(TokenError::InvalidEncoding);
        };
        if parameters.insert(name, value).is_some() {
            return Err(TokenError::RepeatedParameter);
        }
    }
    Ok(parameters)
}

fn check_validity(date: &str, seconds: &str, now: OffsetDateTime) -> Result<(), TokenError> {
    let from = PrimitiveDateTime::parse(date, DATE_FORMAT).map_err(|_| TokenError::InvalidDate)?;
    let from = from.assume_utc();
    let lifetime = 1..=MAX_LIFETIME_SECONDS;
    let seconds = seconds.parse().ok().filter(|seconds| lifetime.contains(seconds));
    let seconds = seconds.ok_or(TokenError::InvalidLifetime)?;
    if from > now + MAX_CLOCK_SKEW {
        return Err(TokenError::NotYetValid(date.to_owned()));
    }
    if now >= from + Duration::seconds(seconds) {
        let date = date.to_owned();
        return Err(TokenError::Expired { date, seconds });
    }
    Ok(())
}

/// Computes the signature over all parameters except the signature itself, as hexadecimal digits.
fn sign(secret: &str, parameters: &BTreeMap<String, String>, date: &str, region: &str) -> String {
    let escape = |text: &str| utf8_percent_encode(text, RESERVED).to_string();
    let mut query: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
        .collect();
    query.sort_unstable();
    let hash = |text: &str| hex::encode(digest::digest(&digest::SHA256, text.as_bytes()));
    let request = format!(
        "GET\n/\n{}\nhost:kafka.{region}.amazonaws.com\n\nhost\n{}",
        query.join("&"),
        hash("")
    );
    let day = &date[..8];
    let to_sign = format!(
        "{ALGORITHM}\n{date}\n{day}/{region}/{SERVICE}/aws4_request\n{}",
        hash(&request)
    );
    let first = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{secret}").as_bytes());
    let key = [day, region, SERVICE, "aws4_request"].iter().fold(first, |key, part| {
        hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref())
    });
    hex::encode(hmac::sign(&key, to_sign.as_bytes()))
}

#[cfg(test)]
pub mod tests;
