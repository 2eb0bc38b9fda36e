//! CORS headers.

use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode};
use kit::Role;

use crate::support::{HIGH_RATE, TestApp, echo_service, start};

async fn app(origins: &str) -> TestApp {
    TestApp::with_origins(start(echo_service()).await, HIGH_RATE, origins)
}

/// Sends the preflight request and the actual request of a page of this origin.
async fn send_from_page(app: &TestApp, origin: &str) -> (HeaderMap, StatusCode, HeaderMap) {
    let preflight = Request::builder()
        .method(Method::OPTIONS)
        .uri("/api/patients")
        .header("origin", origin)
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "authorization,if-match");
    let (_, preflight, _) = app.send(preflight.body(Body::empty()).unwrap()).await;
    let actual = Request::get("/api/patients")
        .header("origin", origin)
        .header("authorization", format!("Bearer {}", app.tokens.token(Role::User)));
    let (status, actual, _) = app.send(actual.body(Body::empty()).unwrap()).await;
    (preflight, status, actual)
}

#[tokio::test]
async fn only_listed_origins_are_allowed() {
    let closed = app("").await;
    let open = app("https://clinic.example").await;
    for (app, origin) in [
        (&closed, "https://clinic.example"),
        (&open, "https://evil.example"),
        (&open, "https://clinic.example.evil.example"),
        (&open, "null"),
    ] {
        let (preflight, _, actual) = send_from_page(app, origin).await;
        assert!(
            !preflight.contains_key("access-control-allow-origin"),
            "{origin}: {preflight:?}"
        );
        assert!(
            !actual.contains_key("access-control-allow-origin"),
            "{origin}: {actual:?}"
        );
    }
    let (preflight, status, actual) = send_from_page(&open, "https://clinic.example").await;
    assert_eq!(preflight["access-control-allow-origin"], "https://clinic.example");
    assert!(
        preflight["access-control-allow-methods"]
            .to_str()
            .unwrap()
            .contains("PUT")
    );
    assert_eq!(status, StatusCode::OK);
    assert_eq!(actual["access-control-allow-origin"], "https://clinic.example");
    let exposed: Vec<&str> = actual["access-control-expose-headers"]
        .to_str()
        .unwrap()
        .split(',')
        .collect();
    for header in [
        "etag",
        "link",
        "location",
        "retry-after",
        "x-total-count",
        "x-total-count-relation",
    ] {
        assert!(exposed.contains(&header), "{header}: {exposed:?}");
    }
    assert!(!actual.contains_key("access-control-allow-credentials"));
    assert!(
        actual["vary"].to_str().unwrap().contains("origin"),
        "a cache must not mix origins up"
    );
}
