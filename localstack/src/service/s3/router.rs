//! The router of S3's REST protocol.

use axum::body::{Body, Bytes, to_bytes};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, Uri};

use super::request::S3Request;
use super::response::S3Response;
use super::{buckets, copy, delete_objects, objects, subresource, xml};
use crate::{AwsError, Context, wire};

/// The maximum size of an object here, since it is held in memory. S3 accepts 5 GiB in one upload.
const MAX_OBJECT_BYTES: usize = 64 << 20;

/// Returns whether a request is signed for S3, in its header or its URL. URLs of signature version 2 name no service;
/// S3 is the only one that still accepts them.
pub fn is_s3_request(headers: &HeaderMap, uri: &Uri) -> bool {
    let has = |name: &str| {
        let query = uri.query().unwrap_or_default().as_bytes();
        form_urlencoded::parse(query).any(|(key, _)| key == name)
    };
    match wire::credential_scope(headers, uri) {
        Some((_, service)) => service == "s3",
        None => has("AWSAccessKeyId") && has("Expires") && !has("Action"),
    }
}

/// Handles a request that is signed for S3. Errors become S3's XML.
pub async fn handle(cx: Context, request: Request<Body>) -> Response<Body> {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let (parts, body) = request.into_parts();
    let (is_head, resource) = (parts.method == Method::HEAD, parts.uri.path().to_owned());
    let result = match to_bytes(body, MAX_OBJECT_BYTES).await {
        Ok(body) => execute(cx, parts, body).await,
        Err(_) => Err(AwsError::new(
            "EntityTooLarge",
            format!(
                "The embedded endpoint accepts objects of at most {MAX_OBJECT_BYTES} bytes. This one is larger, or the \
                 connection was closed."
            ),
        )),
    };
    let response = result.unwrap_or_else(|error| {
        let mut response = S3Response::xml(xml::error(&error, &resource, &id));
        response.status = error.status;
        if is_head {
            response.body = Bytes::new();
        }
        response
    });
    response.with("x-amz-request-id", &id).into()
}

/// Executes the operation on a thread for blocking work, since it accesses files. It completes even if the client
/// disconnects.
async fn execute(cx: Context, parts: Parts, body: Bytes) -> Result<S3Response, AwsError> {
    let request = S3Request::parse(&cx, parts, body)?;
    let operation = request.operation.clone();
    let work = tokio::task::spawn_blocking(move || dispatch(&cx, &request));
    let result = work.await.unwrap_or_else(|_| {
        Err(AwsError::internal(
            "The endpoint failed on this call; its log has the details.",
        ))
    });
    match &result {
        Ok(_) => tracing::debug!(aws.service = "s3", aws.operation = %operation, "handled"),
        Err(error) if error.status == 500 => {
            tracing::error!(aws.service = "s3", aws.operation = %operation, %error, "a call failed here");
        }
        Err(error) => tracing::debug!(aws.service = "s3", aws.operation = %operation, code = %error.code, "rejected"),
    }
    result
}

fn dispatch(cx: &Context, request: &S3Request) -> Result<S3Response, AwsError> {
    match request.operation.as_str() {
        "ListBuckets" => return buckets::list(cx),
        "CreateBucket" => return buckets::create(cx, request),
        _ => {}
    }
    let owner = request.header("x-amz-expected-bucket-owner");
    if owner.is_some_and(|owner| owner != cx.account()) {
        return Err(AwsError::new("AccessDenied", "Access Denied").with_status(403));
    }
    if let Some(response) = buckets::setting(cx, request).or_else(|| subresource::handle(cx, request)) {
        return response;
    }
    match request.operation.as_str() {
        "HeadBucket" => Ok(buckets::head(cx, &request.bucket(cx)?)),
        "GetBucketLocation" => Ok(buckets::location(cx, &request.bucket(cx)?)),
        "DeleteBucket" => buckets::delete(cx, request),
        "CopyObject" => copy::copy(cx, request),
        "DeleteObjects" => delete_objects::delete(cx, request),
        "ListObjects" | "ListObjectsV2" => buckets::objects(cx, request, &request.bucket(cx)?),
        "PutObject" => objects::put(cx, request),
        "GetObject" => request.bucket(cx).and_then(|_| objects::get(cx, request, true)),
        "HeadObject" => request.bucket(cx).and_then(|_| objects::get(cx, request, false)),
        "DeleteObject" => request.bucket(cx).and_then(|_| objects::delete(cx, request)),
        operation => Err(AwsError::not_implemented("s3", operation)),
    }
}
