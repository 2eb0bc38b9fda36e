//! Access to the routes, and the requests that services receive.

use std::convert::Infallible;

use api_gateway::rate_limit::Rate;
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use futures::FutureExt;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use kit::Role;
use kit::testing::TestTokens;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::{HIGH_RATE, TestApp, echo_service, start};

#[tokio::test]
async fn a_service_receives_no_first_segment_and_no_forged_headers() {
    let app = TestApp::echo().await;
    let token = app.tokens.token(Role::User);
    let request = http::Request::builder()
        .method(Method::POST)
        .uri("/api/patients?search=a%20b")
        .header("authorization", format!("Bearer {token}"))
        .header("x-forwarded-for", "10.1.1.1, 203.0.113.9")
        .header("x-forwarded-prefix", "/evil")
        .header("x-user-role", "ADMIN")
        .body(Body::from("{}"))
        .unwrap();
    let (status, headers, received) = app.send(request).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(received["method"], "POST");
    assert_eq!(received["path"], "/patients?search=a%20b");
    assert_eq!(received["length"], 2);
    assert_eq!(received["headers"]["x-forwarded-prefix"], "/api");
    assert_eq!(received["headers"]["x-forwarded-for"], "203.0.113.9");
    assert_eq!(received["headers"]["authorization"], format!("Bearer {token}"));
    assert_eq!(received["headers"]["x-user-role"], Value::Null);
    assert!(
        !headers.contains_key("server") && !headers.contains_key("x-hop"),
        "{headers:?}"
    );
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["cache-control"], "no-store");
}

#[tokio::test]
async fn access_depends_on_token_and_role() {
    let app = TestApp::echo().await;
    let (user, admin) = (app.tokens.token(Role::User), app.tokens.token(Role::Admin));
    let auditor = app.tokens.token(Role::Auditor);
    let foreign = TestTokens::new().token(Role::Admin);
    for (method, path, token, expected) in [
        (Method::GET, "/api/patients", None, 401),
        (Method::GET, "/api/patients", Some("not.a.token"), 401),
        (Method::GET, "/api/patients", Some(foreign.as_str()), 401),
        (Method::GET, "/api/patients", Some(&user), 200),
        (Method::DELETE, "/api/patients/1", Some(&user), 403),
        (Method::DELETE, "/api/patients/1", Some(&admin), 200),
        (Method::DELETE, "/api/families/1/members/2", Some(&user), 200),
        (Method::GET, "/api/billing/accounts", Some(&user), 403),
        (Method::GET, "/api/analytics/summary", Some(&admin), 200),
        (Method::GET, "/api/patients", Some(&auditor), 403),
        (Method::GET, "/api/patients/1", Some(&auditor), 403),
        (Method::GET, "/api/patients/1/history", Some(&auditor), 200),
        (Method::GET, "/api/patients/1/history", Some(&admin), 200),
        (Method::GET, "/api/patients/1/history", Some(&user), 403),
        (Method::GET, "/api/patients/1/export", Some(&auditor), 403),
        (Method::POST, "/api/families", Some(&auditor), 403),
        (Method::GET, "/api/notifications", Some(&auditor), 403),
        (Method::GET, "/api/audit", Some(&auditor), 200),
        (Method::GET, "/api/audit", Some(&admin), 403),
        (Method::GET, "/api/audit", None, 401),
        (Method::GET, "/fhir/metadata", None, 200),
        (Method::GET, "/fhir/Patient", None, 401),
        (Method::GET, "/fhir/Patient/1", Some(&user), 200),
        (Method::POST, "/fhir/Patient/_search", Some(&admin), 200),
        (Method::GET, "/fhir/Patient", Some(&auditor), 403),
        (Method::GET, "/fhir/AuditEvent", Some(&auditor), 200),
        (Method::GET, "/fhir/AuditEvent/1", Some(&admin), 403),
        (Method::GET, "/fhir/Observation", Some(&admin), 404),
        (Method::GET, "/auth/users", Some(&auditor), 403),
        (Method::GET, "/auth/sessions", Some(&auditor), 200),
        (Method::DELETE, "/auth/sessions/1", None, 401),
        (Method::PUT, "/auth/password", None, 401),
        (Method::POST, "/auth/password/reset-request", None, 200),
        (Method::POST, "/auth/password/reset", None, 200),
        (Method::GET, "/auth/revoked-sessions", Some(&admin), 404),
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
        let (status, headers, _) = app.request(method.clone(), path, token).await;
        assert_eq!(status, expected, "{method} {path}");
        if expected >= 400 {
            let errors = if path.starts_with("/fhir/") {
                "application/fhir+json"
            } else {
                "application/problem+json"
            };
            assert_eq!(headers["content-type"], errors, "{method} {path}");
        }
        assert_eq!(headers.contains_key("allow"), expected == 405, "{method} {path}");
        assert_eq!(
            headers.contains_key("www-authenticate"),
            expected == 401,
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn a_service_receives_the_whole_path_of_fhir_and_the_host_of_its_links() {
    let app = TestApp::echo().await;
    let token = app.tokens.token(Role::User);
    let request = http::Request::post("/fhir/Patient/_search?_count=5")
        .header("authorization", format!("Bearer {token}"))
        .header("host", "records.example.org")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("name=ada"))
        .unwrap();
    let (status, _, received) = app.send(request).await;
    assert_eq!(
        (status, &received["path"]),
        (StatusCode::OK, &json!("/fhir/Patient/_search?_count=5"))
    );
    assert_eq!(received["headers"]["x-forwarded-host"], "records.example.org");
    assert_eq!(received["headers"]["x-forwarded-prefix"], "");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_413_with_and_without_content_length() {
    let app = TestApp::echo().await;
    let token = app.tokens.token(Role::User);
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
        app.send(post(Body::from(vec![b'x'; 2 << 20]), Some(2 << 20))).await.0,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    assert_eq!(app.send(post(chunks(17), None)).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    let (status, _, received) = app.send(post(chunks(16), None)).await;
    assert_eq!((status, &received["length"]), (StatusCode::OK, &json!(1 << 20)));
}

#[tokio::test]
async fn too_many_requests_of_one_caller_are_429_and_other_callers_are_not_affected() {
    let rate = Rate {
        per_second: 0.01,
        burst: 2.0,
    };
    let app = TestApp::in_front_of(start(echo_service()).await, rate);
    let (greedy, modest) = (app.tokens.token(Role::User), app.tokens.token(Role::User));
    for _ in 0..2 {
        assert_eq!(
            app.request(Method::GET, "/api/patients", Some(&greedy)).await.0,
            StatusCode::OK
        );
    }
    let (status, headers, _) = app.request(Method::GET, "/api/patients", Some(&greedy)).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert!(headers.contains_key("retry-after"));
    assert_eq!(
        app.request(Method::GET, "/api/patients", Some(&modest)).await.0,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_slow_client_cannot_exhaust_the_concurrency_limit() {
    let app = TestApp::echo().await;
    let (slow, other) = (app.tokens.token(Role::User), app.tokens.token(Role::User));
    let endless = || {
        let request = http::Request::post("/api/patients").header("authorization", format!("Bearer {slow}"));
        let body = Body::from_stream(futures::stream::pending::<Result<bytes::Bytes, Infallible>>());
        Box::pin(app.send(request.body(body).unwrap()))
    };
    let mut in_flight: Vec<_> = (0..4).map(|_| endless()).collect();
    assert!(in_flight.iter_mut().all(|request| request.now_or_never().is_none()));
    let (status, headers, _) = app.request(Method::GET, "/api/patients", Some(&slow)).await;
    assert_eq!(
        (status, &headers["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &"1".parse().unwrap())
    );
    let (status, ..) = app.request(Method::GET, "/api/patients", Some(&other)).await;
    assert_eq!(status, StatusCode::OK);
    drop(in_flight);
    let (status, ..) = app.request(Method::GET, "/api/patients", Some(&slow)).await;
    assert_eq!(status, StatusCode::OK, "the permits are released");
}

#[tokio::test]
async fn documents_contain_the_public_prefix_and_swagger_ui_lists_them() {
    let document = || async { axum::Json(json!({ "openapi": "3.1.0", "paths": { "/login": {} } })) };
    let service = start(Router::new().route("/v3/api-docs", get(document))).await;
    let app = TestApp::in_front_of(service, HIGH_RATE);
    for (name, url) in [
        ("auth", "/auth"),
        ("patients", "/api"),
        ("billing", "/api"),
        ("analytics", "/api"),
        ("notifications", "/api"),
        ("audit", "/api"),
    ] {
        let (status, _, document) = app.request(Method::GET, &format!("/api-docs/{name}"), None).await;
        assert_eq!(
            (status, &document["servers"][0]["url"]),
            (StatusCode::OK, &json!(url)),
            "{name}"
        );
    }
    assert_eq!(
        app.request(Method::GET, "/api-docs/other", None).await.0,
        StatusCode::NOT_FOUND
    );

    let (status, headers, _) = app.request(Method::GET, "/docs", None).await;
    assert_eq!(
        (status, headers["location"].to_str().unwrap()),
        (StatusCode::PERMANENT_REDIRECT, "/docs/")
    );
    let (status, headers, _) = app.request(Method::GET, "/docs/", None).await;
    assert_eq!(
        (status, headers["content-type"].to_str().unwrap()),
        (StatusCode::OK, "text/html")
    );
    let page = app.router.clone().oneshot(
        http::Request::get("/docs/swagger-initializer.js")
            .body(Body::empty())
            .unwrap(),
    );
    let script = page.await.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&script).contains("/api-docs/notifications"));
}

#[tokio::test]
async fn the_files_of_swagger_ui_are_cacheable_and_count_against_the_rate_limit() {
    let rate = Rate {
        per_second: 0.01,
        burst: 2.0,
    };
    let app = TestApp::in_front_of(start(Router::new()).await, rate);
    for expected in [StatusCode::OK, StatusCode::OK, StatusCode::TOO_MANY_REQUESTS] {
        let (status, headers, _) = app.request(Method::GET, "/docs/swagger-ui-bundle.js", None).await;
        assert_eq!(status, expected);
        let cacheable = headers["cache-control"] == "public, max-age=3600";
        assert_eq!(cacheable, expected == StatusCode::OK, "{headers:?}");
    }
}

#[tokio::test]
async fn a_header_of_the_request_cannot_be_removed_by_naming_it_in_connection() {
    let app = TestApp::echo().await;
    let token = app.tokens.token(Role::User);
    for (option, expected) in [
        ("if-match", StatusCode::BAD_REQUEST),
        ("close, Idempotency-Key", StatusCode::BAD_REQUEST),
        ("authorization", StatusCode::BAD_REQUEST),
        ("x-own-hop", StatusCode::OK),
    ] {
        let request = http::Request::put("/api/patients/1")
            .header("authorization", format!("Bearer {token}"))
            .header("connection", option)
            .header("if-match", "\"1\"");
        let (status, ..) = app.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(status, expected, "{option}");
    }
}

#[tokio::test]
async fn an_unknown_method_is_405_with_the_methods_of_the_service() {
    let service = Router::new().route("/patients", get(|| async { "all" }).post(|| async { "created" }));
    let app = TestApp::in_front_of(start(service).await, HIGH_RATE);
    let token = app.tokens.token(Role::User);
    let burn = Method::from_bytes(b"BURN").unwrap();
    let (status, headers, _) = app.request(burn.clone(), "/api/patients", Some(&token)).await;
    assert_eq!(
        (status, headers["allow"].to_str().unwrap()),
        (StatusCode::METHOD_NOT_ALLOWED, "GET,HEAD,POST")
    );
    let (status, ..) = app.request(burn.clone(), "/api/patients/a/b", Some(&token)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(
        app.request(burn, "/api/patients", None).await.0,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn the_files_of_swagger_ui_are_compressed_for_clients_that_accept_gzip() {
    let app = TestApp::echo().await;
    let path = "/docs/swagger-ui-bundle.js";
    for (accepted, expected) in [("br, gzip;q=0.5", true), ("gzip;q=0", false), ("br", false)] {
        let request = http::Request::get(path).header("accept-encoding", accepted);
        let response = app
            .router
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(
            response.headers().contains_key("content-encoding"),
            expected,
            "{accepted}"
        );
        assert_eq!(response.headers()["vary"], "accept-encoding");
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(bytes.starts_with(&[0x1f, 0x8b, 8]), expected);
        assert_eq!(bytes.len() < 600_000, expected, "{} bytes", bytes.len());
    }
}
