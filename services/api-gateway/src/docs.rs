//! The services' OpenAPI documents, and Swagger UI over them.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use kit::Problem;
use serde_json::Value;
use utoipa::{OpenApi, ToSchema};

use crate::forwarded;
use crate::gateway::{Gateway, Refusal};
use crate::page;
use crate::peer::Peer;
use crate::route::Who;
use crate::upstream::Outgoing;

/// A document that is shown.
struct Document {
    name: &'static str,
    path: &'static str,
    peer: Peer,
    /// Where the gateway shows the service.
    prefix: &'static str,
}

const DOCUMENTS: [Document; 5] = [
    Document {
        name: "patients",
        path: "/api-docs/patients",
        peer: Peer::Patient,
        prefix: "/api",
    },
    Document {
        name: "auth",
        path: "/api-docs/auth",
        peer: Peer::Auth,
        prefix: "/auth",
    },
    Document {
        name: "billing",
        path: "/api-docs/billing",
        peer: Peer::Billing,
        prefix: "/api",
    },
    Document {
        name: "analytics",
        path: "/api-docs/analytics",
        peer: Peer::Analytics,
        prefix: "/api",
    },
    Document {
        name: "notifications",
        path: "/api-docs/notifications",
        peer: Peer::Notification,
        prefix: "/api",
    },
];

/// The names of [`DOCUMENTS`].
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema matters")]
enum Name {
    Patients,
    Auth,
    Billing,
    Analytics,
    Notifications,
}

/// The largest document that is read.
const LIMIT: usize = 4 << 20;

/// Swagger UI has styles in its markup, and images in its styles; all else is from here.
const POLICY: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// The gateway's own document: what is not the services'.
#[derive(OpenApi)]
#[openapi(
    info(title = "Gateway", description = "The only public door; what it answers by itself."),
    tags((name = "Documents", description = "What the services behind it take and give.")),
    paths(document, redirect, index, asset)
)]
pub struct ApiDoc;

/// Read the OpenAPI document of a service
///
/// As the client of the gateway sees it: its server is the prefix under which the gateway shows the service.
#[utoipa::path(get, path = "/api-docs/{name}", operation_id = "readServiceDocument", tag = "Documents",
    params(("name" = inline(Name), Path, description = "Whose document")),
    responses(
        (status = 200, description = "The document", body = Object, headers(("Cache-Control"))),
        (status = 404, description = "No such document", body = Problem),
        (status = 429, description = "Too many requests from this address", body = Problem),
        (status = 504, description = "The service took too long", body = Problem),
))]
pub async fn document(
    State(gateway): State<Gateway>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let (parts, _) = request.into_parts();
    let caller = gateway.admit(&parts, Who::Anyone).await?;
    let Some(Document { peer, prefix, .. }) = DOCUMENTS.into_iter().find(|document| document.name == name) else {
        return Err(Problem::not_found("No such document").into());
    };
    let _place = gateway.place(caller)?;
    let outgoing = Outgoing {
        method: Method::GET,
        path: PathAndQuery::from_static("/v3/api-docs"),
        headers: forwarded::to_service(HeaderMap::new(), prefix, gateway.client(&parts)),
        body: Default::default(),
        repeatable: true,
    };
    let mut document = parsed(peer, gateway.upstream.send(peer, outgoing).await?).await?;
    kit::openapi::behind_gateway(&mut document, prefix);
    Ok(([(header::CACHE_CONTROL, "no-cache")], Json(document)).into_response())
}

async fn parsed(peer: Peer, response: Response<Body>) -> Result<Value, Problem> {
    let fault = || {
        Problem::unavailable(format!(
            "{} does not show its document; try again in a moment",
            peer.name()
        ))
    };
    if response.status() != StatusCode::OK {
        return Err(fault());
    }
    let body = Limited::new(response.into_body(), LIMIT)
        .collect()
        .await
        .map_err(|_| fault())?;
    let document: Value = serde_json::from_slice(&body.to_bytes()).map_err(|_| fault())?;
    if document.is_object() {
        Ok(document)
    } else {
        Err(fault())
    }
}

/// Go to Swagger UI
///
/// The page itself is at `/docs/`, since its parts are relative to it.
#[utoipa::path(get, path = "/docs", operation_id = "findPage", tag = "Documents",
    responses((status = 308, description = "To /docs/", headers(("Location")))))]
pub async fn redirect() -> impl IntoResponse {
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, "/docs/")])
}

/// Open Swagger UI over all documents
#[utoipa::path(get, path = "/docs/", operation_id = "readPage", tag = "Documents",
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html", headers(("Cache-Control"))),
        (status = 429, description = "Too many requests from this address", body = Problem),
))]
pub async fn index(State(gateway): State<Gateway>, request: Request) -> Result<Response, Refusal> {
    asset(State(gateway), Path("index.html".to_owned()), request).await
}

/// Read a part of the page
#[utoipa::path(get, path = "/docs/{file}", operation_id = "readPart", tag = "Documents",
    params(("file" = String, Path, description = "The name of the part", example = "swagger-ui.css")),
    responses(
        (status = 200, description = "A script, a style or an image", content(
            (String = "text/css"), (String = "text/javascript"), (String = "text/html"), (String = "image/png")),
            headers(("Cache-Control"))),
        (status = 404, description = "No such page", body = Problem),
        (status = 429, description = "Too many requests from this address", body = Problem),
))]
pub async fn asset(
    State(gateway): State<Gateway>,
    Path(file): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    // A part has up to a megabyte and a half, for whoever asks.
    gateway.admit(&request.into_parts().0, Who::Anyone).await?;
    let (content_type, body) = match page::part(&file) {
        Some(part) => (part.content_type, Body::from(part.bytes)),
        None if file == "swagger-initializer.js" => {
            let documents = DOCUMENTS.iter().map(|document| (document.name, document.path));
            ("text/javascript", Body::from(page::initializer(documents)))
        }
        None => return Err(Problem::not_found("No such page").into()),
    };
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    Ok((headers, body).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_complete() {
        assert_eq!(kit::testing::document_faults(&ApiDoc::openapi()), Vec::<String>::new());
    }
}
