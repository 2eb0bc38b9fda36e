//! Operations on objects.

use std::collections::BTreeMap;
use std::ops::Range;

use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, EXPIRES, RANGE,
};
use time::OffsetDateTime;
use time::macros::format_description;

use super::request::S3Request;
use super::response::S3Response;
use super::{Object, condition, settings, upload};
use crate::records::{Record, WriteLock};
use crate::{AwsError, Context};

/// S3's limit of the length of a key.
const MAX_KEY_BYTES: usize = 1024;
const ENCRYPTION: &str = "x-amz-server-side-encryption";

pub fn put(cx: &Context, request: &S3Request) -> Result<S3Response, AwsError> {
    if request.address.key.len() > MAX_KEY_BYTES {
        return Err(AwsError::new("KeyTooLongError", "Your key is too long"));
    }
    let content = upload::content(&request.headers, request.body.clone())?;
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let bucket = request.bucket(cx)?;
    let headers = stored_headers(request, &bucket);
    condition::check_write(request, Object::find(cx, &request.address)?.as_ref())?;
    let object = Object::put(cx, &request.address, &content, headers)?;
    let encryption = object.headers.get(ENCRYPTION).map_or("AES256", String::as_str);
    Ok(S3Response::empty(200)
        .with("etag", &format!("\"{}\"", object.etag))
        .with(ENCRYPTION, encryption))
}

/// Returns the headers of a request that are stored with its object.
pub fn stored_headers(request: &S3Request, bucket: &Record) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::from([(ENCRYPTION.to_owned(), settings::encryption(bucket))]);
    let standard = [
        CACHE_CONTROL,
        CONTENT_DISPOSITION,
        CONTENT_ENCODING,
        CONTENT_LANGUAGE,
        CONTENT_TYPE,
        EXPIRES,
    ];
    for (name, value) in &request.headers {
        let is_stored = standard.contains(name) || name == ENCRYPTION || name.as_str().starts_with("x-amz-meta-");
        if let Ok(value) = value.to_str()
            && is_stored
        {
            headers.insert(name.to_string(), value.to_owned());
        }
    }
    // `aws-chunked` is the encoding of the transfer, not of the stored content.
    if let Some(encoding) = headers.remove(CONTENT_ENCODING.as_str()) {
        let own: Vec<&str> = encoding
            .split(',')
            .map(str::trim)
            .filter(|name| *name != "aws-chunked")
            .collect();
        if !own.is_empty() {
            headers.insert(CONTENT_ENCODING.to_string(), own.join(", "));
        }
    }
    headers
}

/// `GetObject` and, without the content, `HeadObject`.
pub fn get(cx: &Context, request: &S3Request, with_content: bool) -> Result<S3Response, AwsError> {
    if request.query("versionId").is_some_and(|version| version != "null") {
        return Err(AwsError::new("NoSuchVersion", "The specified version does not exist.").with_status(404));
    }
    let lock = cx.shared::<WriteLock>();
    // Held so that the object is not replaced between the two reads.
    let guard = lock.lock();
    let object = Object::get(cx, &request.address)?;
    if !condition::check_read(request, &object, "")? {
        return Ok(S3Response::empty(304)
            .with("etag", &format!("\"{}\"", object.etag))
            .with("last-modified", &http_date(object.modified)));
    }
    let mut content = object.content(cx)?;
    drop(guard);
    let (status, part) = match request
        .header(RANGE.as_str())
        .and_then(|text| range(text, content.len()))
    {
        None => (200, None),
        Some(Some(part)) => (206, Some(part)),
        Some(None) => {
            let message = "The requested range is not satisfiable";
            return Err(AwsError::new("InvalidRange", message).with_status(416));
        }
    };
    let mut response = S3Response::empty(status)
        .with(CONTENT_TYPE.as_str(), "binary/octet-stream")
        .with("etag", &format!("\"{}\"", object.etag))
        .with("accept-ranges", "bytes")
        .with("last-modified", &http_date(object.modified));
    for (name, value) in &object.headers {
        response = response.with(name, value);
    }
    if let Some(part) = part {
        let range = format!("bytes {}-{}/{}", part.start, part.end - 1, content.len());
        response = response.with("content-range", &range);
        content = content[part].to_vec();
    }
    response.length = Some(content.len());
    if with_content {
        response.body = content.into();
    }
    Ok(response)
}

/// `DeleteObject`, which succeeds if there is no such object.
pub fn delete(cx: &Context, request: &S3Request) -> Result<S3Response, AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    if let Some(object) = Object::find(cx, &request.address)? {
        condition::check_delete(request, &object)?;
        object.delete(cx)?;
    }
    Ok(S3Response::empty(204))
}

/// Parses one range of bytes: `None` if the header is not understood, `Some(None)` if the range contains no byte.
#[expect(
    clippy::option_option,
    reason = "no range, an empty one and one with bytes are three cases"
)]
fn range(text: &str, length: usize) -> Option<Option<Range<usize>>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let (start, end) = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(start), Ok(last)) if start <= last => (start, last.saturating_add(1).min(length)),
        (Ok(start), Err(_)) if last.is_empty() => (start, length),
        (Err(_), Ok(count)) if first.is_empty() => (length.saturating_sub(count), length),
        _ => return None,
    };
    Some((start < end).then_some(start..end))
}

/// Formats milliseconds since 1970 as `Sat, 21 Nov 2026 12:45:24 GMT`.
fn http_date(milliseconds: i64) -> String {
    let format =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    let time = OffsetDateTime::from_unix_timestamp(milliseconds.div_euclid(1000)).ok();
    time.and_then(|time| time.format(format).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_limited_to_the_content() {
        assert_eq!(range("bytes=0-1", 5), Some(Some(0..2)));
        assert_eq!(range("bytes=3-", 5), Some(Some(3..5)));
        assert_eq!(range("bytes=-2", 5), Some(Some(3..5)));
        assert_eq!(range("bytes=2-99", 5), Some(Some(2..5)));
        assert_eq!(range("bytes=5-", 5), Some(None));
        assert_eq!(range("bytes=2-1", 5), None, "S3 returns the complete object");
        assert_eq!(range("lines=1-2", 5), None);
    }

    #[test]
    fn a_date_has_the_format_of_http() {
        assert_eq!(http_date(784_111_777_999), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
