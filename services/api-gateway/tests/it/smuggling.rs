//! Request smuggling: requests that two servers could interpret differently, as raw bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kit::Role;
use kit::testing::TestTokens;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::support::{HIGH_RATE, server, state};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Starts a service that records all bytes that it receives, and responds with 200.
async fn recorder() -> (SocketAddr, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let received = Arc::new(Mutex::new(String::new()));
    let recorded = received.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let recorded = recorded.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 65536];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    recorded.lock().push_str(&String::from_utf8_lossy(&buffer[..count]));
                    let response = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    if stream.write_all(response).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    (address, received)
}

/// Sends bytes to a gateway; returns the bytes that the client reads until the gateway closes, and those that the service
/// receives.
async fn send(bytes: &str) -> (String, String) {
    let (service, received) = recorder().await;
    let tokens = TestTokens::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let running = server(state(&tokens, service, HIGH_RATE)).run_on(listener, std::future::pending());
    let running = tokio::spawn(running);
    let mut stream = TcpStream::connect(address).await.unwrap();
    let bytes = bytes.replace("TOKEN", &tokens.token(Role::User));
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    let _ = timeout(TIMEOUT, stream.read_to_end(&mut response))
        .await
        .expect("the gateway closes the connection in time");
    running.abort();
    let received = received.lock().clone();
    (String::from_utf8_lossy(&response).into_owned(), received)
}

/// Returns the number of requests that the service received.
fn requests(received: &str) -> usize {
    received.matches(" HTTP/1.1\r\n").count()
}

const HEAD: &str = "host: a\r\nauthorization: Bearer TOKEN\r\n";

#[tokio::test]
async fn a_malformed_request_is_rejected_and_reaches_no_service() {
    let post = |rest: &str| format!("POST /api/patients HTTP/1.1\r\n{HEAD}{rest}");
    for (name, request, expected) in [
        (
            "two lengths",
            post("content-length: 2\r\ncontent-length: 40\r\n\r\n{}"),
            "400",
        ),
        ("a length with a sign", post("content-length: +2\r\n\r\n{}"), "400"),
        (
            "an unknown coding",
            post("transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
            "400",
        ),
        (
            "a disguised coding",
            post("transfer-encoding: xchunked\r\n\r\n0\r\n\r\n"),
            "400",
        ),
        (
            "a space before the colon",
            post("transfer-encoding : chunked\r\n\r\n0\r\n\r\n"),
            "400",
        ),
        ("a folded header", post("x-a: 1\r\n GET /evil HTTP/1.1\r\n\r\n"), "400"),
        (
            "a chunk with a wrong size",
            post("transfer-encoding: chunked\r\n\r\nfz\r\n"),
            "400",
        ),
        (
            "a coding in HTTP/1.0",
            format!("POST /api/patients HTTP/1.0\r\n{HEAD}transfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
            "400",
        ),
        (
            "TRACE",
            format!("TRACE /api/patients HTTP/1.1\r\n{HEAD}connection: close\r\n\r\n"),
            "405",
        ),
        (
            "a tunnel",
            format!("CONNECT patient-service:4000 HTTP/1.1\r\n{HEAD}connection: close\r\n\r\n"),
            "404",
        ),
        (
            "another host in the request line",
            format!("GET http://169.254.169.254/latest HTTP/1.1\r\n{HEAD}connection: close\r\n\r\n"),
            "404",
        ),
        (
            "HTTP/2 with prior knowledge",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".into(),
            "",
        ),
    ] {
        let (response, received) = send(&request).await;
        let status = response
            .strip_prefix("HTTP/1.1 ")
            .or(response.strip_prefix("HTTP/1.0 "));
        let status = status.and_then(|rest| rest.get(..3)).unwrap_or_default();
        assert_eq!(status, expected, "{name}: {response}");
        assert_eq!(received, "", "{name} was forwarded");
    }
}

#[tokio::test]
async fn an_upgrade_is_answered_with_http_1_1_and_not_forwarded() {
    for upgrade in [
        "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n",
        "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n",
    ] {
        // A proxy that accepts the upgrade would tunnel these bytes to the service.
        let tunnelled = "\0\x01SMUGGLED\r\n\r\n";
        let request = format!("GET /api/patients HTTP/1.1\r\n{HEAD}{upgrade}\r\n{tunnelled}");
        let (response, received) = send(&request).await;
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
        assert!(!response.contains(" 101 "), "{response}");
        assert_eq!(requests(&received), 1, "{received}");
        let received = received.to_ascii_lowercase();
        for removed in ["upgrade", "http2-settings", "smuggled"] {
            assert!(!received.contains(removed), "{removed} in {received}");
        }
    }
}

#[tokio::test]
async fn a_body_with_two_lengths_arrives_with_one() {
    let body = "5\r\nhello\r\n0\r\n\r\n";
    let hidden = "GET /api/patients/hidden HTTP/1.1\r\nhost: a\r\n\r\n";
    let length = body.len() + hidden.len();
    let both = format!(
        "POST /api/patients HTTP/1.1\r\n{HEAD}content-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n{body}{hidden}"
    );
    let (response, received) = send(&both).await;
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    assert_eq!(
        response.matches("HTTP/1.1 ").count(),
        1,
        "the connection is closed after it: {response}"
    );
    assert_eq!(requests(&received), 1, "{received}");
    let lower = received.to_ascii_lowercase();
    assert!(
        lower.contains("content-length: 5\r\n") && !lower.contains("transfer-encoding"),
        "{received}"
    );
    assert!(received.ends_with("\r\n\r\nhello"), "{received}");
}

#[tokio::test]
async fn the_host_of_the_request_line_is_ignored() {
    let request = format!("GET http://evil.example/api/patients?x=1 HTTP/1.1\r\n{HEAD}connection: close\r\n\r\n");
    let (response, received) = send(&request).await;
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    assert!(
        received.starts_with("GET /patients?x=1 HTTP/1.1\r\n") && !received.contains("evil.example"),
        "{received}"
    );
}
