//! Requests that are refused before their body is read: the answer arrives, and is never a 5xx.

use std::net::SocketAddr;
use std::time::Duration;

use api_gateway::AppState;
use axum::Router;
use axum::routing::post;
use http::StatusCode;
use http_body_util::BodyExt;
use kit::testing::{TestTokens, exposition};
use kit::{Json, Role, Server};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tower::ServiceExt;

use crate::support::{HIGH_RATE, TestApp, args, server, state, upstream};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Starts a server on a free port.
async fn run(server: Server) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(server.run_on(listener, std::future::pending()));
    address
}

/// Starts a service that refuses bodies that are not JSON, and knows one path.
async fn refusing_service() -> SocketAddr {
    let route = || post(|_: Json<Value>| async { "created" });
    let routes = Router::new().route("/patients", route()).route("/login", route());
    run(Server::new("patient-service", &args()).routes(routes)).await
}

/// Starts a service that answers 415 after the head, and closes the connection without reading on.
async fn closing_service() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 100];
                let _ = stream.read_exact(&mut head).await;
                let answer = b"HTTP/1.1 415 Unsupported Media Type\r\ncontent-length: 2\r\n\r\n{}";
                let _ = stream.write_all(answer).await;
            });
        }
    });
    address
}

/// Returns the state of a gateway that waits for a service as long as this machine needs.
fn patient_state(tokens: &TestTokens, service: SocketAddr) -> AppState {
    AppState {
        upstream: upstream(service, TIMEOUT),
        ..state(tokens, service, HIGH_RATE)
    }
}

/// Sends a whole request, and returns the status of the response and whether the connection was still usable after it.
async fn send(address: SocketAddr, line: &str, headers: &str, length: usize, chunked: bool) -> (String, bool) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut request = format!("{line} HTTP/1.1\r\nhost: a\r\n{headers}").into_bytes();
    let body = vec![b'x'; length];
    if chunked {
        request.extend(b"transfer-encoding: chunked\r\n\r\n");
        for chunk in body.chunks(10_000) {
            request.extend(format!("{:x}\r\n", chunk.len()).bytes());
            request.extend(chunk);
            request.extend(b"\r\n");
        }
        request.extend(b"0\r\n\r\n");
    } else {
        request.extend(format!("content-length: {length}\r\n\r\n").bytes());
        request.extend(body);
    }
    stream.write_all(&request).await.unwrap();
    let status = read_status(&mut stream).await;
    let again = b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n";
    let usable = stream.write_all(again).await.is_ok() && read_status(&mut stream).await == "200";
    (status, usable)
}

async fn read_status(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = async { while !bytes.ends_with(b"}") && stream.read_buf(&mut bytes).await.unwrap_or_default() > 0 {} };
    timeout(TIMEOUT, read).await.unwrap();
    String::from_utf8_lossy(bytes.get(9..12).unwrap_or_default()).into_owned()
}

#[tokio::test]
async fn the_refusals_of_gateway_and_service_arrive_and_the_connection_stays_usable() {
    let tokens = TestTokens::new();
    let gateway = run(server(patient_state(&tokens, refusing_service().await))).await;
    let token = format!("authorization: Bearer {}\r\n", tokens.token(Role::User));
    let json = "content-type: application/json\r\n";
    for round in 0..20 {
        let length = [16 << 10, 100_000, 500_000, 1 << 20][round % 4];
        let chunked = round % 3 == 0;
        for (line, headers, length, expected) in [
            (
                "POST /api/patients",
                format!("{token}content-type: text/plain\r\n"),
                length,
                "415",
            ),
            (
                "POST /api/patients",
                format!("{token}{json}content-encoding: gzip\r\n"),
                length,
                "415",
            ),
            ("POST /api/patients", json.to_owned(), length, "401"),
            ("POST /api/patients", format!("{token}{json}"), 3 << 20, "413"),
            ("POST /api/patients/a/b/c", format!("{token}{json}"), length, "404"),
            ("POST /api/nothing", format!("{token}{json}"), length, "404"),
            (
                "POST /auth/login",
                "content-type: text/plain\r\n".to_owned(),
                length,
                "415",
            ),
        ] {
            let seen = send(gateway, line, &headers, length, chunked).await;
            assert_eq!(seen, (expected.to_owned(), true), "{line} {headers} {length} {chunked}");
        }
    }
}

#[tokio::test]
async fn the_answer_of_a_service_that_closes_early_is_used_and_no_failure_is_counted() {
    let tokens = TestTokens::new();
    let (router, management) = server(patient_state(&tokens, closing_service().await)).routers();
    let app = TestApp {
        tokens,
        router,
        management: management.unwrap(),
    };
    api_gateway::describe_metrics();
    let token = app.tokens.token(Role::Admin);
    for round in 0..40 {
        let body = vec![b'x'; [16 << 10, 100_000, 500_000, 1 << 20][round % 4]];
        let request = http::Request::patch("/api/billing/accounts").header("authorization", format!("Bearer {token}"));
        let (status, ..) = app.send(request.body(body.into()).unwrap()).await;
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "round {round}");
    }
    let request = http::Request::get("/metrics").body(axum::body::Body::empty()).unwrap();
    let response = app.management.clone().oneshot(request).await.unwrap();
    let text = response.into_body().collect().await.unwrap().to_bytes();
    let samples = exposition::read(std::str::from_utf8(&text).unwrap()).unwrap();
    let failed = |sample: &exposition::Sample| {
        sample.name == "gateway_upstream_failures_total" && sample.labels["peer"] == "billing-service"
    };
    assert!(!samples.iter().any(failed));
}

#[tokio::test]
async fn a_malformed_chunk_is_400() {
    let tokens = TestTokens::new();
    let gateway = run(server(patient_state(&tokens, refusing_service().await))).await;
    for chunks in [
        "0x2\r\n{}\r\n0\r\n\r\n".to_owned(),
        "2\n{}\n0\n\n".to_owned(),
        "2\r\n{}XX0\r\n\r\n".to_owned(),
        format!("{}2\r\n{{}}\r\n0\r\n\r\n", "f".repeat(17)),
        format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(20_000)),
    ] {
        let mut stream = TcpStream::connect(gateway).await.unwrap();
        let head = "POST /auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(format!("{head}{chunks}").as_bytes()).await.unwrap();
        assert_eq!(read_status(&mut stream).await, "400", "{:?}", &chunks[..8]);
    }
}
