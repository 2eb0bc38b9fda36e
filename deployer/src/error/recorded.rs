//! Answers as endpoints that are not AWS send them, byte by byte, and what a person is told of each.
//!
//! `moto-*` and `ministack-*` were recorded from moto 5.2.5 and ministack 1.5.33; `localstack-*` are what the
//! serializers of localstack-core 2026.3.0 write for `get_service_availability_exception` and for an exception in a
//! provider; `fakecloud-*` is what fakecloud's `AwsServiceError` becomes.

use clap::Parser;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::Error;
use crate::cli::Cli;
use crate::target::{Aws, Session};
use ui::Ui;

macro_rules! recorded {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("recorded/", $name, ".http")).as_slice())),*]
    };
}

/// To questions in the query protocol (CloudFormation), whose answers are XML.
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

/// To questions in JSON (ECS).
const JSON: [(&str, &[u8]); 4] = recorded![
    "localstack-licence-json",
    "moto-nothing",
    "moto-page",
    "moto-xml-where-json-is-due"
];

#[tokio::test]
async fn every_answer_that_is_none_is_told_in_words() {
    let mut told = String::new();
    for (name, bytes) in XML {
        told.push_str(&line(name, &asked_in_xml(bytes).await));
    }
    for (name, bytes) in JSON {
        told.push_str(&line(name, &asked_in_json(bytes).await));
    }
    insta::assert_snapshot!(told);
}

#[tokio::test]
async fn a_connection_that_breaks_off_or_says_nothing_is_asked_again() {
    let half = b"HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: 4000\r\n\r\n<DescribeStacksResponse>";
    let broken = asked_in_xml(half).await;
    assert!(
        matches!(&broken, Error::Aws { code, .. } if code.is_empty()),
        "{broken:?}"
    );
    assert!(broken.to_string().contains("connection ended"), "{broken}");
    let silent = asked_in_xml(b"").await;
    assert!(
        matches!(&silent, Error::Aws { code, .. } if code.is_empty()),
        "{silent:?}"
    );
    let gateway = asked_in_xml(XML[7].1).await;
    assert!(
        matches!(&gateway, Error::Aws { code, .. } if code.is_empty()),
        "{gateway:?}"
    );
    let page = asked_in_xml(XML[6].1).await;
    assert_eq!(page.code(), "Http500", "a crash is not asked again for minutes");
}

#[tokio::test]
async fn an_empty_answer_is_an_error_in_xml_and_says_nothing_in_json() {
    let empty = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let error = asked_in_xml(empty).await;
    assert_eq!(
        error.to_string(),
        "cloudformation GetTemplate: the endpoint answered HTTP 200 with nothing in it"
    );
    let answer = endpoint(empty)
        .await
        .ecs
        .describe_services()
        .services("app")
        .send()
        .await;
    assert!(
        answer.expect("no fields").services().is_empty(),
        "a service that is not told of is missing"
    );
}

fn line(name: &str, error: &Error) -> String {
    let hint = error
        .hint()
        .map(|hint| format!("\n    hint: {hint}"))
        .unwrap_or_default();
    format!("{name} (exit {})\n    {error}{hint}\n", error.exit_code())
}

async fn asked_in_xml(bytes: &'static [u8]) -> Error {
    let aws = endpoint(bytes).await;
    let answer = aws
        .cloudformation
        .get_template()
        .stack_name("shop-dev-app")
        .send()
        .await;
    Error::from(answer.expect_err("it is no answer"))
}

async fn asked_in_json(bytes: &'static [u8]) -> Error {
    let aws = endpoint(bytes).await;
    Error::from(
        aws.ecs
            .describe_services()
            .services("app")
            .send()
            .await
            .expect_err("it is no answer"),
    )
}

/// Clients of an endpoint that answers everything but its health with these bytes, and then closes the connection.
async fn endpoint(bytes: &'static [u8]) -> Aws {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, bytes));
        }
    });
    let cli = Cli::parse_from(["deployer", "--endpoint-url", &url, "status"]);
    let session = Session::new(cli.common, Ui::recording().0);
    session.connect().await.expect("its health")
}

async fn serve(mut stream: TcpStream, bytes: &[u8]) {
    let mut asked = Vec::new();
    while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut asked).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let healthy = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 38\r\n\r\n{\"services\":{},\"edition\":\"community\"}  ";
    let health = asked.starts_with(b"GET /_localstack/health");
    let _ = stream.write_all(if health { healthy } else { bytes }).await;
    // What was sent is read before the connection ends; else the kernel resets it.
    let _ = stream.shutdown().await;
    let _ = tokio::time::timeout(
        std::time::Duration::from_secs(1),
        tokio::io::copy(&mut stream, &mut tokio::io::sink()),
    )
    .await;
}
