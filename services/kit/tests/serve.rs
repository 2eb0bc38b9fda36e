//! A server as its clients meet it: on sockets, with clients that are slow, odd or gone, and at its end.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, body::Body, routing::get};
use bytes::Bytes;
use kit::{Limits, ServeArgs, Server};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, oneshot},
    task::JoinHandle,
    time::timeout,
};

/// How long anything here may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(10);

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    end: JoinHandle<anyhow::Result<()>>,
}

/// A server with these routes; `adjust` sets what the test is about.
async fn start(routes: Router, connections: u32, adjust: impl FnOnce(Server) -> Server) -> Running {
    let args = ServeArgs {
        host: [127, 0, 0, 1].into(),
        port: 0,
        shutdown_delay: 1,
        max_connections: connections,
    };
    let server = adjust(Server::new("a-service", &args).routes(routes));
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

fn impatient(server: Server) -> Server {
    server.limits(Limits {
        head: Duration::from_millis(300),
        idle: Duration::from_millis(900),
        stall: Duration::from_millis(300),
        ..Limits::default()
    })
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a connection")
}

/// All that comes until the server closes the connection.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    // A reset is an end, too.
    assert!(read.is_ok(), "still open after {:?}", String::from_utf8_lossy(&bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sends these bytes, and reads until the server closes.
async fn say(address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    let mut stream = connect(address).await;
    stream.write_all(bytes.as_ref()).await.expect("sent");
    rest(&mut stream).await
}

/// One answer with a known end on a connection that stays open.
async fn answer(stream: &mut TcpStream, ending: &str) -> String {
    let mut bytes = Vec::new();
    let read = async {
        while !String::from_utf8_lossy(&bytes).ends_with(ending) {
            assert_ne!(stream.read_buf(&mut bytes).await.expect("more"), 0, "closed early");
        }
    };
    timeout(PATIENCE, read).await.expect("an answer");
    String::from_utf8_lossy(&bytes).into_owned()
}

const HELLO: &str = "GET /hello HTTP/1.1\r\nhost: a\r\n\r\n";
const LAST_HELLO: &str = "GET /hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn a_stop_fails_readiness_first_then_drains_then_ends_the_backgrounds() {
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let ended = Arc::new(AtomicBool::new(false));
    let (into, out, flag) = (entered.clone(), release.clone(), ended.clone());
    let routes = hello().route(
        "/slow",
        get(move || async move {
            into.notify_one();
            out.notified().await;
            "at last"
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
    let mut kept = connect(address).await;
    kept.write_all(HELLO.as_bytes()).await.expect("sent");
    assert!(!answer(&mut kept, "hello").await.contains("connection: close"));
    let slow = tokio::spawn(say(address, "GET /slow HTTP/1.1\r\nhost: a\r\n\r\n"));
    entered.notified().await;

    running.stop.send(()).expect("the server runs");
    let ready = "GET /health/ready HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let begun = Instant::now();
    while !say(address, ready).await.starts_with("HTTP/1.1 503") {
        assert!(begun.elapsed() < PATIENCE, "readiness never fails");
    }
    // Not ready, and yet it answers; and asks its clients to go elsewhere.
    assert!(say(address, LAST_HELLO).await.starts_with("HTTP/1.1 200"));
    kept.write_all(HELLO.as_bytes()).await.expect("sent");
    let last = rest(&mut kept).await;
    assert!(
        last.starts_with("HTTP/1.1 200") && last.contains("connection: close"),
        "{last}"
    );

    while TcpStream::connect(address).await.is_ok() {
        assert!(begun.elapsed() < PATIENCE, "connections are still accepted");
        tokio::task::yield_now().await;
    }
    assert!(
        !slow.is_finished() && !running.end.is_finished(),
        "the open request is waited for"
    );
    assert!(!ended.load(Ordering::SeqCst), "backgrounds end after the last request");
    release.notify_one();
    let slow = slow.await.expect("an answer");
    assert!(slow.starts_with("HTTP/1.1 200") && slow.ends_with("at last"), "{slow}");
    let end = timeout(PATIENCE, running.end)
        .await
        .expect("the end")
        .expect("no panic");
    assert!(end.is_ok(), "{end:?}");
    assert!(ended.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_head_that_trickles_and_a_connection_without_requests_are_given_up() {
    let running = start(hello(), 64, impatient).await;
    // One byte at a time, each in good time, all together too slow.
    let mut trickling = connect(running.address).await;
    let begun = Instant::now();
    for byte in HELLO.bytes().cycle().filter(|byte| !b"\r\n".contains(byte)) {
        if trickling.write_all(&[byte]).await.is_err() {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "a slow head is listened to for ever");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let mut silent = connect(running.address).await;
    assert_eq!(rest(&mut silent).await, "", "who says nothing is told nothing");

    // A connection that was of use is kept for longer than a head may take.
    let mut kept = connect(running.address).await;
    kept.write_all(HELLO.as_bytes()).await.expect("sent");
    answer(&mut kept, "hello").await;
    let idle = Instant::now();
    tokio::time::sleep(Duration::from_millis(500)).await;
    kept.write_all(HELLO.as_bytes()).await.expect("sent");
    answer(&mut kept, "hello").await;
    assert_eq!(rest(&mut kept).await, "");
    assert!(idle.elapsed() >= Duration::from_millis(1400), "{:?}", idle.elapsed());
}

#[tokio::test]
async fn a_client_that_takes_no_answer_does_not_hold_it_for_ever() {
    struct Told(Option<oneshot::Sender<()>>);
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.take().map(|told| told.send(()));
        }
    }
    let (tell, told) = oneshot::channel();
    let tell = Arc::new(std::sync::Mutex::new(Some(tell)));
    let endless = move || async move {
        let told = Told(tell.lock().expect("a lock").take());
        let parts = futures::stream::repeat_with(move || {
            let _ = &told;
            Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 65536]))
        });
        Body::from_stream(parts)
    };
    let running = start(Router::new().route("/endless", get(endless)), 64, impatient).await;
    let mut deaf = connect(running.address).await;
    deaf.write_all(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .expect("sent");
    timeout(PATIENCE, told)
        .await
        .expect("the answer is given up")
        .expect("told");
}

#[tokio::test]
async fn beyond_the_bound_a_connection_waits_until_another_ends() {
    let running = start(hello(), 1, |server| server).await;
    let mut first = connect(running.address).await;
    first.write_all(HELLO.as_bytes()).await.expect("sent");
    answer(&mut first, "hello").await;
    let mut second = connect(running.address).await;
    second.write_all(LAST_HELLO.as_bytes()).await.expect("sent");
    let early = timeout(Duration::from_millis(200), second.readable()).await;
    assert!(early.is_err(), "nobody listens yet");
    drop(first);
    assert!(rest(&mut second).await.ends_with("hello"));
}

#[tokio::test]
async fn heads_are_bounded_and_other_protocols_are_not_spoken() {
    let running = start(hello(), 64, |server| server).await;
    let get =
        |path: &str, headers: &str| format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n");
    let large = format!("x-large: {}\r\n", "x".repeat(33 * 1024));
    let many: String = (0..101).map(|n| format!("x-{n}: 1\r\n")).collect();
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
            "HTTP/2 at once",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".into(),
            "",
        ),
    ] {
        let answer = say(running.address, request).await;
        let status = answer.get(..12).unwrap_or_default();
        assert_eq!(status, expected, "{what}: {answer}");
    }
}

#[tokio::test]
async fn every_answer_tells_browsers_and_caches_to_be_careful() {
    let running = start(hello(), 64, |server| server).await;
    for path in ["/hello", "/nothing", "/health/live"] {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-forwarded-proto: https\r\n\r\n");
        let answer = say(running.address, request).await;
        for header in [
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
            "content-security-policy: default-src 'none'; frame-ancestors 'none'",
            "strict-transport-security: max-age=31536000",
        ] {
            assert!(answer.contains(header), "{path} has no {header}: {answer}");
        }
    }
    assert!(
        !say(running.address, LAST_HELLO)
            .await
            .contains("strict-transport-security")
    );
}
