//! Services that are down, slow, or close the connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api_gateway::upstream::is_repeatable;
use axum::Router;
use axum::body::Body;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use kit::Role;
use kit::testing::{exposition, wait_until};
use tokio::net::TcpListener;
use tower::ServiceExt;

use crate::support::{HIGH_RATE, TestApp, closed_port, start};

#[tokio::test]
async fn a_service_that_is_down_is_503_and_a_slow_one_504() {
    let down = TestApp::in_front_of(closed_port().await, HIGH_RATE);
    let token = down.tokens.token(Role::User);
    let (status, headers, problem) = down.request(Method::POST, "/api/patients", Some(&token)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(headers.contains_key("retry-after"));
    assert_eq!(
        problem["detail"],
        "patient-service is not available; try again in a moment"
    );

    let service = Router::new().fallback(|| tokio::time::sleep(Duration::from_mins(1)));
    let slow = TestApp::in_front_of(start(service).await, HIGH_RATE);
    let token = slow.tokens.token(Role::User);
    let (status, ..) = slow.request(Method::GET, "/api/patients", Some(&token)).await;
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test]
async fn a_broken_connection_is_retried_only_where_that_is_harmless() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let received = Arc::new(AtomicUsize::new(0));
    let counter = received.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // Reads the request, then closes the connection.
            let mut request = [0; 4096];
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut request).await;
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    let app = TestApp::in_front_of(address, HIGH_RATE);
    let token = app.tokens.token(Role::Admin);
    let (status, ..) = app.request(Method::POST, "/api/patients", Some(&token)).await;
    assert_eq!(
        (status, received.swap(0, Ordering::SeqCst)),
        (StatusCode::SERVICE_UNAVAILABLE, 1)
    );
    let (status, ..) = app.request(Method::GET, "/api/patients", Some(&token)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        received.swap(0, Ordering::SeqCst) > 2,
        "retried until the deadline is close"
    );
    // A key that the service does not support makes no retry safe.
    let keyed = |path: &str| {
        let request = http::Request::post(path).header("idempotency-key", "k");
        let request = request.header("authorization", format!("Bearer {token}"));
        app.send(request.body(Body::empty()).unwrap())
    };
    keyed("/auth/refresh").await;
    assert_eq!(received.swap(0, Ordering::SeqCst), 1);
    keyed("/api/patients").await;
    assert!(received.swap(0, Ordering::SeqCst) > 2);
}

#[tokio::test]
async fn a_service_that_restarts_in_time_loses_no_request() {
    api_gateway::describe_metrics();
    let address = closed_port().await;
    let app = TestApp::in_front_of(address, HIGH_RATE);
    let token = app.tokens.token(Role::Admin);
    let metrics = app.management.clone();
    // Nothing is sent to a closed port, so even a POST is retried.
    let post = tokio::spawn(async move { app.request(Method::POST, "/auth/users", Some(&token)).await.0 });
    wait_until("a failed attempt", Duration::from_secs(10), async || {
        failed_attempts(&metrics, "auth-service").await > 0
    })
    .await;
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(|| async { "ok" })).await });
    assert_eq!(post.await.unwrap(), StatusCode::OK);
}

/// Returns the number of attempts without a connection; the metrics are those of all tests in this process.
async fn failed_attempts(management: &Router, peer: &str) -> usize {
    let request = http::Request::get("/metrics").body(Body::empty()).unwrap();
    let response = management.clone().oneshot(request).await.unwrap();
    let text = response.into_body().collect().await.unwrap().to_bytes();
    let samples = exposition::read(std::str::from_utf8(&text).unwrap()).unwrap();
    samples
        .iter()
        .filter(|sample| sample.name == "gateway_upstream_requests_total")
        .filter(|sample| sample.labels["peer"] == peer && sample.labels["outcome"] == "unreachable")
        .count()
}

#[test]
fn only_requests_with_the_same_effect_twice_are_repeatable() {
    let none = HeaderMap::new();
    let matching = HeaderMap::from_iter([(http::header::IF_MATCH, HeaderValue::from_static("\"1\""))]);
    for (method, headers, expected) in [
        (Method::GET, &none, true),
        (Method::PUT, &none, true),
        (Method::PUT, &matching, false),
        (Method::DELETE, &none, false),
        (Method::PATCH, &none, false),
        (Method::POST, &none, false),
    ] {
        assert_eq!(is_repeatable(&method, headers, true), expected, "{method} {headers:?}");
    }
}
