//! The export of a person from all services.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures::future::ready;
use futures::stream::{self, StreamExt};
use http::{Method, StatusCode, header};
use http_body_util::BodyExt;
use kit::{Problem, Role};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::sleep;
use tower::ServiceExt;

use crate::support::{HIGH_RATE, TestApp, start};

const ID: &str = "0198c0de-5afe-7abc-8def-0123456789ab";

/// Paths of the requests that the services received, oldest first.
type Received = Arc<Mutex<Vec<String>>>;

/// The answer of a service to a path; `None` for an object that has the path.
type Answer = fn(&str) -> Option<Response>;

/// Starts a gateway in front of services, and records the paths that they receive.
async fn gateway(answer: Answer) -> (TestApp, Received) {
    let received = Received::default();
    let seen = received.clone();
    let service = any(move |request: Request| {
        let (headers, path) = (request.headers(), request.uri().path().to_owned());
        assert!(headers.contains_key(header::AUTHORIZATION) && headers["x-forwarded-for"] == "203.0.113.9");
        seen.lock().push(path.clone());
        let object = || {
            (
                [(header::CONTENT_DISPOSITION, "attachment")],
                axum::Json(json!({"path": path})),
            )
                .into_response()
        };
        ready(answer(&path).unwrap_or_else(object))
    });
    let address = start(Router::new().fallback(service)).await;
    (TestApp::in_front_of(address, HIGH_RATE), received)
}

fn path() -> String {
    format!("/api/patients/{ID}/export")
}

#[tokio::test]
async fn the_document_of_patient_service_gets_the_parts_of_the_others() {
    let (app, received) = gateway(|_| None).await;
    let admin = app.tokens.token(Role::Admin);
    let (status, headers, export) = app.request(Method::GET, &path(), Some(&admin)).await;
    assert_eq!(status, StatusCode::OK);
    let at = |service: &str| json!({"path": format!("{service}/patients/{ID}/export")});
    let expected = json!({
        "path": format!("/patients/{ID}/export"),
        "billing": at("/billing"), "notifications": at("/notifications"), "analytics": at("/analytics"), "audit": at("/audit"),
    });
    assert_eq!(export, expected);
    assert_eq!(headers["content-disposition"], "attachment");
    assert_eq!(headers["content-type"], "application/json");
    let received = received.lock().clone();
    assert_eq!(received.len(), 5);
    assert_eq!(
        received[0],
        format!("/patients/{ID}/export"),
        "patient-service is the first"
    );
}

#[tokio::test]
async fn what_patient_service_refuses_is_requested_of_no_other_service() {
    let answers: [(u16, Answer); 3] = [
        (403, |_| Some(Problem::forbidden().into_response())),
        (404, |_| Some(Problem::not_found("Patient not found").into_response())),
        (503, |_| Some(Problem::unavailable("no record").into_response())),
    ];
    for (status, answer) in answers {
        let (app, received) = gateway(answer).await;
        let user = app.tokens.token(Role::User);
        let (found, _, _) = app.request(Method::GET, &path(), Some(&user)).await;
        assert_eq!((found.as_u16(), received.lock().len()), (status, 1));
    }
}

#[tokio::test]
async fn a_missing_part_is_an_error_that_names_its_service() {
    let (app, _) = gateway(|path| match path.split('/').nth(1) {
        Some("billing") => Some(Problem::internal("broken").into_response()),
        Some("audit") => Some(StatusCode::NOT_FOUND.into_response()),
        _ => None,
    })
    .await;
    let admin = app.tokens.token(Role::Admin);
    let (status, headers, problem) = app.request(Method::GET, &path(), Some(&admin)).await;
    assert_eq!(
        (status, headers.contains_key("retry-after")),
        (StatusCode::SERVICE_UNAVAILABLE, true)
    );
    let detail = problem["detail"].as_str().expect("a detail");
    let named = ["billing", "analytics", "notification", "audit", "patient"]
        .map(|name| detail.contains(&format!("{name}-service")));
    assert_eq!(named, [true, false, false, true, false], "{detail}");
}

#[tokio::test]
async fn a_part_that_breaks_off_breaks_the_response_off() {
    let (app, _) = gateway(|path| {
        let begin = stream::once(ready(Ok(Bytes::from_static(b"{\"records\":["))));
        // After the head has been sent; otherwise there would be no response.
        let end = stream::once(async {
            sleep(Duration::from_millis(100)).await;
            Err(std::io::Error::other("gone"))
        });
        let body = || Body::from_stream(begin.chain(end)).into_response();
        path.starts_with("/audit/").then(body)
    })
    .await;
    let request = http::Request::get(path())
        .header("x-forwarded-for", "203.0.113.9")
        .header("authorization", format!("Bearer {}", app.tokens.token(Role::Admin)));
    let request = request.body(Body::empty()).unwrap();
    let response = app.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.into_body().collect().await.is_err());
}

#[tokio::test]
async fn head_and_malformed_ids_are_requested_of_patient_service_alone() {
    let (app, received) = gateway(|_| None).await;
    let admin = app.tokens.token(Role::Admin);
    let (status, headers, body) = app.request(Method::HEAD, &path(), Some(&admin)).await;
    assert_eq!((status, body), (StatusCode::OK, Value::Null));
    assert!(!headers.contains_key("content-length"), "{headers:?}");
    app.request(Method::GET, "/api/patients/x/export", Some(&admin)).await;
    assert_eq!(received.lock().len(), 2);
}
