//! What browsers are told.

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use http::{HeaderMap, Method, Request, StatusCode};
use kit::Role;
use kit::testing::TestTokens;

use crate::support::{Door, ROOMY, echo, gateway, server, start};

async fn door(origins: &str) -> Door {
    let tokens = TestTokens::new();
    let service = start(Router::new().fallback(any(echo))).await;
    let router = server(gateway(&tokens, service, ROOMY), origins).routers().0;
    Door { tokens, router }
}

/// The preflight and the request itself, of a page of this origin.
async fn page(door: &Door, origin: &str) -> (HeaderMap, StatusCode, HeaderMap) {
    let asked = Request::builder()
        .method(Method::OPTIONS)
        .uri("/api/patients")
        .header("origin", origin)
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "authorization,if-match");
    let (_, asked, _) = door.send(asked.body(Body::empty()).unwrap()).await;
    let sent = Request::get("/api/patients")
        .header("origin", origin)
        .header("authorization", format!("Bearer {}", door.tokens.token(Role::User)));
    let (status, sent, _) = door.send(sent.body(Body::empty()).unwrap()).await;
    (asked, status, sent)
}

#[tokio::test]
async fn no_origin_is_let_in_unless_it_is_listed() {
    let closed = door("").await;
    let open = door("https://clinic.example").await;
    for (door, origin) in [
        (&closed, "https://clinic.example"),
        (&open, "https://evil.example"),
        (&open, "https://clinic.example.evil.example"),
        (&open, "null"),
    ] {
        let (asked, _, sent) = page(door, origin).await;
        assert!(
            !asked.contains_key("access-control-allow-origin"),
            "{origin}: {asked:?}"
        );
        assert!(!sent.contains_key("access-control-allow-origin"), "{origin}: {sent:?}");
    }
    let (asked, status, sent) = page(&open, "https://clinic.example").await;
    assert_eq!(asked["access-control-allow-origin"], "https://clinic.example");
    assert!(asked["access-control-allow-methods"].to_str().unwrap().contains("PUT"));
    assert_eq!(status, StatusCode::OK);
    assert_eq!(sent["access-control-allow-origin"], "https://clinic.example");
    let exposed: Vec<&str> = sent["access-control-expose-headers"]
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
    assert!(!sent.contains_key("access-control-allow-credentials"));
    assert!(
        sent["vary"].to_str().unwrap().contains("origin"),
        "no cache mixes origins up"
    );
}
