//! The proxy does what the fault tests rely on.

use std::{io::ErrorKind, net::SocketAddr, time::Duration};

use end_to_end::{Proxy, free_port};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// A server that answers each byte with its own letter.
async fn server(letter: u8) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(
                async move { while stream.read_u8().await.is_ok() && stream.write_u8(letter).await.is_ok() {} },
            );
        }
    });
    address
}

async fn connect(proxy: &Proxy) -> std::io::Result<TcpStream> {
    TcpStream::connect(proxy.address()).await
}

async fn ask(stream: &mut TcpStream) -> std::io::Result<u8> {
    stream.write_u8(b'?').await?;
    stream.read_u8().await
}

#[tokio::test]
async fn a_stall_holds_bytes_back_and_restoring_lets_them_go() {
    let proxy = Proxy::start(free_port(), [server(b'a').await]).await;
    let mut stream = connect(&proxy).await.expect("a connection");
    assert_eq!(ask(&mut stream).await.expect("an answer"), b'a');
    for stall in [Proxy::stall, Proxy::stall_towards_client, Proxy::stall_towards_server] {
        stall(&proxy);
        stream.write_u8(b'?').await.expect("the kernel takes it");
        let early = timeout(Duration::from_millis(150), stream.read_u8()).await;
        assert!(early.is_err(), "an answer through a stall: {early:?}");
        assert!(proxy.holding() > 0);
        proxy.restore().await;
        assert_eq!(stream.read_u8().await.expect("the answer"), b'a');
    }
}

#[tokio::test]
async fn a_cut_resets_and_refuses_until_it_is_restored() {
    let proxy = Proxy::start(free_port(), [server(b'a').await]).await;
    let mut stream = connect(&proxy).await.expect("a connection");
    ask(&mut stream).await.expect("an answer");
    proxy.cut().await;
    let error = stream.read_u8().await.expect_err("the connection is cut");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let error = connect(&proxy).await.expect_err("the link is cut");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    proxy.restore().await;
    assert_eq!(
        ask(&mut connect(&proxy).await.expect("a connection"))
            .await
            .expect("an answer"),
        b'a'
    );
}

#[tokio::test]
async fn new_connections_go_round_those_who_joined_and_are_refused_when_all_have_left() {
    let (a, b) = (server(b'a').await, server(b'b').await);
    let proxy = Proxy::start(free_port(), []).await;
    assert!(connect(&proxy).await.is_err(), "nobody is there");
    proxy.join(a).await;
    proxy.join(b).await;
    let mut letters = Vec::new();
    for _ in 0..4 {
        let mut stream = connect(&proxy).await.expect("a connection");
        letters.push(ask(&mut stream).await.expect("an answer"));
    }
    letters.sort_unstable();
    assert_eq!(letters, b"aabb");

    let mut stream = connect(&proxy).await.expect("a connection");
    ask(&mut stream).await.expect("an answer");
    proxy.leave(a);
    proxy.leave(b);
    end_to_end::until("refusal", Duration::from_secs(5), async || {
        connect(&proxy).await.is_err()
    })
    .await;
    ask(&mut stream).await.expect("what was there goes on");
}

#[tokio::test]
async fn a_server_that_is_gone_is_refused_as_without_a_proxy() {
    // A port that nobody listens on.
    let proxy = Proxy::start(free_port(), [([127, 0, 0, 1], free_port()).into()]).await;
    let mut first = connect(&proxy).await.expect("nobody knows yet");
    assert!(ask(&mut first).await.is_err());
    end_to_end::until(
        "refusal",
        Duration::from_secs(5),
        async || matches!(connect(&proxy).await, Err(error) if error.kind() == ErrorKind::ConnectionRefused),
    )
    .await;
}
