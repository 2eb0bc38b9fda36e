//! A server on real sockets: slow, malformed and disconnecting clients, and graceful shutdown.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    routing::{get, post},
};
use bytes::Bytes;
use kit::{Json, Limits, ServeArgs, Server};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, oneshot},
    task::JoinHandle,
    time::timeout,
};

/// Time limit of a step, generous because the machine may be busy.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Timeout of an idle connection in these tests, longer than that of a head.
const IDLE: Duration = Duration::from_secs(3);

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    end: JoinHandle<anyhow::Result<()>>,
}

/// Starts a server with these routes; `configure` changes the settings of the test.
async fn start(routes: Router, connections: u32, configure: impl FnOnce(Server) -> Server) -> Running {
    let args = ServeArgs {
        host: [127, 0, 0, 1].into(),
        port: 0,
        shutdown_delay: 1,
        max_connections: connections,
    };
    let server = configure(Server::new("a-service", &args).routes(routes));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    let (stop, stopped) = oneshot::channel();
    let end = tokio::spawn(server.run_on(listener, async {
        let _ = stopped.await;
    }));
    Running { address, stop, end }
}

fn hello() -> Router {
    Router::new().route("/hello", get(|| async { "hello" }))
}

fn short_timeouts(server: Server) -> Server {
    server.limits(Limits {
        head: Duration::from_millis(300),
        idle: IDLE,
        stall: Duration::from_millis(300),
        ..Limits::default()
    })
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a connection")
}

/// Reads until the server closes the connection.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = timeout(TIMEOUT, stream.read_to_end(&mut bytes)).await;
    // A reset also ends the connection.
    assert!(read.is_ok(), "still open after {:?}", String::from_utf8_lossy(&bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sends these bytes, and reads until the server closes the connection.
async fn send(address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    let mut stream = connect(address).await;
    stream.write_all(bytes.as_ref()).await.expect("sent");
    read_to_end(&mut stream).await
}

/// Reads a response with a known end on a connection that stays open.
async fn response(stream: &mut TcpStream, ending: &str) -> String {
    let mut bytes = Vec::new();
    let read = async {
        while !String::from_utf8_lossy(&bytes).ends_with(ending) {
            assert_ne!(stream.read_buf(&mut bytes).await.expect("more"), 0, "closed early");
        }
    };
    timeout(TIMEOUT, read).await.expect("a response");
    String::from_utf8_lossy(&bytes).into_owned()
}

const HELLO: &str = "GET /hello HTTP/1.1\r\nhost: a\r\n\r\n";
const LAST_HELLO: &str = "GET /hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn a_stop_fails_readiness_then_drains_then_ends_background_tasks() {
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let ended = Arc::new(AtomicBool::new(false));
    let (into, out, flag) = (entered.clone(), release.clone(), ended.clone());
    let routes = hello().route(
        "/slow",
        get(move || async move {
            into.notify_one();
            out.notified().await;
            "finally"
        }),
    );
    let running = start(routes, 64, |server| {
        server.background_task("producer", |shutdown| async move {
            shutdown.cancelled().await;
            flag.store(true, Ordering::SeqCst);
            Ok(())
        })
    })
    .await;
    let address = running.address;
    let mut connection = connect(address).await;
    connection.write_all(HELLO.as_bytes()).await.expect("sent");
    assert!(!response(&mut connection, "hello").await.contains("connection: close"));
    let slow = tokio::spawn(send(address, "GET /slow HTTP/1.1\r\nhost: a\r\n\r\n"));
    entered.notified().await;

    running.stop.send(()).expect("the server runs");
    let ready = "GET /health/ready HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let started = Instant::now();
    while !send(address, ready).await.starts_with("HTTP/1.1 503") {
        assert!(started.elapsed() < TIMEOUT, "readiness never fails");
    }
    // Not ready, but it still serves requests, and asks clients to close the connection.
    assert!(send(address, LAST_HELLO).await.starts_with("HTTP/1.1 200"));
    connection.write_all(HELLO.as_bytes()).await.expect("sent");
    let last = read_to_end(&mut connection).await;
    assert!(
        last.starts_with("HTTP/1.1 200") && last.contains("connection: close"),
        "{last}"
    );

    while TcpStream::connect(address).await.is_ok() {
        assert!(started.elapsed() < TIMEOUT, "connections are still accepted");
        tokio::task::yield_now().await;
    }
    assert!(
        !slow.is_finished() && !running.end.is_finished(),
        "the open request is completed"
    );
    assert!(
        !ended.load(Ordering::SeqCst),
        "background tasks end after the last request"
    );
    release.notify_one();
    let slow = slow.await.expect("a response");
    assert!(slow.starts_with("HTTP/1.1 200") && slow.ends_with("finally"), "{slow}");
    let end = timeout(TIMEOUT, running.end).await.expect("the end").expect("no panic");
    assert!(end.is_ok(), "{end:?}");
    assert!(ended.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_slow_head_and_a_connection_without_requests_time_out() {
    let running = start(hello(), 64, short_timeouts).await;
    // One byte at a time: each in time, all together too slow.
    let mut slow = connect(running.address).await;
    let started = Instant::now();
    for byte in HELLO.bytes().cycle().filter(|byte| !b"\r\n".contains(byte)) {
        if slow.write_all(&[byte]).await.is_err() {
            break;
        }
        assert!(started.elapsed() < TIMEOUT, "a slow head does not time out");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let mut silent = connect(running.address).await;
    assert_eq!(
        read_to_end(&mut silent).await,
        "",
        "there is no response without a request"
    );

    // An idle connection after a request stays open for longer than the timeout of a head.
    let mut connection = connect(running.address).await;
    connection.write_all(HELLO.as_bytes()).await.expect("sent");
    response(&mut connection, "hello").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let idle_since = Instant::now();
    connection.write_all(HELLO.as_bytes()).await.expect("sent");
    response(&mut connection, "hello").await;
    assert_eq!(read_to_end(&mut connection).await, "");
    assert!(idle_since.elapsed() >= IDLE, "{:?}", idle_since.elapsed());
}

#[tokio::test]
async fn a_client_that_does_not_read_its_response_is_disconnected() {
    struct OnDrop(Option<oneshot::Sender<()>>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            let _ = self.0.take().map(|dropped| dropped.send(()));
        }
    }
    let (on_drop, dropped) = oneshot::channel();
    let on_drop = Arc::new(std::sync::Mutex::new(Some(on_drop)));
    let endless = move || async move {
        let on_drop = OnDrop(on_drop.lock().expect("a lock").take());
        let parts = futures::stream::repeat_with(move || {
            let _ = &on_drop;
            Ok::<_, Infallible>(Bytes::from(vec![b'x'; 65536]))
        });
        Body::from_stream(parts)
    };
    let running = start(Router::new().route("/endless", get(endless)), 64, short_timeouts).await;
    let mut client = connect(running.address).await;
    client
        .write_all(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .expect("sent");
    timeout(TIMEOUT, dropped)
        .await
        .expect("the end of the response")
        .expect("a signal");
}

#[tokio::test]
async fn above_max_connections_a_connection_waits_until_another_closes() {
    let running = start(hello(), 1, |server| server).await;
    let mut first = connect(running.address).await;
    first.write_all(HELLO.as_bytes()).await.expect("sent");
    response(&mut first, "hello").await;
    let mut second = connect(running.address).await;
    second.write_all(LAST_HELLO.as_bytes()).await.expect("sent");
    let early = timeout(Duration::from_millis(200), second.readable()).await;
    assert!(early.is_err(), "the second connection is accepted too early");
    drop(first);
    assert!(read_to_end(&mut second).await.ends_with("hello"));
}

#[tokio::test]
async fn an_old_connection_is_closed_after_its_response_so_that_the_client_finds_new_tasks() {
    let young = start(hello(), 64, |server| server).await;
    let aged = start(hello(), 64, |server| {
        let age = Duration::ZERO;
        server.limits(Limits {
            age,
            ..Limits::default()
        })
    })
    .await;
    let mut client = connect(young.address).await;
    for _ in 0..2 {
        client.write_all(HELLO.as_bytes()).await.expect("sent");
        let head = response(&mut client, "hello").await;
        assert!(!head.contains("connection: close"), "{head}");
    }
    let last = send(aged.address, HELLO).await;
    assert!(last.contains("connection: close") && last.ends_with("hello"), "{last}");
}

#[tokio::test]
async fn heads_are_bounded_and_other_protocols_are_rejected() {
    let running = start(hello(), 64, |server| server).await;
    let get =
        |path: &str, headers: &str| format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n");
    let large = format!("x-large: {}\r\n", "x".repeat(33 * 1024));
    let many = "x-a: 1\r\n".repeat(101);
    let long = format!("/hello?{}", "x".repeat(8 * 1024));
    for (what, request, expected) in [
        ("a large head", get("/hello", &large), "HTTP/1.1 431"),
        ("many headers", get("/hello", &many), "HTTP/1.1 431"),
        ("a long address", get(&long, ""), "HTTP/1.1 414"),
        ("a folded header", get("/hello", "x-a: 1\r\n 2\r\n"), "HTTP/1.1 400"),
        ("a blank before the colon", get("/hello", "x-a : 1\r\n"), "HTTP/1.1 400"),
        (
            "two lengths",
            get("/hello", "content-length: 1\r\ncontent-length: 2\r\n"),
            "HTTP/1.1 400",
        ),
        (
            "an unknown coding",
            get("/hello", "transfer-encoding: chunked, x\r\n"),
            "HTTP/1.1 400",
        ),
        (
            "a coding before chunked",
            get("/hello", "transfer-encoding: gzip, chunked\r\n") + "0\r\n\r\n",
            "HTTP/1.1 501",
        ),
        ("a fragment", get("/hello#x", ""), "HTTP/1.1 400"),
        ("no host", "GET /hello HTTP/1.1\r\n\r\n".into(), "HTTP/1.1 400"),
        ("two hosts", get("/hello", "host: b\r\n"), "HTTP/1.1 400"),
        ("the same host twice", get("/hello", "host: a\r\n"), "HTTP/1.1 400"),
        (
            "an invalid host",
            "GET /hello HTTP/1.1\r\nhost: a b/@<>\r\n\r\n".into(),
            "HTTP/1.1 400",
        ),
        (
            "an empty host",
            "GET /hello HTTP/1.1\r\nhost:\r\n\r\n".into(),
            "HTTP/1.1 400",
        ),
        (
            "an absolute target without a host",
            "GET http://a/hello HTTP/1.1\r\n\r\n".into(),
            "HTTP/1.1 400",
        ),
        (
            "an absolute target with a user",
            get("http://user@a/hello", ""),
            "HTTP/1.1 400",
        ),
        ("an absolute target", get("http://a/hello", ""), "HTTP/1.1 200"),
        (
            "HTTP/1.0 without a host",
            "GET /hello HTTP/1.0\r\n\r\n".into(),
            "HTTP/1.0 200",
        ),
        (
            "HTTP/1.0 with two hosts",
            "GET /hello HTTP/1.0\r\nhost: a\r\nhost: b\r\n\r\n".into(),
            "HTTP/1.0 400",
        ),
        (
            "an upgrade to h2c",
            get("/hello", "upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n"),
            "HTTP/1.1 200",
        ),
        (
            "a tunnel",
            "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\nconnection: close\r\n\r\n".into(),
            "HTTP/1.1 404",
        ),
        (
            "HTTP/2 with prior knowledge",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".into(),
            "",
        ),
    ] {
        let response = send(running.address, request).await;
        let status = response.get(..12).unwrap_or_default();
        assert_eq!(status, expected, "{what}: {response}");
    }
}

#[tokio::test]
async fn every_response_has_security_and_cache_headers() {
    let running = start(hello(), 64, |server| server).await;
    for path in ["/hello", "/nothing", "/health/live"] {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-forwarded-proto: https\r\n\r\n");
        let response = send(running.address, request).await;
        for header in [
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
            "content-security-policy: default-src 'none'; frame-ancestors 'none'",
            "strict-transport-security: max-age=31536000",
        ] {
            assert!(response.contains(header), "{path} has no {header}: {response}");
        }
    }
    assert!(
        !send(running.address, LAST_HELLO)
            .await
            .contains("strict-transport-security")
    );
}

/// Returns a request with a body of `length` bytes, in chunks or with its length.
fn with_body(line: &str, headers: &str, length: usize, chunked: bool) -> Vec<u8> {
    let framing = if chunked {
        "transfer-encoding: chunked".to_owned()
    } else {
        format!("content-length: {length}")
    };
    let mut request = format!("{line} HTTP/1.1\r\nhost: a\r\n{headers}{framing}\r\n\r\n").into_bytes();
    let body = vec![b'x'; length];
    if chunked {
        for chunk in body.chunks(10_000) {
            request.extend(format!("{:x}\r\n", chunk.len()).bytes());
            request.extend(chunk);
            request.extend(b"\r\n");
        }
        request.extend(b"0\r\n\r\n");
    } else {
        request.extend(body);
    }
    request
}

fn refusing() -> Router {
    hello().route("/things", post(|_: Json<serde_json::Value>| async { "created" }))
}

#[tokio::test]
async fn a_refusal_arrives_although_the_body_was_not_read_and_the_connection_stays_usable() {
    let running = start(refusing(), 64, |server| server).await;
    for round in 0..20 {
        for (line, headers, expected) in [
            ("POST /things", "content-type: text/plain\r\n", 415),
            (
                "POST /things",
                "content-type: application/json\r\ncontent-encoding: gzip\r\n",
                415,
            ),
            ("POST /things/a/b/c", "content-type: application/json\r\n", 404),
            ("PUT /things", "content-type: application/json\r\n", 405),
        ] {
            let length = [16 << 10, 100_000, 500_000, 1 << 20][round % 4];
            let mut client = connect(running.address).await;
            let request = with_body(line, headers, length, round % 3 == 0);
            client.write_all(&request).await.expect("the whole body is taken");
            let answer = response(&mut client, "}").await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{line}: {answer}");
            client.write_all(HELLO.as_bytes()).await.expect("still open");
            assert!(response(&mut client, "hello").await.starts_with("HTTP/1.1 200"));
        }
    }
}

#[tokio::test]
async fn a_refusal_arrives_when_the_body_is_too_large_to_be_drained() {
    let bounded = |server: Server| {
        server.limits(Limits {
            drain_bytes: 1 << 20,
            ..Limits::default()
        })
    };
    let running = start(refusing(), 64, bounded).await;
    for chunked in [false, true] {
        let mut client = connect(running.address).await;
        // 1 MiB is read, 1 MiB is drained, and the rest is more than hyper reads at once.
        let request = with_body("POST /things", "content-type: application/json\r\n", 11 << 18, chunked);
        client.write_all(&request).await.expect("the whole body is taken");
        let answer = read_to_end(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{chunked}: {answer}");
    }
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_gets_the_refusal_instead() {
    let running = start(refusing(), 64, |server| server).await;
    let head = "POST /things HTTP/1.1\r\nhost: a\r\ncontent-type: text/plain\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n";
    let answer = send(running.address, head).await;
    assert!(answer.starts_with("HTTP/1.1 415"), "{answer}");
}

#[tokio::test]
async fn the_rest_of_a_refused_body_is_awaited_for_a_limited_time() {
    let short = |server: Server| {
        server.limits(Limits {
            drain: Duration::from_millis(100),
            ..Limits::default()
        })
    };
    let running = start(refusing(), 64, short).await;
    let head = "POST /things HTTP/1.1\r\nhost: a\r\ncontent-type: text/plain\r\ncontent-length: 9\r\n\r\nx";
    let answer = send(running.address, head).await;
    assert!(answer.starts_with("HTTP/1.1 415"), "{answer}");
}

#[tokio::test]
async fn a_slow_body_is_408_and_a_slow_service_is_503() {
    let routes = refusing().route(
        "/slow",
        post(|_: Bytes| async { tokio::time::sleep(Duration::from_mins(10)).await }),
    );
    let running = start(routes, 64, |server| server.request_timeout(Duration::from_millis(300))).await;
    let head = "POST /things HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";
    for begin in ["content-length: 9\r\n\r\n{", "transfer-encoding: chunked\r\n\r\n9\r\n{"] {
        let mut client = connect(running.address).await;
        client
            .write_all(format!("{head}{begin}").as_bytes())
            .await
            .expect("sent");
        let answer = response(&mut client, "}").await;
        assert!(
            answer.starts_with("HTTP/1.1 408") && answer.contains("connection: close"),
            "{answer}"
        );
    }
    let mut client = connect(running.address).await;
    client
        .write_all(&with_body("POST /slow", "", 9, false))
        .await
        .expect("sent");
    let answer = response(&mut client, "}").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list_things))]
struct Document;

#[utoipa::path(get, path = "/things", params(("search" = Option<String>, Query), ("limit" = Option<u32>, Query)),
    responses((status = 200, description = "The things")))]
async fn list_things() -> &'static str {
    "things"
}

#[tokio::test]
async fn an_unknown_query_parameter_is_rejected_with_the_known_ones() {
    let routes = hello().route("/things", get(list_things));
    let document = <Document as utoipa::OpenApi>::openapi();
    let running = start(routes, 64, |server| server.openapi(document)).await;
    for (path, expected) in [
        ("/things?search=a&limit=2", "HTTP/1.1 200"),
        ("/things?searched=a", "HTTP/1.1 400"),
        ("/things?LIMIT=1", "HTTP/1.1 400"),
        ("/things?ada@example.org", "HTTP/1.1 400"),
        ("/hello?undocumented=1", "HTTP/1.1 200"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let answer = send(running.address, request).await;
        assert!(answer.starts_with(expected), "{path}: {answer}");
        assert_eq!(
            expected.ends_with("400"),
            answer.contains("search, limit"),
            "{path}: {answer}"
        );
        assert!(!answer.contains("ada"), "{answer}");
        assert_eq!(path.contains("searched"), answer.contains("\"searched\":"), "{answer}");
    }
}
