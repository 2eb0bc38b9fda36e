//! The services' OpenAPI documents, and Swagger UI.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use kit::Problem;
use serde_json::Value;
use utoipa::ToSchema;

use crate::admission::Rejection;
use crate::backend::Backend;
use crate::route::Access;
use crate::state::AppState;
use crate::upstream::Outgoing;
use crate::{forwarded_headers, swagger_ui};

/// The OpenAPI document of a service.
struct Document {
    name: &'static str,
    path: &'static str,
    backend: Backend,
    /// Public prefix of the service's paths.
    prefix: &'static str,
}

const DOCUMENTS: [Document; 6] = [
    Document {
        name: "patients",
        path: "/api-docs/patients",
        backend: Backend::Patient,
        prefix: "/api",
    },
    Document {
        name: "auth",
        path: "/api-docs/auth",
        backend: Backend::Auth,
        prefix: "/auth",
    },
    Document {
        name: "billing",
        path: "/api-docs/billing",
        backend: Backend::Billing,
        prefix: "/api",
    },
    Document {
        name: "analytics",
        path: "/api-docs/analytics",
        backend: Backend::Analytics,
        prefix: "/api",
    },
    Document {
        name: "notifications",
        path: "/api-docs/notifications",
        backend: Backend::Notification,
        prefix: "/api",
    },
    Document {
        name: "audit",
        path: "/api-docs/audit",
        backend: Backend::Audit,
        prefix: "/api",
    },
];

/// Names of [`DOCUMENTS`].
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema matters")]
enum Name {
    Patients,
    Auth,
    Billing,
    Analytics,
    Notifications,
    Audit,
}

/// Maximum size of a document, in bytes.
const MAX_DOCUMENT_BYTES: usize = 4 << 20;

/// Swagger UI uses inline styles and `data:` images; everything else comes from the gateway.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// Read the OpenAPI document of a service
///
/// As for a client of the gateway: its server is the public prefix of the service's paths.
#[utoipa::path(get, path = "/api-docs/{name}", operation_id = "readServiceDocument", tag = "Documents",
    params(("name" = inline(Name), Path, description = "Name of the document")),
    responses(
        (status = 200, description = "The document", body = Object, headers(("Cache-Control"))),
        (status = 404, description = "No such document", body = Problem),
        (status = 429, description = "Too many requests from this address", body = Problem),
        (status = 504, description = "The service took too long", body = Problem),
))]
pub async fn document(
    State(state): State<AppState>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Rejection> {
    let (parts, _) = request.into_parts();
    let caller = state.admit(&parts, Access::Public).await?;
    let Some(Document { backend, prefix, .. }) = DOCUMENTS.into_iter().find(|document| document.name == name) else {
        return Err(Problem::not_found("No such document").into());
    };
    let _permit = state.acquire_permit(caller)?;
    let outgoing = Outgoing {
        method: Method::GET,
        path: PathAndQuery::from_static("/v3/api-docs"),
        headers: forwarded_headers::to_service(HeaderMap::new(), prefix, state.client_address(&parts)),
        body: Bytes::default(),
        is_repeatable: true,
    };
    let mut document = parse(backend, state.upstream.send(backend, outgoing).await?).await?;
    kit::openapi::behind_gateway(&mut document, prefix);
    Ok(([(header::CACHE_CONTROL, "no-cache")], Json(document)).into_response())
}

async fn parse(backend: Backend, response: Response<Body>) -> Result<Value, Problem> {
    let unavailable = || {
        Problem::unavailable(format!(
            "{} did not return its document; try again in a moment",
            backend.name()
        ))
    };
    if response.status() != StatusCode::OK {
        return Err(unavailable());
    }
    let body = Limited::new(response.into_body(), MAX_DOCUMENT_BYTES)
        .collect()
        .await
        .map_err(|_| unavailable())?;
    let document: Value = serde_json::from_slice(&body.to_bytes()).map_err(|_| unavailable())?;
    if document.is_object() {
        Ok(document)
    } else {
        Err(unavailable())
    }
}

/// Open Swagger UI over all documents
///
/// The page itself is at `/docs/`, because the URLs of its files are relative.
#[utoipa::path(get, path = "/docs", operation_id = "findPage", tag = "Documents",
    responses((status = 308, description = "To /docs/", headers(("Location")))))]
pub async fn redirect() -> impl IntoResponse {
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, "/docs/")])
}

/// Returns the page of Swagger UI; its description is that of [`redirect`], because a documented path does not end in `/`.
pub async fn index(State(state): State<AppState>, request: Request) -> Result<Response, Rejection> {
    asset(State(state), Path("index.html".to_owned()), request).await
}

/// Read a file of Swagger UI
///
/// Scripts and styles are compressed for clients that accept gzip.
#[utoipa::path(get, path = "/docs/{file}", operation_id = "readPart", tag = "Documents",
    params(("file" = String, Path, description = "Name of the file", example = "swagger-ui.css")),
    responses(
        (status = 200, description = "A script, a style or an image", content(
            (String = "text/css"), (String = "text/javascript"), (String = "text/html"), (String = "image/png")),
            headers(("Cache-Control"))),
        (status = 404, description = "No such file", body = Problem),
        (status = 429, description = "Too many requests from this address", body = Problem),
))]
pub async fn asset(
    State(state): State<AppState>,
    Path(file): Path<String>,
    request: Request,
) -> Result<Response, Rejection> {
    // A file has up to 1.5 MB and needs no token, so the request counts against the rate limit.
    let (parts, _) = request.into_parts();
    state.admit(&parts, Access::Public).await?;
    let mut coding = HeaderMap::new();
    let (content_type, body) = match swagger_ui::asset(&file) {
        Some(asset) if accepts_gzip(&parts.headers) => {
            coding.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            (asset.content_type, Body::from(asset.gzip))
        }
        Some(asset) => (asset.content_type, Body::from(asset.bytes)),
        None if file == "swagger-initializer.js" => {
            let documents = DOCUMENTS.iter().map(|document| (document.name, document.path));
            ("text/javascript", Body::from(swagger_ui::initializer(documents)))
        }
        None => return Err(Problem::not_found("No such file").into()),
    };
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::CACHE_CONTROL, "public, max-age=3600"),
        (header::VARY, "accept-encoding"),
    ];
    Ok((headers, coding, body).into_response())
}

/// Returns true if the client names gzip, and not with the weight 0 (RFC 9110, 12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .filter_map(|entry| {
            let (coding, weight) = entry.split_once(';').unwrap_or((entry, "q=1"));
            coding.trim().eq_ignore_ascii_case("gzip").then_some(weight)
        })
        .any(|weight| {
            weight
                .trim()
                .to_ascii_lowercase()
                .strip_prefix("q=")
                .is_none_or(|q| q.parse() != Ok(0.0_f32))
        })
}
