//! Responses of endpoints that are not AWS, byte by byte, and the errors that they become.
//!
//! `moto-*` and `ministack-*` were recorded from moto 5.2.5 and ministack 1.5.33; `localstack-*` are written by the serializers of
//! localstack-core 2026.3.0 for `get_service_availability_exception` and for an exception in a provider; `fakecloud-*` is
//! fakecloud's `AwsServiceError`.

use super::Error;
use crate::testing::FakeAws;

macro_rules! recorded {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("recorded/", $name, ".http")).as_slice())),*]
    };
}

/// Responses to requests in the query protocol (CloudFormation), which expect XML.
const XML: [(&str, &[u8]); 9] = recorded![
    "fakecloud-not-implemented",
    "localstack-exception",
    "localstack-licence",
    "ministack-json-where-xml-is-due",
    "ministack-unknown-action",
    "ministack-unrecognized-types",
    "moto-page",
    "proxy-bad-gateway",
    "proxy-login-page",
];

/// Responses to requests in JSON (ECS).
const JSON: [(&str, &[u8]); 4] = recorded![
    "localstack-licence-json",
    "moto-nothing",
    "moto-page",
    "moto-xml-where-json-is-due"
];

#[tokio::test]
async fn every_response_that_is_not_an_aws_response_has_a_clear_error() {
    let mut lines = String::new();
    for (name, bytes) in XML {
        lines.push_str(&line(name, &query_error(bytes).await));
    }
    for (name, bytes) in JSON {
        lines.push_str(&line(name, &json_error(bytes).await));
    }
    insta::assert_snapshot!(lines);
}

#[tokio::test]
async fn a_broken_connection_and_a_gateway_without_its_backend_are_retryable() {
    let half = b"HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: 4000\r\n\r\n<DescribeStacksResponse>";
    let broken = query_error(half).await;
    assert!(
        matches!(broken, Error::NoResponse { .. }) && broken.is_retryable(),
        "{broken:?}"
    );
    let silent = query_error(b"").await;
    assert!(matches!(silent, Error::NoResponse { .. }), "{silent:?}");
    let gateway = query_error(XML[7].1).await;
    assert!(
        matches!(gateway, Error::InvalidResponse { status: 502, .. }) && gateway.is_retryable(),
        "{gateway:?}"
    );
    let crash = query_error(XML[6].1).await;
    assert!(
        matches!(crash, Error::InvalidResponse { status: 500, .. }) && !crash.is_retryable(),
        "a crash of the endpoint is not retried for minutes: {crash:?}"
    );
}

#[tokio::test]
async fn an_empty_response_is_an_error_in_xml_and_has_no_members_in_json() {
    let empty = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let error = query_error(empty).await;
    assert!(matches!(error, Error::InvalidResponse { status: 200, .. }), "{error:?}");
    let endpoint = FakeAws::start_raw(empty).await;
    let aws = endpoint.session().await;
    let response = aws.ecs.describe_services().services("app").send().await;
    assert!(response.expect("no members").services().is_empty());
}

fn line(name: &str, error: &Error) -> String {
    let kinds = [
        (error.is_unsupported(), "unsupported"),
        (error.is_license(), "license"),
        (error.is_unknown_type(), "unknown type"),
        (error.is_fault(), "fault"),
        (error.is_retryable(), "retryable"),
    ];
    let kinds: Vec<&str> = kinds.into_iter().filter(|(is, _)| *is).map(|(_, kind)| kind).collect();
    format!("{name} ({})\n    {error}\n", kinds.join(", "))
}

async fn query_error(bytes: &'static [u8]) -> Error {
    let endpoint = FakeAws::start_raw(bytes).await;
    let aws = endpoint.session().await;
    let request = aws.cloudformation.get_template().stack_name("shop-dev-app");
    Error::from(request.send().await.expect_err("an error"))
}

async fn json_error(bytes: &'static [u8]) -> Error {
    let endpoint = FakeAws::start_raw(bytes).await;
    let aws = endpoint.session().await;
    let request = aws.ecs.describe_services().services("app");
    Error::from(request.send().await.expect_err("an error"))
}
