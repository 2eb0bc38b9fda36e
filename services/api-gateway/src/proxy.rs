//! The way of a request: checked, read, sent on.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::uri::PathAndQuery;
use http::{Method, StatusCode, header};
use kit::Problem;

use crate::gateway::{Gateway, Refusal};
use crate::route::{Route, Who, stripped};
use crate::upstream::{self, Outgoing};
use crate::{body, forwarded};

/// Methods that are sent on; the service decides which of them a route takes.
const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

/// Sends a request on to the service of its route.
pub async fn forward(gateway: Gateway, route: &'static Route, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    if !METHODS.contains(&parts.method) {
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "This route does not take this method");
        return Ok((
            [(header::ALLOW, METHODS.map(|method| method.to_string()).join(", "))],
            problem,
        )
            .into_response());
    }
    let caller = gateway.admit(&parts, route.who(&parts.method)).await?;
    let root = PathAndQuery::from_static("/");
    let path = stripped(route.prefix(), parts.uri.path_and_query().unwrap_or(&root))?;
    let _place = gateway.place(caller)?;
    let (body, _room) = body::read(&parts.headers, body, &gateway.room).await?;
    let address = gateway.client(&parts);
    let headers = forwarded::to_service(parts.headers, route.prefix(), address);
    let repeatable = upstream::repeatable(&parts.method, &headers, route.keyed);
    let outgoing = Outgoing {
        method: parts.method,
        path,
        headers,
        body,
        repeatable,
    };
    Ok(gateway.upstream.send(route.peer, outgoing).await?)
}

/// Answers what no route takes: 404, and under `/api` 401 first, so that a stranger learns nothing of what is there.
pub async fn nowhere(State(gateway): State<Gateway>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let path = parts.uri.path();
    let who = if path == "/api" || path.starts_with("/api/") {
        Who::Users
    } else {
        Who::Anyone
    };
    match gateway.admit(&parts, who).await {
        Ok(_) => Problem::not_found("No such route").into_response(),
        Err(refusal) => refusal.into_response(),
    }
}
