//! The behaviour of the proxy that the fault tests rely on.

use std::{io::ErrorKind, net::SocketAddr, time::Duration};

use end_to_end::{Proxy, free_port, wait_until};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// Starts a server that responds to each byte with `name`.
async fn server(name: u8) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move { while stream.read_u8().await.is_ok() && stream.write_u8(name).await.is_ok() {} });
        }
    });
    address
}

async fn connect(proxy: &Proxy) -> std::io::Result<TcpStream> {
    TcpStream::connect(proxy.address()).await
}

async fn request(stream: &mut TcpStream) -> std::io::Result<u8> {
    stream.write_u8(b'?').await?;
    stream.read_u8().await
}

#[tokio::test]
async fn a_stall_holds_bytes_back_until_it_is_restored() {
    let proxy = Proxy::start(free_port(), [server(b'a').await]).await;
    let mut stream = connect(&proxy).await.expect("a connection");
    assert_eq!(request(&mut stream).await.expect("a response"), b'a');
    for stall in [Proxy::stall, Proxy::stall_towards_client, Proxy::stall_towards_server] {
        stall(&proxy);
        stream.write_u8(b'?').await.expect("a write to the socket buffer");
        let early = timeout(Duration::from_millis(150), stream.read_u8()).await;
        assert!(early.is_err(), "a response through a stall: {early:?}");
        assert!(proxy.holding() > 0);
        proxy.restore().await;
        assert_eq!(stream.read_u8().await.expect("the response"), b'a');
    }
}

#[tokio::test]
async fn a_cut_resets_and_refuses_until_it_is_restored() {
    let proxy = Proxy::start(free_port(), [server(b'a').await]).await;
    let mut stream = connect(&proxy).await.expect("a connection");
    request(&mut stream).await.expect("a response");
    proxy.cut().await;
    let error = stream.read_u8().await.expect_err("the connection is cut");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let error = connect(&proxy).await.expect_err("the link is cut");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    proxy.restore().await;
    assert_eq!(
        request(&mut connect(&proxy).await.expect("a connection"))
            .await
            .expect("a response"),
        b'a'
    );
}

#[tokio::test]
async fn new_connections_are_distributed_round_robin_and_refused_without_a_server() {
    let (a, b) = (server(b'a').await, server(b'b').await);
    let proxy = Proxy::start(free_port(), []).await;
    let error = connect(&proxy).await.expect_err("no server");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    proxy.add_server(a).await;
    proxy.add_server(b).await;
    let mut servers = Vec::new();
    for _ in 0..4 {
        let mut stream = connect(&proxy).await.expect("a connection");
        servers.push(request(&mut stream).await.expect("a response"));
    }
    servers.sort_unstable();
    assert_eq!(servers, b"aabb");

    let mut stream = connect(&proxy).await.expect("a connection");
    request(&mut stream).await.expect("a response");
    proxy.remove_server(a);
    proxy.remove_server(b);
    wait_until("refused connections", Duration::from_secs(5), async || {
        is_refused(&proxy).await
    })
    .await;
    request(&mut stream).await.expect("open connections stay open");
}

#[tokio::test]
async fn without_a_listening_server_connections_are_refused_as_without_a_proxy() {
    // A port without a listener.
    let proxy = Proxy::start(free_port(), [([127, 0, 0, 1], free_port()).into()]).await;
    let mut first = connect(&proxy).await.expect("a connection before the proxy notices");
    let error = request(&mut first).await.expect_err("no server accepts");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    wait_until("refused connections", Duration::from_secs(5), async || {
        is_refused(&proxy).await
    })
    .await;
}

async fn is_refused(proxy: &Proxy) -> bool {
    matches!(connect(proxy).await, Err(error) if error.kind() == ErrorKind::ConnectionRefused)
}
