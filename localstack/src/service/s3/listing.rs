//! `ListObjectsV2` and `ListObjects`: the keys of a bucket in pages, grouped by a delimiter.

use std::collections::BTreeSet;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::Object;
use crate::AwsError;
use crate::records::iso;

/// The characters that `encoding-type=url` encodes.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/');
/// The default and the maximum of `max-keys`.
const MAX_KEYS: usize = 1000;

/// Returns a page of the objects of a bucket, which must be ordered by key. `query` returns a query parameter.
pub fn list(bucket: &str, objects: &[Object], query: impl Fn(&str) -> Option<String>) -> Result<Value, AwsError> {
    let given = |name: &str| query(name).filter(|text| !text.is_empty());
    let (prefix, delimiter) = (query("prefix").unwrap_or_default(), given("delimiter"));
    let is_second = query("list-type").is_some();
    let (start, token) = if is_second {
        (given("start-after"), given("continuation-token"))
    } else {
        (given("marker"), None)
    };
    let limit = match given("max-keys") {
        None => MAX_KEYS,
        Some(text) => text.parse::<usize>().map(|limit| limit.min(MAX_KEYS)).map_err(|_| {
            AwsError::new(
                "InvalidArgument",
                "Provided max-keys not an integer or within integer range",
            )
        })?,
    };
    let encodes = match given("encoding-type").as_deref() {
        None => false,
        Some("url") => true,
        Some(_) => {
            return Err(AwsError::new(
                "InvalidArgument",
                "Invalid Encoding Method specified in Request",
            ));
        }
    };
    let after = match &token {
        None => start.clone(),
        Some(token) => Some(last_position(token)?),
    };
    let folded = |key: &str| {
        let (delimiter, rest) = (delimiter.as_deref()?, key.strip_prefix(&prefix)?);
        let end = rest.find(delimiter)? + delimiter.len();
        Some(key[..prefix.len() + end].to_owned())
    };
    let mut contents = Vec::new();
    let mut folders = BTreeSet::new();
    let (mut last, mut more) = (None, false);
    for object in objects.iter().filter(|object| object.key.starts_with(&prefix)) {
        let folder = folded(&object.key);
        // A folder that this page or the previous one has is not listed again.
        let position = folder.as_ref().unwrap_or(&object.key);
        if after.as_ref().is_some_and(|after| position <= after) || folders.contains(position) {
            continue;
        }
        if contents.len() + folders.len() == limit {
            more = limit > 0;
            break;
        }
        last = Some(position.clone());
        match folder {
            Some(folder) => _ = folders.insert(folder),
            None => contents.push(object),
        }
    }
    let encode = |text: &str| {
        if encodes {
            utf8_percent_encode(text, ENCODED).to_string()
        } else {
            text.to_owned()
        }
    };
    let contents: Vec<Value> = contents
        .iter()
        .map(|object| {
            json!({
                "Key": encode(&object.key), "LastModified": iso(object.modified), "ETag": format!("\"{}\"", object.etag),
                "Size": object.size, "StorageClass": "STANDARD",
            })
        })
        .collect();
    let folders: Vec<Value> = folders.iter().map(|folder| json!({"Prefix": encode(folder)})).collect();
    let last = last.filter(|_| more);
    if !is_second {
        // "This element is returned only if you have the delimiter request parameter specified" (`ListObjects`, `NextMarker`).
        let next = last.filter(|_| delimiter.is_some());
        return Ok(json!({
            "Name": bucket, "Prefix": encode(&prefix), "Marker": encode(&start.unwrap_or_default()),
            "Delimiter": delimiter.as_deref().map(encode), "EncodingType": encodes.then_some("url"),
            "MaxKeys": limit, "IsTruncated": more, "NextMarker": next.as_deref().map(encode),
            "Contents": contents, "CommonPrefixes": folders,
        }));
    }
    let next = last.map(|last| BASE64_URL_SAFE_NO_PAD.encode(last));
    Ok(json!({
        "Name": bucket, "Prefix": encode(&prefix), "Delimiter": delimiter.as_deref().map(encode),
        "StartAfter": start.as_deref().map(encode), "EncodingType": encodes.then_some("url"),
        "KeyCount": contents.len() + folders.len(), "MaxKeys": limit, "IsTruncated": more,
        "ContinuationToken": token, "NextContinuationToken": next, "Contents": contents, "CommonPrefixes": folders,
    }))
}

/// Decodes the key or folder with which the previous page ended.
fn last_position(token: &str) -> Result<String, AwsError> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| AwsError::new("InvalidArgument", "The continuation token provided is incorrect"))
}
