//! Operations on objects.

use std::collections::BTreeMap;
use std::ops::Range;

use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, EXPIRES, RANGE,
};
use time::OffsetDateTime;
use time::macros::format_description;

use super::door::{Answer, Asked};
use super::{Object, settings, upload};
use crate::records::WriteLock;
use crate::{AwsError, Context};

/// S3's limit of a key, in bytes.
const LONGEST_KEY: usize = 1024;
const ENCRYPTION: &str = "x-amz-server-side-encryption";

pub fn put(cx: &Context, asked: &Asked) -> Result<Answer, AwsError> {
    if asked.address.key.len() > LONGEST_KEY {
        return Err(AwsError::new("KeyTooLongError", "Your key is too long"));
    }
    let content = upload::content(&asked.headers, asked.body.clone())?;
    let lock = cx.extension::<WriteLock>();
    let _guard = lock.lock();
    let bucket = asked.bucket(cx)?;
    let mut kept = BTreeMap::from([(ENCRYPTION.to_owned(), settings::encryption(&bucket))]);
    let standard = [
        CACHE_CONTROL,
        CONTENT_DISPOSITION,
        CONTENT_ENCODING,
        CONTENT_LANGUAGE,
        CONTENT_TYPE,
        EXPIRES,
    ];
    for (name, value) in &asked.headers {
        let wanted = standard.contains(name) || name == ENCRYPTION || name.as_str().starts_with("x-amz-meta-");
        if let Ok(value) = value.to_str()
            && wanted
        {
            kept.insert(name.to_string(), value.to_owned());
        }
    }
    // How it was sent is not how it is kept.
    if let Some(encoding) = kept.remove(CONTENT_ENCODING.as_str()) {
        let own: Vec<&str> = encoding
            .split(',')
            .map(str::trim)
            .filter(|name| *name != "aws-chunked")
            .collect();
        if !own.is_empty() {
            kept.insert(CONTENT_ENCODING.to_string(), own.join(", "));
        }
    }
    let object = Object::put(cx, &asked.address, &content, kept)?;
    let encryption = object.headers.get(ENCRYPTION).map_or("AES256", String::as_str);
    Ok(Answer::empty(200)
        .with("etag", &format!("\"{}\"", object.etag))
        .with(ENCRYPTION, encryption))
}

/// GetObject and HeadObject.
pub fn get(cx: &Context, asked: &Asked, with_content: bool) -> Result<Answer, AwsError> {
    if asked.query("versionId").is_some_and(|version| version != "null") {
        return Err(AwsError::new("NoSuchVersion", "The specified version does not exist.").with_status(404));
    }
    let part = cx.extension::<WriteLock>();
    // Held so that the file is not replaced between the two looks.
    let held = part.lock();
    let object = Object::existing(cx, &asked.address)?;
    let mut content = object.content(cx)?;
    drop(held);
    let (status, part) = match asked.header(RANGE.as_str()).and_then(|text| range(text, content.len())) {
        None => (200, None),
        Some(Some(part)) => (206, Some(part)),
        Some(None) => {
            let words = "The requested range is not satisfiable";
            return Err(AwsError::new("InvalidRange", words).with_status(416));
        }
    };
    let mut answer = Answer::empty(status)
        .with(CONTENT_TYPE.as_str(), "binary/octet-stream")
        .with("etag", &format!("\"{}\"", object.etag))
        .with("accept-ranges", "bytes")
        .with("last-modified", &http_date(object.modified));
    for (name, value) in &object.headers {
        answer = answer.with(name, value);
    }
    if let Some(part) = part {
        let place = format!("bytes {}-{}/{}", part.start, part.end - 1, content.len());
        answer = answer.with("content-range", &place);
        content = content[part].to_vec();
    }
    answer.length = Some(content.len());
    if with_content {
        answer.body = content.into();
    }
    Ok(answer)
}

/// It is no error that there is none.
pub fn delete(cx: &Context, asked: &Asked) -> Result<Answer, AwsError> {
    let lock = cx.extension::<WriteLock>();
    let _guard = lock.lock();
    if let Some(object) = Object::find(cx, &asked.address)? {
        object.delete(cx)?;
    }
    Ok(Answer::empty(204))
}

/// One range of bytes: none where the header says nothing that is understood, `Some(None)` where nothing is there.
#[expect(
    clippy::option_option,
    reason = "no range, an empty one, and one with bytes are three answers"
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

/// `Sat, 21 Nov 2026 12:45:24 GMT`, from milliseconds since 1970.
fn http_date(milliseconds: i64) -> String {
    let form =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    let moment = OffsetDateTime::from_unix_timestamp(milliseconds.div_euclid(1000)).ok();
    moment.and_then(|moment| moment.format(form).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_to_what_is_there() {
        assert_eq!(range("bytes=0-1", 5), Some(Some(0..2)));
        assert_eq!(range("bytes=3-", 5), Some(Some(3..5)));
        assert_eq!(range("bytes=-2", 5), Some(Some(3..5)));
        assert_eq!(range("bytes=2-99", 5), Some(Some(2..5)));
        assert_eq!(range("bytes=5-", 5), Some(None));
        assert_eq!(range("bytes=2-1", 5), None, "S3 gives the whole of it");
        assert_eq!(range("lines=1-2", 5), None);
    }

    #[test]
    fn a_date_is_written_as_http_writes_it() {
        assert_eq!(http_date(784_111_777_999), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
