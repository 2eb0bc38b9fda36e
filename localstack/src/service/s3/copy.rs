//! `CopyObject`.

use percent_encoding::percent_decode_str;
use serde_json::json;

use super::request::S3Request;
use super::response::S3Response;
use super::{Address, Object, condition, objects, xml};
use crate::records::{WriteLock, iso};
use crate::{AwsError, Context};

/// Copies an object within this endpoint, with its headers or (`x-amz-metadata-directive: REPLACE`) those of the request.
pub fn copy(cx: &Context, request: &S3Request) -> Result<S3Response, AwsError> {
    if let Some(name) = [
        "x-amz-tagging-directive",
        "x-amz-tagging",
        "x-amz-acl",
        "x-amz-storage-class",
    ]
    .into_iter()
    .find(|name| {
        request
            .header(name)
            .is_some_and(|value| !["COPY", "STANDARD", "private"].contains(&value))
    }) {
        return Err(AwsError::not_implemented("s3", &format!("CopyObject with {name}")));
    }
    let source = source(request)?;
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let bucket = request.bucket(cx)?;
    if super::bucket::BUCKETS.get(cx, &source.bucket)?.is_none() {
        return Err(super::no_such_bucket());
    }
    let original = Object::get(cx, &source)?;
    // The conditions of the source have their own headers, and an unchanged one fails too.
    if !condition::check_read(request, &original, "x-amz-copy-source-")? {
        return Err(condition::failed());
    }
    let headers = match request.header("x-amz-metadata-directive").unwrap_or("COPY") {
        "COPY" if source == request.address => {
            let message = "This copy request is illegal because it is trying to copy an object to itself without changing the \
                           object's metadata, storage class, website redirect location or encryption attributes.";
            return Err(AwsError::new("InvalidRequest", message));
        }
        "COPY" => original.headers.clone(),
        "REPLACE" => objects::stored_headers(request, &bucket),
        _ => return Err(AwsError::new("InvalidArgument", "Unknown metadata directive.")),
    };
    condition::check_write(request, Object::find(cx, &request.address)?.as_ref())?;
    let copied = Object::put(cx, &request.address, &original.content(cx)?, headers)?;
    let result = json!({"LastModified": iso(copied.modified), "ETag": format!("\"{}\"", copied.etag)});
    Ok(S3Response::xml(xml::document("CopyObjectResult", &result)))
}

/// Returns the address in the header `x-amz-copy-source`: `[/]BUCKET/KEY`, percent-encoded.
fn source(request: &S3Request) -> Result<Address, AwsError> {
    let invalid = || {
        AwsError::new(
            "InvalidArgument",
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
        )
    };
    let text = request.header("x-amz-copy-source").unwrap_or_default();
    let (path, version) = text.split_once("?versionId=").unwrap_or((text, "null"));
    if version != "null" {
        return Err(AwsError::new("NoSuchVersion", "The specified version does not exist.").with_status(404));
    }
    let path = percent_decode_str(path).decode_utf8().map_err(|_| invalid())?;
    let (bucket, key) = path.trim_start_matches('/').split_once('/').ok_or_else(invalid)?;
    if bucket.is_empty() || key.is_empty() {
        return Err(invalid());
    }
    Ok(Address {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
    })
}
