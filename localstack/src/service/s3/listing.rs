//! ListObjectsV2: a bucket's keys, page by page, folded at a delimiter.

use std::collections::BTreeSet;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::Object;
use crate::AwsError;
use crate::records::iso;

/// What `encoding-type=url` leaves as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/');
/// Keys in a page, unless fewer are asked for.
const PAGE: usize = 1000;

/// Answers from the objects of a bucket, which come in the order of their keys; `query` gives a part of the query string.
pub fn list(bucket: &str, objects: &[Object], query: impl Fn(&str) -> Option<String>) -> Result<Value, AwsError> {
    let given = |name: &str| query(name).filter(|text| !text.is_empty());
    let (prefix, delimiter) = (query("prefix").unwrap_or_default(), given("delimiter"));
    let (start, token) = (given("start-after"), given("continuation-token"));
    let limit = match given("max-keys") {
        None => PAGE,
        Some(text) => text.parse::<usize>().map(|limit| limit.min(PAGE)).map_err(|_| {
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
        Some(token) => Some(last_of(token)?),
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
        // A folder that the page before has told, or that this one has, is not told again.
        let place = folder.as_ref().unwrap_or(&object.key);
        if after.as_ref().is_some_and(|after| place <= after) || folders.contains(place) {
            continue;
        }
        if contents.len() + folders.len() == limit {
            more = limit > 0;
            break;
        }
        last = Some(place.clone());
        match folder {
            Some(folder) => _ = folders.insert(folder),
            None => contents.push(object),
        }
    }
    let shown = |text: &str| match encodes {
        true => utf8_percent_encode(text, PLAIN).to_string(),
        false => text.to_owned(),
    };
    let contents: Vec<Value> = contents
        .iter()
        .map(|object| {
            json!({
                "Key": shown(&object.key), "LastModified": iso(object.modified), "ETag": format!("\"{}\"", object.etag),
                "Size": object.size, "StorageClass": "STANDARD",
            })
        })
        .collect();
    let folders: Vec<Value> = folders.iter().map(|folder| json!({"Prefix": shown(folder)})).collect();
    let next = last.filter(|_| more).map(|last| BASE64_URL_SAFE_NO_PAD.encode(last));
    Ok(json!({
        "Name": bucket, "Prefix": shown(&prefix), "Delimiter": delimiter.as_deref().map(shown),
        "StartAfter": start.as_deref().map(shown), "EncodingType": encodes.then_some("url"),
        "KeyCount": contents.len() + folders.len(), "MaxKeys": limit, "IsTruncated": more,
        "ContinuationToken": token, "NextContinuationToken": next, "Contents": contents, "CommonPrefixes": folders,
    }))
}

/// The key or folder with which a page ended.
fn last_of(token: &str) -> Result<String, AwsError> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| AwsError::new("InvalidArgument", "The continuation token provided is incorrect"))
}
