//! The token of MSK's IAM: a request to Connect, signed as a URL and never sent (IAM User Guide, "Create a signed AWS API
//! request"; Amazon MSK Developer Guide, "IAM access control").

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
/// Added to the URL after it was signed; MSK reads it for its statistics.
const AGENT: &str = "User-Agent";
/// Seconds for which a token may hold.
const LONGEST: i64 = 900;
/// How far a signer's clock may be ahead.
const SKEW: Duration = Duration::minutes(5);
/// All that RFC 3986 does not call unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const MOMENT: &[FormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");
/// Signers leave the padding out; MSK takes it all the same.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Whose token this is. It holds again and again until it ends, as it does for MSK.
///
/// # Errors
/// Why it does not hold, in words that repeat nothing of it.
pub fn verify(
    token: &str,
    region: &str,
    now: OffsetDateTime,
    session: impl FnOnce(&str) -> Option<Session>,
) -> Result<Session, String> {
    let refused = |why: &str| Err(why.to_owned());
    let url = BASE64
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let Some(url) = url else {
        return refused("the token is no URL in base64");
    };
    let host = format!("kafka.{region}.amazonaws.com");
    let Some(query) = url.strip_prefix(&format!("https://{host}/?")) else {
        return Err(format!(
            "the token is not signed for https://{host}, where this cluster is"
        ));
    };
    let mut told = parameters(query)?;
    let signature = told.remove(SIGNATURE).unwrap_or_default();
    told.remove(AGENT);
    let is = |name: &str, value: &str| told.get(name).is_some_and(|found| found == value);
    if !is("Action", "kafka-cluster:Connect") {
        return refused("the token is for another action than kafka-cluster:Connect");
    }
    if !is("X-Amz-Algorithm", ALGORITHM) || !is("X-Amz-SignedHeaders", "host") {
        return refused("the token is not signed with AWS4-HMAC-SHA256 over the host alone");
    }
    let date = told.get("X-Amz-Date").map_or("", String::as_str);
    holds(date, told.get("X-Amz-Expires").map_or("", String::as_str), now)?;
    let scope = format!("{}/{region}/{SERVICE}/aws4_request", &date[..8]);
    let credential = told.get("X-Amz-Credential").map_or("", String::as_str);
    let Some(key_id) = credential.strip_suffix(&scope).and_then(|key| key.strip_suffix('/')) else {
        return Err(format!("the token's credential is not one for {scope}"));
    };
    let given = told.get("X-Amz-Security-Token").map_or("", String::as_str);
    let found = session(given).filter(|session| session.key_id == key_id);
    let Some(session) = found else {
        return refused("the token is not signed with the credentials of a task's role");
    };
    if session.is_over(now) {
        return Err(format!(
            "the credentials of {} that signed the token have expired",
            session.role
        ));
    }
    let expected = sign(&session.secret, &told, date, region);
    match constant_time::verify_slices_are_equal(expected.as_bytes(), signature.as_bytes()) {
        Ok(()) => Ok(session),
        Err(_) => refused("the token's signature is wrong"),
    }
}

/// Names and values, decoded. A name that comes twice could mean one thing here and another where it is signed.
fn parameters(query: &str) -> Result<BTreeMap<String, String>, String> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(|text| text.into_owned());
    let mut told = BTreeMap::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Ok(name), Ok(value)) = (decoded(name), decoded(value)) else {
            return Err("the token's URL is not text".into());
        };
        if told.insert(name, value).is_some() {
            return Err("the token's URL says something twice".into());
        }
    }
    Ok(told)
}

fn holds(date: &str, seconds: &str, now: OffsetDateTime) -> Result<(), String> {
    let Ok(from) = PrimitiveDateTime::parse(date, MOMENT).map(PrimitiveDateTime::assume_utc) else {
        return Err("the token's X-Amz-Date is no time".into());
    };
    let seconds = seconds.parse().ok().filter(|seconds| (1..=LONGEST).contains(seconds));
    let Some(seconds) = seconds else {
        return Err(format!("the token's X-Amz-Expires is not between 1 and {LONGEST} s"));
    };
    if from > now + SKEW {
        return Err(format!("the token is of the future ({date}): is the clock right?"));
    }
    if now >= from + Duration::seconds(seconds) {
        return Err(format!(
            "the token has expired: it is of {date} and holds for {seconds} s"
        ));
    }
    Ok(())
}

/// The signature over all parameters but itself, in hexadecimal digits.
fn sign(secret: &str, told: &BTreeMap<String, String>, date: &str, region: &str) -> String {
    let escape = |text: &str| utf8_percent_encode(text, RESERVED).to_string();
    let mut query: Vec<String> = told
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
