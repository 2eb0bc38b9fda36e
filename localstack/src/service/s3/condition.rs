//! Conditional requests (Amazon S3 User Guide: "Conditional requests"; RFC 9110, section 13).

use time::macros::format_description;
use time::{PrimitiveDateTime, UtcOffset};

use super::Object;
use super::request::S3Request;
use crate::AwsError;

/// Checks the conditions of an upload against the object that it would replace.
///
/// # Errors
/// `PreconditionFailed`, `NoSuchKey` for `If-Match` without an object, `NotImplemented` for `If-None-Match` with a tag.
pub fn check_write(request: &S3Request, existing: Option<&Object>) -> Result<(), AwsError> {
    if let Some(tags) = request.header("if-none-match") {
        if tags.trim() != "*" {
            let message = "A header you provided implies functionality that is not implemented";
            return Err(AwsError::new("NotImplemented", message).with_status(501));
        }
        if existing.is_some() {
            return Err(failed());
        }
    }
    if let Some(tags) = request.header("if-match") {
        let missing = || AwsError::new("NoSuchKey", "The specified key does not exist.").with_status(404);
        if !has_tag(tags, existing.ok_or_else(missing)?) {
            return Err(failed());
        }
    }
    Ok(())
}

/// Checks the condition of a deletion, which a missing object fulfils (`DeleteObject`, `If-Match`).
///
/// # Errors
/// `PreconditionFailed`.
pub fn check_delete(request: &S3Request, existing: &Object) -> Result<(), AwsError> {
    match request.header("if-match") {
        Some(tags) if !has_tag(tags, existing) => Err(failed()),
        _ => Ok(()),
    }
}

/// Checks the conditions of a read. Returns false if the caller has the current object: the answer is then 304.
///
/// # Errors
/// `PreconditionFailed`.
pub fn check_read(request: &S3Request, object: &Object, prefix: &str) -> Result<bool, AwsError> {
    let header = |name: &str| request.header(&format!("{prefix}{name}"));
    // A tag takes precedence over a date (RFC 9110, section 13.2.2).
    match (header("if-match"), header("if-unmodified-since").and_then(date)) {
        (Some(tags), _) if !has_tag(tags, object) => return Err(failed()),
        (None, Some(date)) if object.modified / 1000 > date => return Err(failed()),
        _ => {}
    }
    Ok(
        match (header("if-none-match"), header("if-modified-since").and_then(date)) {
            (Some(tags), _) => !has_tag(tags, object),
            (None, Some(date)) => object.modified / 1000 > date,
            (None, None) => true,
        },
    )
}

/// The error of a condition that is not met.
pub fn failed() -> AwsError {
    let message = "At least one of the pre-conditions you specified did not hold";
    AwsError::new("PreconditionFailed", message).with_status(412)
}

fn has_tag(tags: &str, object: &Object) -> bool {
    let is_own = |tag: &str| tag == "*" || tag.trim_start_matches("W/").trim_matches('"') == object.etag;
    tags.split(',').any(|tag| is_own(tag.trim()))
}

/// Parses a date of HTTP, in seconds since 1970.
fn date(text: &str) -> Option<i64> {
    let format =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    let parsed = PrimitiveDateTime::parse(text.trim(), format).ok()?;
    Some(parsed.assume_offset(UtcOffset::UTC).unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_of_http_is_read() {
        assert_eq!(date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(date("yesterday"), None);
    }
}
