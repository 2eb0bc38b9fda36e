//! The part of the OCI distribution protocol that pushing and pulling images uses.

use axum::body::Body;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as STANDARD;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, LINK, LOCATION, RANGE};
use http::{Method, Request, Response, StatusCode};
use serde_json::json;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use super::blobs::{Blobs, hex_digits};
use super::{images, model};
use crate::records::WriteLock;
use crate::{AwsError, Context};

const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const MAX_MANIFEST_BYTES: usize = 4 << 20;

/// Handles a request to `/v2/…`.
pub async fn registry(cx: Context, request: Request<Body>) -> Response<Body> {
    let cx = region_of(&cx, &request);
    match handle(&cx, request).await {
        Ok(response) => response,
        Err(error) => {
            let body = json!({"errors": [{"code": error.code, "message": error.message}]});
            build(
                error.status,
                &[(CONTENT_TYPE, "application/json")],
                Body::from(body.to_string()),
            )
        }
    }
}

/// Returns the region of the authorization token, or the first one that has the repository: public clients of a local registry send none.
fn region_of(cx: &Context, request: &Request<Body>) -> Context {
    let token = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let password = token
        .and_then(|token| STANDARD.decode(token.strip_prefix("Basic ")?).ok())
        .and_then(|token| String::from_utf8(token).ok());
    let region = password.as_deref().and_then(|password| password.strip_prefix("AWS:"));
    let name = request.uri().path().strip_prefix("/v2/").unwrap_or_default();
    let has_repository = |cx: &Context| {
        let mut ends = name.match_indices('/').map(|(end, _)| &name[..end]);
        ends.any(|name| model::repository(cx, name).is_ok())
    };
    let regions = cx.regions();
    let by_token = regions.iter().find(|one| Some(one.region()) == region);
    let found = by_token.or_else(|| regions.iter().find(|one| has_repository(one)));
    found.unwrap_or(cx).clone()
}

async fn handle(cx: &Context, request: Request<Body>) -> Result<Response<Body>, AwsError> {
    let path = request.uri().path().to_owned();
    let rest = path.strip_prefix("/v2/").unwrap_or("");
    if rest.is_empty() {
        return Ok(build(
            200,
            &[(
                HeaderName::from_static("docker-distribution-api-version"),
                "registry/2.0",
            )],
            Body::empty(),
        ));
    }
    if let Some((name, reference)) = rest.rsplit_once("/manifests/") {
        require_repository(cx, name)?;
        return manifests(cx, request, name, reference).await;
    }
    if let Some((name, upload)) = rest.rsplit_once("/blobs/uploads") {
        require_repository(cx, name)?;
        return uploads(cx, request, name, upload.trim_matches('/')).await;
    }
    if let Some((name, digest)) = rest.rsplit_once("/blobs/") {
        require_repository(cx, name)?;
        return blob(cx, request, digest).await;
    }
    if let Some(name) = rest.strip_suffix("/tags/list") {
        require_repository(cx, name)?;
        let mut tags: Vec<String> = images::list(cx, name)?
            .into_iter()
            .flat_map(|image| image.tags)
            .collect();
        tags.sort();
        return tag_list(name, tags, request.uri().query().unwrap_or_default());
    }
    Err(AwsError::new("UNSUPPORTED", format!("{path} is not a path of the registry.")).with_status(404))
}

/// Returns a page of the tags: at most `n` after `last` (OCI Distribution Specification, "Listing Tags").
fn tag_list(name: &str, mut tags: Vec<String>, query: &str) -> Result<Response<Body>, AwsError> {
    let parameter = |desired: &str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs
            .find(|(key, _)| key == desired)
            .map(|(_, value)| value.into_owned())
    };
    if let Some(last) = parameter("last") {
        tags.retain(|tag| *tag > last);
    }
    let mut next = None;
    if let Some(number) = parameter("n") {
        let invalid = |_| {
            AwsError::new(
                "PAGINATION_NUMBER_INVALID",
                format!("{number} is not a number of tags."),
            )
        };
        let number: usize = number.parse().map_err(invalid)?;
        if tags.len() > number {
            tags.truncate(number);
            let link = |last: &String| format!("</v2/{name}/tags/list?n={number}&last={last}>; rel=\"next\"");
            next = tags.last().map(link);
        }
    }
    let body = Body::from(json!({"name": name, "tags": tags}).to_string());
    let mut headers = vec![(CONTENT_TYPE, "application/json")];
    if let Some(next) = &next {
        headers.push((LINK, next));
    }
    Ok(build(200, &headers, body))
}

/// Checks that the repository exists, since ECR creates none at a push.
fn require_repository(cx: &Context, name: &str) -> Result<(), AwsError> {
    let found = model::repository(cx, name);
    found
        .map(|_| ())
        .map_err(|error| AwsError::new("NAME_UNKNOWN", error.message).with_status(404))
}

async fn manifests(
    cx: &Context,
    request: Request<Body>,
    name: &str,
    reference: &str,
) -> Result<Response<Body>, AwsError> {
    let unknown = || {
        AwsError::new(
            "MANIFEST_UNKNOWN",
            format!("Requested image not found: {name} {reference}"),
        )
    };
    match *request.method() {
        Method::GET | Method::HEAD => {
            let image = images::find(cx, name, reference)?.ok_or_else(|| unknown().with_status(404))?;
            let manifest = image.manifest(cx)?;
            let length = manifest.len().to_string();
            let headers = [
                (CONTENT_TYPE, &*image.media_type),
                (CONTENT_LENGTH, &*length),
                (DIGEST, &*image.digest),
            ];
            let body = if request.method() == Method::HEAD {
                Body::empty()
            } else {
                Body::from(manifest)
            };
            Ok(build(200, &headers, body))
        }
        Method::PUT => {
            let media_type = request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
            let media_type = media_type
                .unwrap_or("application/vnd.oci.image.manifest.v1+json")
                .to_owned();
            let bytes = axum::body::to_bytes(request.into_body(), MAX_MANIFEST_BYTES)
                .await
                .map_err(|_| {
                    AwsError::new(
                        "MANIFEST_INVALID",
                        "The manifest is larger than 4 MiB, or the connection was closed.",
                    )
                    .with_status(413)
                })?;
            let lock = cx.shared::<WriteLock>();
            let _guard = lock.lock();
            let image = images::push(cx, name, reference, &media_type, &bytes)?;
            let location = format!("/v2/{name}/manifests/{}", image.digest);
            Ok(build(
                201,
                &[(LOCATION, &location), (DIGEST, &image.digest)],
                Body::empty(),
            ))
        }
        Method::DELETE => {
            let image = images::find(cx, name, reference)?.ok_or_else(|| unknown().with_status(404))?;
            images::delete(cx, &image)?;
            Ok(build(202, &[], Body::empty()))
        }
        _ => Err(wrong_method()),
    }
}

async fn uploads(cx: &Context, request: Request<Body>, name: &str, upload: &str) -> Result<Response<Body>, AwsError> {
    let blobs = Blobs::of(cx);
    // Cloned, since a borrowed request cannot be held across an await.
    let uri = request.uri().clone();
    let query = |name: &str| {
        let query = uri.query().unwrap_or("").as_bytes();
        form_urlencoded::parse(query)
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    let digest = query("digest");
    if *request.method() == Method::POST && upload.is_empty() {
        if let Some(mounted) = query("mount").filter(|digest| blobs.size(digest).is_some()) {
            return Ok(created(name, &mounted));
        }
        let id = blobs.start_upload()?;
        let Some(digest) = digest else {
            return Ok(accepted(name, id, 0));
        };
        blobs.append(id, request.into_body()).await?;
        blobs.finish(id, &digest).await?;
        return Ok(created(name, &digest));
    }
    let unknown = || AwsError::new("BLOB_UPLOAD_UNKNOWN", "There is no such upload.").with_status(404);
    let id: Uuid = upload.parse().map_err(|_| unknown())?;
    let received = blobs.received(id).ok_or_else(unknown)?;
    match *request.method() {
        Method::GET => Ok(progress(204, name, id, received)),
        Method::PATCH => {
            let range = request
                .headers()
                .get(http::header::CONTENT_RANGE)
                .and_then(|v| v.to_str().ok());
            if range
                .and_then(|r| r.split('-').next()?.parse().ok())
                .is_some_and(|from: u64| from != received)
            {
                return Ok(progress(416, name, id, received));
            }
            let received = blobs.append(id, request.into_body()).await?;
            Ok(accepted(name, id, received))
        }
        Method::PUT => {
            let digest =
                digest.ok_or_else(|| AwsError::new("DIGEST_INVALID", "The digest of the upload is missing."))?;
            blobs.append(id, request.into_body()).await?;
            blobs.finish(id, &digest).await?;
            Ok(created(name, &digest))
        }
        Method::DELETE => {
            blobs.cancel(id);
            Ok(build(204, &[], Body::empty()))
        }
        _ => Err(wrong_method()),
    }
}

async fn blob(cx: &Context, request: Request<Body>, digest: &str) -> Result<Response<Body>, AwsError> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(wrong_method());
    }
    let blobs = Blobs::of(cx);
    let unknown = || AwsError::new("BLOB_UNKNOWN", format!("There is no blob {digest}.")).with_status(404);
    let (Some(_), Some(size)) = (hex_digits(digest), blobs.size(digest)) else {
        return Err(unknown());
    };
    let body = if request.method() == Method::HEAD {
        Body::empty()
    } else {
        let path = blobs.path(digest).ok_or_else(unknown)?;
        let file = tokio::fs::File::open(path).await.map_err(|_| unknown())?;
        Body::from_stream(ReaderStream::with_capacity(file, 64 << 10))
    };
    let size = size.to_string();
    let headers = [
        (CONTENT_TYPE, "application/octet-stream"),
        (CONTENT_LENGTH, &*size),
        (DIGEST, digest),
    ];
    Ok(build(200, &headers, body))
}

fn created(name: &str, digest: &str) -> Response<Body> {
    build(
        201,
        &[(LOCATION, &format!("/v2/{name}/blobs/{digest}")), (DIGEST, digest)],
        Body::empty(),
    )
}

fn accepted(name: &str, id: Uuid, received: u64) -> Response<Body> {
    progress(202, name, id, received)
}

/// Returns the location for the next chunk and the range that was received (`0-0` before the first byte).
fn progress(status: u16, name: &str, id: Uuid, received: u64) -> Response<Body> {
    let location = format!("/v2/{name}/blobs/uploads/{id}");
    let range = format!("0-{}", received.saturating_sub(1));
    let upload = id.to_string();
    let headers = [
        (LOCATION, &*location),
        (RANGE, &*range),
        (HeaderName::from_static("docker-upload-uuid"), &*upload),
    ];
    build(status, &headers, Body::empty())
}

fn wrong_method() -> AwsError {
    AwsError::new("UNSUPPORTED", "This path of the registry does not support the method.").with_status(405)
}

fn build(status: u16, headers: &[(HeaderName, &str)], body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
