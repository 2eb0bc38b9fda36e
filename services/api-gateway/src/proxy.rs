//! Forwards a request to the service of its route.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use kit::Problem;

use crate::admission::Rejection;
use crate::route::{Access, Route, strip_prefix};
use crate::state::AppState;
use crate::upstream::{self, Outgoing};
use crate::{body, export, forwarded_headers};

/// Methods that are forwarded; the service decides which of them a route supports.
const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

/// Checks a request, reads its body, and forwards it to the service of its route.
///
/// # Errors
/// The problem of the first check that fails, or 503 or 504 if the service does not respond.
pub async fn forward(state: AppState, route: &'static Route, request: Request) -> Result<Response, Rejection> {
    let (parts, body) = request.into_parts();
    let caller = state
        .admit(&parts, route.access(&parts.method, parts.uri.path()))
        .await?;
    if let Some(name) = forwarded_headers::end_to_end_option(&parts.headers) {
        return Err(Problem::bad_request(format!("The Connection header cannot name {name}")).into());
    }
    let root = PathAndQuery::from_static("/");
    let path = strip_prefix(route.prefix(), parts.uri.path_and_query().unwrap_or(&root))?;
    let _permit = state.acquire_permit(caller)?;
    if !METHODS.contains(&parts.method) {
        return method_not_allowed(&state, route, &parts.method, path).await;
    }
    let (body, _memory) = body::read(&parts.headers, body, &state.body_memory).await?;
    let address = state.client_address(&parts);
    let headers = forwarded_headers::to_service(parts.headers, route.prefix(), address);
    let is_repeatable = upstream::is_repeatable(&parts.method, &headers, route.is_idempotent_post);
    let outgoing = Outgoing {
        method: parts.method,
        path,
        headers,
        body,
        is_repeatable,
    };
    let parts = export::Parts::of(&outgoing);
    let response = state.upstream.send(route.backend, outgoing).await?;
    match parts {
        Some(parts) if response.status() == StatusCode::OK => Ok(parts.add_to(response, &state.upstream).await?),
        _ => Ok(response),
    }
}

/// Answers a method that is not forwarded. The service knows which methods its route has: it answers OPTIONS with 405 and
/// the list, or with 404.
async fn method_not_allowed(
    state: &AppState,
    route: &'static Route,
    method: &Method,
    path: PathAndQuery,
) -> Result<Response, Rejection> {
    let mut allow = HeaderValue::try_from(METHODS.map(|method| method.to_string()).join(", ")).ok();
    if ![Method::TRACE, Method::CONNECT].contains(method) {
        let outgoing = Outgoing {
            method: Method::OPTIONS,
            path,
            headers: forwarded_headers::to_service(HeaderMap::new(), route.prefix(), None),
            body: Bytes::new(),
            is_repeatable: true,
        };
        let response = state.upstream.send(route.backend, outgoing).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(response);
        }
        allow = response.headers().get(header::ALLOW).cloned().or(allow);
    }
    let problem = Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "This route does not support this method",
    );
    let mut response = problem.into_response();
    response.headers_mut().extend(allow.map(|allow| (header::ALLOW, allow)));
    Ok(response)
}

/// Answers paths without a route: 404, and under `/api` 401 first, so that a caller without a token learns nothing about
/// which paths exist.
pub async fn not_found(State(state): State<AppState>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let path = parts.uri.path();
    let access = if path == "/api" || path.starts_with("/api/") {
        Access::AUTHENTICATED
    } else {
        Access::Public
    };
    match state.admit(&parts, access).await {
        Ok(_) => Problem::not_found("No such route").into_response(),
        Err(rejection) => rejection.into_response(),
    }
}
