//! Services that are down, slow, or break off.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api_gateway::upstream::repeatable;
use axum::Router;
use axum::body::Body;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use kit::Role;
use tokio::net::TcpListener;

use crate::support::{ROOMY, door, nowhere, start};

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
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(seen.swap(0, Ordering::SeqCst) > 2, "tried until the time is nearly up");
    // A key that no service looks at makes nothing safe.
    let keyed = |path: &str| {
        let request = http::Request::post(path).header("idempotency-key", "k");
        let request = request.header("authorization", format!("Bearer {token}"));
        door.send(request.body(Body::empty()).unwrap())
    };
    keyed("/auth/refresh").await;
    assert_eq!(seen.swap(0, Ordering::SeqCst), 1);
    keyed("/api/patients").await;
    assert!(seen.swap(0, Ordering::SeqCst) > 2);
}

#[tokio::test]
async fn a_service_that_comes_back_in_time_has_lost_no_request() {
    let address = nowhere().await;
    let door = door(address, ROOMY).await;
    let token = door.tokens.token(Role::Admin);
    // Nothing was sent to a port where nobody listens, so even a POST waits.
    let post = tokio::spawn(async move { door.ask(Method::POST, "/api/families", Some(&token)).await.0 });
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(!post.is_finished());
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(|| async { "back" })).await });
    assert_eq!(post.await.unwrap(), StatusCode::OK);
}

#[test]
fn only_what_says_the_same_twice_is_sent_twice() {
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
        assert_eq!(repeatable(&method, headers, true), expected, "{method} {headers:?}");
    }
}
