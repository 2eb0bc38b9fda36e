//! The gateway, and small services of the test's own behind it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api_gateway::body::Room;
use api_gateway::gateway::Gateway;
use api_gateway::peer::Peers;
use api_gateway::places::{Most, Places};
use api_gateway::rate::{Limiter, Rate};
use api_gateway::{router, upstream::Upstream};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use kit::testing::TestTokens;
use kit::{ServeArgs, Server};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::ServiceExt;

pub const ROOMY: Rate = Rate {
    per_second: 1000.0,
    burst: 1000.0,
};

/// A service that tells what it was sent.
pub async fn echo(request: Request) -> impl IntoResponse {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let headers: serde_json::Map<String, Value> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap())))
        .collect();
    let told = json!({ "method": parts.method.as_str(), "path": parts.uri.to_string(), "headers": headers, "length": body.len() });
    (
        [("server", "echo"), ("connection", "x-hop"), ("x-hop", "1")],
        axum::Json(told),
    )
}

pub async fn start(service: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

/// An address where nothing listens.
pub async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

pub struct Door {
    pub tokens: TestTokens,
    pub router: Router,
}

/// A gateway in front of one service, whichever is asked for.
pub fn gateway(tokens: &TestTokens, service: SocketAddr, rate: Rate) -> Gateway {
    let url = format!("http://{service}");
    let peers = Peers::new([("TEST_URL", url.as_str()); 5]).unwrap();
    Gateway {
        upstream: Upstream::new(peers, Duration::from_millis(700)),
        verifier: tokens.verifier(),
        limiter: Arc::new(Limiter::new(rate)),
        places: Places::new(Most { all: 16, each: 4 }),
        room: Room::new(4096),
        proxies: 1,
    }
}

/// The whole server around it.
pub fn server(gateway: Gateway, origins: &str) -> Server {
    let arguments = ServeArgs {
        host: [127, 0, 0, 1].into(),
        port: 0,
        shutdown_delay: 0,
        max_connections: 64,
    };
    Server::new("api-gateway", &arguments)
        .routes(router(gateway, &origins.parse().unwrap()))
        .custom_fallback()
        .management(([127, 0, 0, 1], 0).into())
}

pub async fn door(service: SocketAddr, rate: Rate) -> Door {
    let tokens = TestTokens::new();
    let router = server(gateway(&tokens, service, rate), "").routers().0;
    Door { tokens, router }
}

impl Door {
    pub async fn ask(&self, method: Method, path: &str, token: Option<&str>) -> (StatusCode, HeaderMap, Value) {
        let mut request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("x-forwarded-for", "203.0.113.9");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub async fn send(&self, request: http::Request<Body>) -> (StatusCode, HeaderMap, Value) {
        let response: Result<Response, Infallible> = self.router.clone().oneshot(request).await;
        let (parts, body) = response.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (
            parts.status,
            parts.headers,
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        )
    }
}
