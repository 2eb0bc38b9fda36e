//! The gateway, and small test services behind it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api_gateway::backend::{Backend, Backends};
use api_gateway::body::BodyMemoryBudget;
use api_gateway::concurrency_limit::{ConcurrencyLimiter, ConcurrencyLimits};
use api_gateway::cors::AllowedOrigins;
use api_gateway::rate_limit::{Rate, RateLimiter};
use api_gateway::upstream::Upstream;
use api_gateway::{AppState, router};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use kit::testing::TestTokens;
use kit::{ServeArgs, Server};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::ServiceExt;

/// A rate that no test reaches.
pub const HIGH_RATE: Rate = Rate {
    per_second: 1000.0,
    burst: 1000.0,
};

/// A router for one test, and the tokens that it accepts.
pub struct TestApp {
    pub tokens: TestTokens,
    pub router: Router,
    /// The routes of `MANAGEMENT_PORT`.
    pub management: Router,
}

impl TestApp {
    /// Starts a gateway in front of the service at `address`, which is used for every route.
    pub fn in_front_of(address: SocketAddr, rate: Rate) -> Self {
        Self::with_origins(address, rate, "")
    }

    /// Starts a gateway in front of a service that returns the requests it receives.
    pub async fn echo() -> Self {
        Self::in_front_of(start(echo_service()).await, HIGH_RATE)
    }

    /// Starts a gateway that allows these origins.
    pub fn with_origins(address: SocketAddr, rate: Rate, origins: &str) -> Self {
        let tokens = TestTokens::new();
        let state = AppState {
            allowed_origins: origins.parse().unwrap(),
            ..state(&tokens, address, rate)
        };
        let (router, management) = server(state).routers();
        let management = management.unwrap();
        Self {
            tokens,
            router,
            management,
        }
    }

    pub async fn request(&self, method: Method, path: &str, token: Option<&str>) -> (StatusCode, HeaderMap, Value) {
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
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        (parts.status, parts.headers, body)
    }
}

/// Returns the state of a gateway that sends every request to the service at `address`.
pub fn state(tokens: &TestTokens, address: SocketAddr, rate: Rate) -> AppState {
    AppState {
        upstream: upstream(address, Duration::from_millis(700)),
        verifier: tokens.verifier(),
        rate_limiter: Arc::new(RateLimiter::new(rate)),
        concurrency: ConcurrencyLimiter::new(ConcurrencyLimits {
            total: 16,
            per_caller: 4,
        }),
        body_memory: BodyMemoryBudget::new(4096),
        trusted_proxies: 1,
        allowed_origins: AllowedOrigins::default(),
    }
}

/// Returns a client that sends every request to the service at `address`.
pub fn upstream(address: SocketAddr, timeout: Duration) -> Upstream {
    let url = format!("http://{address}");
    let backends = Backends::new([("TEST_URL", url.as_str()); Backend::ALL.len()]).unwrap();
    Upstream::new(backends, timeout)
}

/// Returns the settings of a server for one test.
pub fn args() -> ServeArgs {
    ServeArgs {
        host: [127, 0, 0, 1].into(),
        port: 0,
        shutdown_delay: 0,
        max_connections: 64,
    }
}

/// Returns the server as the binary builds it.
pub fn server(state: AppState) -> Server {
    Server::new("api-gateway", &args())
        .routes(router(state))
        .custom_fallback()
        .management(([127, 0, 0, 1], 0).into())
}

/// Returns a service whose responses describe the requests that it received.
pub fn echo_service() -> Router {
    Router::new().fallback(any(echo))
}

async fn echo(request: Request) -> impl IntoResponse {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let headers: serde_json::Map<String, Value> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap())))
        .collect();
    let received = json!({ "method": parts.method.as_str(), "path": parts.uri.to_string(), "headers": headers, "length": body.len() });
    (
        [("server", "echo"), ("connection", "x-hop"), ("x-hop", "1")],
        axum::Json(received),
    )
}

/// Serves a router on a free port.
pub async fn start(service: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

/// Returns an address on which nothing listens.
pub async fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}
