//! A listener on a real socket: requests that are refused, malformed or slow.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::listener::{self, ActiveConfig};
use super::{
    Action, Algorithm, DesyncMode, ListenerAttributes, ListenerConfig, LoadBalancerAttributes, LoadBalancers,
    MinimumHealthy, Rule, Stickiness, TargetGroup, TargetGroupSettings, TargetProtocol,
};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Starts a target that answers every request on a connection after it has read `length` bytes, or 200 to a health check.
async fn target() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                loop {
                    let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
                    // The bodies of these tests end in `}`, and their chunks with an empty one.
                    let is_complete = if text.contains("transfer-encoding: chunked") {
                        text.ends_with("\r\n0\r\n\r\n")
                    } else if text.contains("content-length: ") && !text.contains("content-length: 0\r\n") {
                        text.ends_with('}')
                    } else {
                        text.ends_with("\r\n\r\n")
                    };
                    if is_complete && !text.contains("/silent") {
                        let host = text.split("host: ").nth(1).unwrap_or_default();
                        let host = host.split("\r\n").next().unwrap_or_default();
                        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{host}", host.len());
                        let _ = stream.write_all(head.as_bytes()).await;
                        bytes.clear();
                    }
                    if stream.read_buf(&mut bytes).await.unwrap_or_default() == 0 {
                        return;
                    }
                }
            });
        }
    });
    address
}

pub(super) fn settings() -> TargetGroupSettings {
    TargetGroupSettings {
        path: "/".into(),
        port: None,
        interval: Duration::from_secs(30),
        timeout: TIMEOUT,
        healthy_threshold: 1,
        unhealthy_threshold: 100,
        matcher: vec![(200, 200)],
        protocol: TargetProtocol::Http1,
        algorithm: Algorithm::RoundRobin,
        slow_start: Duration::ZERO,
        stickiness: None,
        minimum_healthy: MinimumHealthy { count: 1, percent: 0 },
        deregistration_delay: Duration::ZERO,
    }
}

/// Returns a group whose targets are healthy.
pub(super) async fn group(settings: TargetGroupSettings, targets: &[SocketAddr]) -> Arc<TargetGroup> {
    let group = Arc::new(TargetGroup::new(settings.clone()));
    group.reconcile(settings, targets, &CancellationToken::new());
    while group.targets().iter().any(|target| target.health().state != "healthy") {
        sleep(Duration::from_millis(10)).await;
    }
    group
}

/// Starts a load balancer in front of a healthy target.
async fn balancer(idle_timeout: Duration) -> SocketAddr {
    let attributes = LoadBalancerAttributes {
        idle_timeout,
        desync: DesyncMode::Monitor,
        ..LoadBalancerAttributes::default()
    };
    balancer_of(attributes, group(settings(), &[target().await]).await).await
}

async fn balancer_of(balancer: LoadBalancerAttributes, group: Arc<TargetGroup>) -> SocketAddr {
    open(balancer, group, None).await
}

pub(super) async fn open(
    balancer: LoadBalancerAttributes,
    group: Arc<TargetGroup>,
    acceptor: Option<TlsAcceptor>,
) -> SocketAddr {
    let balancers = Arc::new(LoadBalancers::default());
    balancers.target_groups.write().insert("group".into(), group);
    let config = Arc::new(ListenerConfig {
        rules: vec![Rule {
            conditions: Vec::new(),
            action: Action::Forward(vec![("group".into(), 1)]),
        }],
        balancer,
        attributes: ListenerAttributes::default(),
        tls: None,
    });
    let active = Arc::new(RwLock::new(ActiveConfig { config, acceptor }));
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(listener::accept(
        balancers,
        Arc::new(socket),
        80,
        active,
        CancellationToken::new(),
    ));
    address
}

/// Sends bytes, and returns everything until the load balancer closes the connection, or the first response.
async fn send(address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_ref()).await.unwrap();
    let mut response = [0; 4096];
    let count = timeout(TIMEOUT, stream.read(&mut response)).await.unwrap().unwrap();
    String::from_utf8_lossy(&response[..count]).into_owned()
}

fn status(response: &str) -> &str {
    response.get(9..12).unwrap_or_default()
}

#[tokio::test]
async fn a_malformed_chunk_is_the_clients_fault() {
    let address = balancer(TIMEOUT).await;
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    for (chunks, expected) in [
        ("2\r\n{}\r\n0\r\n\r\n".to_owned(), "200"),
        ("0x2\r\n{}\r\n0\r\n\r\n".to_owned(), "400"),
        ("2\n{}\n0\n\n".to_owned(), "400"),
        ("2\r\n{}XX0\r\n\r\n".to_owned(), "400"),
        (format!("{}2\r\n{{}}\r\n0\r\n\r\n", "f".repeat(17)), "400"),
        (format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(20_000)), "400"),
        ("-2\r\n{}\r\n0\r\n\r\n".to_owned(), "400"),
        ("\r\n{}\r\n0\r\n\r\n".to_owned(), "400"),
    ] {
        for round in 0..5 {
            let response = send(address, format!("{head}{chunks}")).await;
            assert_eq!(status(&response), expected, "round {round}: {:?}", &chunks[..6]);
        }
    }
}

#[tokio::test]
async fn a_host_is_required_and_that_of_an_absolute_target_is_used() {
    let address = balancer(TIMEOUT).await;
    for (request, expected) in [
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: a b/@<>\r\n\r\n", "400"),
        (
            "GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "501",
        ),
        ("GET / HTTP/1.1\r\nhost: a\r\nconnection: if-match\r\n\r\n", "400"),
        ("GET /#x HTTP/1.1\r\nhost: a\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: a\r\nx-a: #\r\n\r\n", "200"),
        ("GET / HTTP/1.0\r\n\r\n", "200"),
    ] {
        assert_eq!(status(&send(address, request).await), expected, "{request}");
    }
    let response = send(address, "GET http://b.example/ HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(
        response.starts_with("HTTP/1.1 200") && response.ends_with("b.example"),
        "{response}"
    );
}

#[tokio::test]
async fn a_refusal_arrives_although_the_body_is_not_read() {
    let address = balancer(TIMEOUT).await;
    for round in 0..20 {
        let length = [16 << 10, 100_000, 500_000, 1 << 20][round % 4];
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\nhost: b\r\ncontent-length: {length}\r\n\r\n");
        let request = [head.as_bytes(), &vec![b'x'; length]].concat();
        assert_eq!(status(&send(address, request).await), "400", "round {round}");
    }
}

#[tokio::test]
async fn a_slow_head_is_disconnected_a_slow_body_is_408_and_a_slow_target_504() {
    let address = balancer(Duration::from_millis(500)).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (mut read, mut write) = stream.split();
    let (head, mut response) = (
        b"GET / HTTP/1.1\r\nx-slow: ".iter().chain(std::iter::repeat(&b'x')),
        Vec::new(),
    );
    let drip = async {
        for byte in head {
            let _ = write.write_all(&[*byte]).await;
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = drip => {}
        end = timeout(TIMEOUT, read.read_to_end(&mut response)) => drop(end.expect("the head is limited")),
    }
    let half = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n{";
    assert_eq!(status(&send(address, half).await), "408");
    let silent = "GET /silent HTTP/1.1\r\nhost: a\r\n\r\n";
    assert_eq!(status(&send(address, silent).await), "504");
}

#[tokio::test]
async fn strictest_mode_blocks_what_monitor_mode_routes() {
    let group = group(settings(), &[target().await]).await;
    let with = |desync| LoadBalancerAttributes {
        desync,
        ..LoadBalancerAttributes::default()
    };
    let strictest = balancer_of(with(DesyncMode::Strictest), group.clone()).await;
    let defensive = balancer_of(with(DesyncMode::Defensive), group.clone()).await;
    let monitor = balancer_of(with(DesyncMode::Monitor), group).await;
    for (request, expected) in [
        ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", ["200", "200", "200"]),
        (
            "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
            ["400", "200", "200"],
        ),
        (
            "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}",
            ["400", "200", "200"],
        ),
        ("GET / HTTP/1.1\r\nhost: a\r\nx-empty:\r\n\r\n", ["400", "200", "200"]),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\n{}",
            ["400", "200", "200"],
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer_encoding: chunked\r\ncontent-length: 2\r\n\r\n{}",
            ["400", "400", "200"],
        ),
    ] {
        for (address, expected) in [strictest, defensive, monitor].into_iter().zip(expected) {
            assert_eq!(status(&send(address, request).await), expected, "{request}");
        }
    }
    let ambiguous = "GET / HTTP/1.1\r\nhost: a\r\nx-empty:\r\n\r\n";
    assert!(send(defensive, ambiguous).await.contains("connection: close"));
    assert!(!send(monitor, ambiguous).await.contains("connection: close"));
    // The second request of a connection is inspected too.
    let both = "GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n";
    assert!(send_to_end(strictest, both).await.contains("HTTP/1.1 400"));
}

/// Sends bytes, and returns everything until the load balancer closes the connection.
async fn send_to_end(address: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut response = String::new();
    timeout(TIMEOUT, stream.read_to_string(&mut response))
        .await
        .unwrap()
        .unwrap();
    response
}

#[tokio::test]
async fn an_idle_client_and_a_stalled_response_are_cut() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stalling = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = [0; 4096];
                let count = stream.read(&mut bytes).await.unwrap_or_default();
                // A health check gets the whole response.
                let body = if bytes[..count].starts_with(b"GET / ") {
                    "ab"
                } else {
                    "a"
                };
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{body}");
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.read(&mut bytes).await;
            });
        }
    });
    let attributes = LoadBalancerAttributes {
        idle_timeout: Duration::from_millis(300),
        ..LoadBalancerAttributes::default()
    };
    let address = balancer_of(attributes, group(settings(), &[stalling]).await).await;
    let stalled = send_to_end(address, "GET /stall HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(stalled.ends_with("\r\n\r\na"), "{stalled}");
    let idle = send_to_end(address, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(idle.ends_with("\r\n\r\nab"), "{idle}");
}

#[tokio::test]
async fn after_the_keep_alive_duration_the_next_response_is_the_last_one() {
    let with = |client_keep_alive| LoadBalancerAttributes {
        client_keep_alive,
        ..LoadBalancerAttributes::default()
    };
    let group = group(settings(), &[target().await]).await;
    let request = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let over = balancer_of(with(Duration::ZERO), group.clone()).await;
    assert!(send_to_end(over, request).await.contains("connection: close"));
    let lasting = balancer_of(with(TIMEOUT), group).await;
    assert!(!send(lasting, request).await.contains("connection: close"));
}

#[tokio::test]
async fn a_websocket_passes_bytes_in_both_directions() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let echo = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = [0; 4096];
                let count = stream.read(&mut bytes).await.unwrap_or_default();
                let head = String::from_utf8_lossy(&bytes[..count]).to_ascii_lowercase();
                if !head.contains("upgrade: websocket") {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                    return;
                }
                let switch = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhi";
                let _ = stream.write_all(switch.as_bytes()).await;
                while let Ok(count @ 1..) = stream.read(&mut bytes).await {
                    let _ = stream.write_all(&bytes[..count]).await;
                }
            });
        }
    });
    let attributes = LoadBalancerAttributes {
        idle_timeout: Duration::from_millis(500),
        ..LoadBalancerAttributes::default()
    };
    let address = balancer_of(attributes, group(settings(), &[echo]).await).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let handshake = "GET /ws HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\r\n";
    stream.write_all(handshake.as_bytes()).await.unwrap();
    let (mut received, mut bytes) = (String::new(), [0; 4096]);
    while !received.ends_with("\r\n\r\nhi") {
        let count = timeout(TIMEOUT, stream.read(&mut bytes)).await.unwrap().unwrap();
        assert!(count > 0, "{received}");
        received.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    assert!(received.starts_with("HTTP/1.1 101"), "{received}");
    stream.write_all(b"ping\n\n").await.unwrap();
    let mut pong = [0; 6];
    timeout(TIMEOUT, stream.read_exact(&mut pong)).await.unwrap().unwrap();
    assert_eq!(&pong, b"ping\n\n");
    // Nothing moves any more: the idle timeout ends it.
    assert_eq!(timeout(TIMEOUT, stream.read(&mut bytes)).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn a_cookie_binds_a_client_to_its_target() {
    let settings = TargetGroupSettings {
        stickiness: Some(Stickiness::LoadBalancer(Duration::from_mins(1))),
        ..settings()
    };
    let group = group(settings, &[target().await, target().await]).await;
    let first = group.pick(None).unwrap();
    let mut response = http::HeaderMap::new();
    let sticky = group.settings().stickiness.unwrap();
    sticky.bind(&first, &mut response, true);
    let set: Vec<&str> = response.values().map(|value| value.to_str().unwrap()).collect();
    assert!(
        set[0].starts_with("AWSALB=") && set[1].ends_with("; SameSite=None; Secure"),
        "{set:?}"
    );
    let cookie = set[0].split(';').next().unwrap();
    let request = http::HeaderMap::from_iter([(http::header::COOKIE, format!("a=b; {cookie}").parse().unwrap())]);
    let bound = sticky.bound_to(&request);
    for _ in 0..4 {
        assert_eq!(group.pick(bound.as_deref()).unwrap().address, first.address);
    }
    assert_ne!(group.pick(None).unwrap().address, group.pick(None).unwrap().address);
}
