//! The gateway in front of small services of the test's own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api_gateway::gateway::Gateway;
use api_gateway::peer::Peers;
use api_gateway::rate::{Limiter, Rate};
use api_gateway::{router, upstream::Upstream};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use kit::Role;
use kit::testing::TestTokens;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::ServiceExt;

const ROOMY: Rate = Rate {
    per_second: 1000.0,
    burst: 1000.0,
};

/// A service that tells what it was sent.
async fn echo(request: Request) -> impl IntoResponse {
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

async fn start(service: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

/// An address where nothing listens.
async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

struct Door {
    tokens: TestTokens,
    router: Router,
}

async fn door(service: SocketAddr, rate: Rate) -> Door {
    let tokens = TestTokens::new();
    let url = format!("http://{service}");
    let peers = Peers::new([("TEST_URL", url.as_str()); 5]).unwrap();
    let gateway = Gateway {
        upstream: Upstream::new(peers, Duration::from_millis(700)),
        verifier: tokens.verifier(),
        limiter: Arc::new(Limiter::new(rate)),
        places: Arc::new(Semaphore::new(16)),
        proxies: 1,
    };
    Door {
        tokens,
        router: router(gateway),
    }
}

impl Door {
    async fn ask(&self, method: Method, path: &str, token: Option<&str>) -> (StatusCode, HeaderMap, Value) {
        let mut request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("x-forwarded-for", "203.0.113.9");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn send(&self, request: http::Request<Body>) -> (StatusCode, HeaderMap, Value) {
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

#[tokio::test]
async fn a_request_arrives_without_its_first_segment_and_without_what_a_client_made_up() {
    let door = door(start(Router::new().fallback(any(echo))).await, ROOMY).await;
    let token = door.tokens.token(Role::User);
    let request = http::Request::builder()
        .method(Method::POST)
        .uri("/api/patients?search=a%20b")
        .header("authorization", format!("Bearer {token}"))
        .header("x-forwarded-for", "10.1.1.1, 203.0.113.9")
        .header("x-forwarded-prefix", "/evil")
        .header("x-user-role", "ADMIN")
        .body(Body::from("{}"))
        .unwrap();
    let (status, headers, told) = door.send(request).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(told["method"], "POST");
    assert_eq!(told["path"], "/patients?search=a%20b");
    assert_eq!(told["length"], 2);
    assert_eq!(told["headers"]["x-forwarded-prefix"], "/api");
    assert_eq!(told["headers"]["x-forwarded-for"], "203.0.113.9");
    assert_eq!(told["headers"]["authorization"], format!("Bearer {token}"));
    assert_eq!(told["headers"]["x-user-role"], Value::Null);
    assert!(
        !headers.contains_key("server") && !headers.contains_key("x-hop"),
        "{headers:?}"
    );
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["cache-control"], "no-store");
}

#[tokio::test]
async fn the_door_opens_by_token_and_role() {
    let door = door(start(Router::new().fallback(any(echo))).await, ROOMY).await;
    let (user, admin) = (door.tokens.token(Role::User), door.tokens.token(Role::Admin));
    let stranger = TestTokens::new().token(Role::Admin);
    for (method, path, token, expected) in [
        (Method::GET, "/api/patients", None, 401),
        (Method::GET, "/api/patients", Some("not.a.token"), 401),
        (Method::GET, "/api/patients", Some(stranger.as_str()), 401),
        (Method::GET, "/api/patients", Some(&user), 200),
        (Method::DELETE, "/api/patients/1", Some(&user), 403),
        (Method::DELETE, "/api/patients/1", Some(&admin), 200),
        (Method::DELETE, "/api/families/1/members/2", Some(&user), 200),
        (Method::GET, "/api/billing/accounts", Some(&user), 403),
        (Method::GET, "/api/analytics/summary", Some(&admin), 200),
        (Method::GET, "/auth/users", None, 401),
        (Method::GET, "/auth/users", Some(&user), 403),
        (Method::POST, "/auth/login", None, 200),
        (Method::GET, "/api/nothing-here", None, 401),
        (Method::GET, "/api/nothing-here", Some(&admin), 404),
        (Method::GET, "/auth/other", Some(&admin), 404),
        (Method::GET, "/metrics", None, 404),
        (Method::TRACE, "/api/patients", Some(&admin), 405),
        (Method::GET, "/api/patients/../billing/accounts", Some(&user), 400),
    ] {
        let (status, headers, _) = door.ask(method.clone(), path, token).await;
        assert_eq!(status, expected, "{method} {path}");
        if expected >= 400 {
            assert_eq!(headers["content-type"], "application/problem+json", "{method} {path}");
        }
        assert_eq!(
            headers.contains_key("www-authenticate"),
            expected == 401,
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn a_service_that_is_down_is_503_and_a_slow_one_504() {
    let down = door(nowhere().await, ROOMY).await;
    let token = down.tokens.token(Role::User);
    let (status, headers, problem) = down.ask(Method::POST, "/api/patients", Some(&token)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(headers.contains_key("retry-after"));
    assert_eq!(
        problem["detail"],
        "patient-service is not available; try again in a moment"
    );

    let service = Router::new().fallback(|| tokio::time::sleep(Duration::from_secs(60)));
    let slow = door(start(service).await, ROOMY).await;
    let token = slow.tokens.token(Role::User);
    let (status, ..) = slow.ask(Method::GET, "/api/patients", Some(&token)).await;
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test]
async fn a_broken_connection_is_tried_again_only_where_that_does_no_harm() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = seen.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // Takes the request, then hangs up on it.
            let mut request = [0; 4096];
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut request).await;
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    let door = door(address, ROOMY).await;
    let token = door.tokens.token(Role::Admin);
    let (status, ..) = door.ask(Method::POST, "/api/patients", Some(&token)).await;
    assert_eq!(
        (status, seen.swap(0, Ordering::SeqCst)),
        (StatusCode::SERVICE_UNAVAILABLE, 1)
    );
    let (status, ..) = door.ask(Method::GET, "/api/patients", Some(&token)).await;
    assert_eq!(
        (status, seen.load(Ordering::SeqCst)),
        (StatusCode::SERVICE_UNAVAILABLE, 3)
    );
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_413_whether_or_not_its_length_was_told() {
    let door = door(start(Router::new().fallback(any(echo))).await, ROOMY).await;
    let token = door.tokens.token(Role::User);
    let post = |body: Body, length: Option<usize>| {
        let mut request = http::Request::builder().method(Method::POST).uri("/api/patients");
        request = request.header("authorization", format!("Bearer {token}"));
        if let Some(length) = length {
            request = request.header("content-length", length);
        }
        request.body(body).unwrap()
    };
    let chunks = |count: usize| {
        Body::from_stream(futures::stream::iter(
            std::iter::repeat_with(|| Ok::<_, Infallible>(bytes::Bytes::from(vec![b'x'; 1 << 16]))).take(count),
        ))
    };
    assert_eq!(
        door.send(post(Body::from(vec![b'x'; 2 << 20]), Some(2 << 20))).await.0,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    assert_eq!(door.send(post(chunks(17), None)).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    let (status, _, told) = door.send(post(chunks(16), None)).await;
    assert_eq!((status, &told["length"]), (StatusCode::OK, &json!(1 << 20)));
}

#[tokio::test]
async fn too_many_requests_of_one_caller_are_429_and_others_go_on() {
    let service = start(Router::new().fallback(any(echo))).await;
    let door = door(
        service,
        Rate {
            per_second: 0.01,
            burst: 2.0,
        },
    )
    .await;
    let (greedy, modest) = (door.tokens.token(Role::User), door.tokens.token(Role::User));
    for _ in 0..2 {
        assert_eq!(
            door.ask(Method::GET, "/api/patients", Some(&greedy)).await.0,
            StatusCode::OK
        );
    }
    let (status, headers, _) = door.ask(Method::GET, "/api/patients", Some(&greedy)).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert!(headers.contains_key("retry-after"));
    assert_eq!(
        door.ask(Method::GET, "/api/patients", Some(&modest)).await.0,
        StatusCode::OK
    );
}

#[tokio::test]
async fn documents_tell_the_public_address_and_the_page_shows_them() {
    let document = || async { axum::Json(json!({ "openapi": "3.1.0", "paths": { "/login": {} } })) };
    let door = door(start(Router::new().route("/v3/api-docs", get(document))).await, ROOMY).await;
    for (name, url) in [
        ("auth", "/auth"),
        ("patients", "/api"),
        ("billing", "/api"),
        ("analytics", "/api"),
        ("notifications", "/api"),
    ] {
        let (status, _, shown) = door.ask(Method::GET, &format!("/api-docs/{name}"), None).await;
        assert_eq!(
            (status, &shown["servers"][0]["url"]),
            (StatusCode::OK, &json!(url)),
            "{name}"
        );
    }
    assert_eq!(
        door.ask(Method::GET, "/api-docs/other", None).await.0,
        StatusCode::NOT_FOUND
    );

    let (status, headers, _) = door.ask(Method::GET, "/docs", None).await;
    assert_eq!(
        (status, headers["location"].to_str().unwrap()),
        (StatusCode::PERMANENT_REDIRECT, "/docs/")
    );
    let (status, headers, _) = door.ask(Method::GET, "/docs/", None).await;
    assert_eq!(
        (status, headers["content-type"].to_str().unwrap()),
        (StatusCode::OK, "text/html")
    );
    let page = door.router.clone().oneshot(
        http::Request::get("/docs/swagger-initializer.js")
            .body(Body::empty())
            .unwrap(),
    );
    let script = page.await.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&script).contains("/api-docs/notifications"));
}
