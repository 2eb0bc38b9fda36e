//! Tests of the HTTP interface: protocols, and the requests that are rejected.

use axum::Router;
use axum::body::{Body, to_bytes};
use embedded_endpoint::{Config, server};
use http::{Request, StatusCode};
use tempfile::TempDir;
use tower::ServiceExt;

fn endpoint() -> (Router, TempDir) {
    embedded_endpoint::wire::panic_at_unknown_members();
    let folder = tempfile::tempdir().unwrap();
    let state_dir = folder.path().join("state");
    let config = Config {
        port: 0,
        state_dir,
        loopback_octet: 78,
        region: "us-east-1".into(),
        broker: None,
        behavior: embedded_endpoint::Behavior::default(),
    };
    (server::router(server::assemble(config).unwrap()), folder)
}

async fn send(router: &Router, request: Request<Body>) -> (StatusCode, String) {
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8_lossy(&body).into_owned())
}

fn query(body: &'static str) -> Request<Body> {
    Request::post("/")
        .header("host", "localhost:4566")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(body))
        .unwrap()
}

#[tokio::test]
async fn a_query_error_is_xml_with_code_and_message() {
    let (router, _folder) = endpoint();
    let (status, body) = send(
        &router,
        query("Action=DescribeStacks&Version=2010-05-15&StackName=nope"),
    )
    .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        body.contains("<Code>ValidationError</Code><Message>Stack with id nope does not exist</Message>"),
        "{body}"
    );
}

#[tokio::test]
async fn an_unknown_operation_is_named() {
    let (router, _folder) = endpoint();
    let (status, body) = send(&router, query("Action=CreateStackSet&Version=2010-05-15")).await;
    assert_eq!(status, StatusCode::NOT_IMPLEMENTED);
    assert!(body.contains("cloudformation:CreateStackSet"), "{body}");
}

#[tokio::test]
async fn json_responses_have_the_content_type_of_the_request() {
    let (router, _folder) = endpoint();
    let request = Request::post("/")
        .header("host", "127.0.0.1:4566")
        .header("x-amz-target", "Logs_20140328.DescribeLogGroups")
        .header("content-type", "application/x-amz-json-1.1")
        .body(Body::from("{}"))
        .unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/x-amz-json-1.1");
    assert!(response.headers().contains_key("x-amzn-requestid"));
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn requests_of_web_pages_and_for_foreign_hosts_are_rejected() {
    let (router, _folder) = endpoint();
    let with = |name: &str, value: &str| Request::get("/_localstack/health").header(name, value);
    let page = with("host", "localhost:4566")
        .header("origin", "http://localhost:4566")
        .body(Body::empty())
        .unwrap();
    assert_eq!(send(&router, page).await.0, StatusCode::FORBIDDEN);
    let rebound = with("host", "attacker.example").body(Body::empty()).unwrap();
    assert_eq!(send(&router, rebound).await.0, StatusCode::FORBIDDEN);
    let local = with("host", "localhost:4566").body(Body::empty()).unwrap();
    let (status, body) = send(&router, local).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("\"edition\":\"embedded\""), "{body}");
}
