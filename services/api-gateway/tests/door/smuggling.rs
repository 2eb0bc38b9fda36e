//! Requests that two servers could read in two ways: raw bytes in, raw bytes out.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kit::Role;
use kit::testing::TestTokens;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::support::{ROOMY, gateway, server};

const PATIENCE: Duration = Duration::from_secs(10);

/// A service that keeps what it is sent, byte by byte, and answers with 200.
async fn recorder() -> (SocketAddr, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(String::new()));
    let kept = seen.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let kept = kept.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 65536];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    kept.lock()
                        .unwrap()
                        .push_str(&String::from_utf8_lossy(&buffer[..count]));
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    if stream.write_all(answer).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    (address, seen)
}

/// What the client reads until the gateway closes, and what the service was sent.
async fn send(bytes: &str) -> (String, String) {
    let (service, seen) = recorder().await;
    let tokens = TestTokens::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let door = listener.local_addr().unwrap();
    let running = server(gateway(&tokens, service, ROOMY), "").run_on(listener, std::future::pending());
    let running = tokio::spawn(running);
    let mut stream = TcpStream::connect(door).await.unwrap();
    let bytes = bytes.replace("TOKEN", &tokens.token(Role::User));
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .expect("an end");
    running.abort();
    let seen = seen.lock().unwrap().clone();
    (String::from_utf8_lossy(&answer).into_owned(), seen)
}

/// How many requests there are in what the service was sent.
fn requests(seen: &str) -> usize {
    seen.matches(" HTTP/1.1\r\n").count()
}

const HEAD: &str = "host: a\r\nauthorization: Bearer TOKEN\r\n";

#[tokio::test]
async fn what_is_malformed_is_refused_and_reaches_no_service() {
    let post = |rest: &str| format!("POST /api/patients HTTP/1.1\r\n{HEAD}{rest}");
    for (what, request, expected) in [
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
            "a blank before the colon",
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
            "another host in the first line",
            format!("GET http://169.254.169.254/latest HTTP/1.1\r\n{HEAD}connection: close\r\n\r\n"),
            "404",
        ),
        (
            "HTTP/2 at once",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".into(),
            "",
        ),
    ] {
        let (answer, seen) = send(&request).await;
        let status = answer.strip_prefix("HTTP/1.1 ").or(answer.strip_prefix("HTTP/1.0 "));
        let status = status.and_then(|rest| rest.get(..3)).unwrap_or_default();
        assert_eq!(status, expected, "{what}: {answer}");
        assert_eq!(seen, "", "{what} was sent on");
    }
}

#[tokio::test]
async fn an_upgrade_is_answered_in_plain_http_and_not_passed_on() {
    for upgrade in [
        "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n",
        "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n",
    ] {
        // What a fooled proxy would tunnel from here on is no request.
        let tunnelled = "\0\x01SMUGGLED\r\n\r\n";
        let request = format!("GET /api/patients HTTP/1.1\r\n{HEAD}{upgrade}\r\n{tunnelled}");
        let (answer, seen) = send(&request).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(!answer.contains(" 101 "), "{answer}");
        assert_eq!(requests(&seen), 1, "{seen}");
        let seen = seen.to_ascii_lowercase();
        for gone in ["upgrade", "http2-settings", "smuggled"] {
            assert!(!seen.contains(gone), "{gone} in {seen}");
        }
    }
}

#[tokio::test]
async fn a_body_with_two_ends_has_one_when_it_arrives() {
    let body = "5\r\nhello\r\n0\r\n\r\n";
    let hidden = "GET /api/patients/hidden HTTP/1.1\r\nhost: a\r\n\r\n";
    let length = body.len() + hidden.len();
    let both = format!(
        "POST /api/patients HTTP/1.1\r\n{HEAD}content-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n{body}{hidden}"
    );
    let (answer, seen) = send(&both).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(
        answer.matches("HTTP/1.1 ").count(),
        1,
        "the connection ends with it: {answer}"
    );
    assert_eq!(requests(&seen), 1, "{seen}");
    let lower = seen.to_ascii_lowercase();
    assert!(
        lower.contains("content-length: 5\r\n") && !lower.contains("transfer-encoding"),
        "{seen}"
    );
    assert!(seen.ends_with("\r\n\r\nhello"), "{seen}");
}

#[tokio::test]
async fn the_host_of_the_first_line_decides_nothing() {
    let request = format!("GET http://evil.example/api/patients?x=1 HTTP/1.1\r\n{HEAD}connection: close\r\n\r\n");
    let (answer, seen) = send(&request).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        seen.starts_with("GET /patients?x=1 HTTP/1.1\r\n") && !seen.contains("evil.example"),
        "{seen}"
    );
}
