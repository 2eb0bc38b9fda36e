//! One port of one name: a TCP proxy that distributes connections round robin.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::resolver::Resolver;

/// The interval of attempts to listen again.
const RETRY: Duration = Duration::from_millis(50);

/// Listens on `address` until `stop` is cancelled.
///
/// If a resolver keeps answers and no address of the current one accepts connections, nothing listens until it expires: clients
/// are refused, as they are by a stopped task.
///
/// # Errors
/// When the address is in use.
pub fn listen(address: SocketAddr, resolver: Arc<Resolver>, stop: CancellationToken) -> std::io::Result<()> {
    let socket = bind(address)?;
    tokio::spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = serve(address, socket, &resolver) => {}
        }
    });
    Ok(())
}

async fn serve(address: SocketAddr, mut socket: TcpListener, resolver: &Arc<Resolver>) {
    loop {
        accept(&socket, address.port(), resolver).await;
        drop(socket);
        tokio::time::sleep(resolver.expires_in().unwrap_or_default()).await;
        socket = loop {
            match bind(address) {
                Ok(socket) => break socket,
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        };
    }
}

/// Accepts connections until one finds no address, and answers are kept.
async fn accept(socket: &TcpListener, port: u16, resolver: &Arc<Resolver>) {
    let (unreachable, mut reports) = mpsc::unbounded_channel();
    loop {
        tokio::select! {
            _ = reports.recv() => if resolver.expires_in().is_some() {
                return;
            },
            accepted = socket.accept() => match accepted {
                Ok((client, _)) => {
                    let (resolver, unreachable) = (resolver.clone(), unreachable.clone());
                    tokio::spawn(async move {
                        if !forward(client, port, &resolver).await {
                            let _ = unreachable.send(());
                        }
                    });
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
        }
    }
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = std::net::TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket)
}

/// Forwards a connection to the first address that accepts it. Returns false if there is none.
async fn forward(mut client: TcpStream, port: u16, resolver: &Resolver) -> bool {
    let _ = client.set_nodelay(true);
    for address in resolver.resolve() {
        let connected = TcpStream::connect((address, port));
        let connected = tokio::time::timeout(Duration::from_secs(2), connected).await;
        if let Ok(Ok(mut server)) = connected {
            let _ = server.set_nodelay(true);
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::resolver::DnsTtl;
    use super::*;

    /// A port on which nothing listens, on any loopback address.
    async fn free_port() -> u16 {
        let socket = TcpListener::bind("0.0.0.0:0").await.unwrap();
        socket.local_addr().unwrap().port()
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([127, 78, 16, last])
    }

    async fn answers(client: &mut TcpStream) -> bool {
        let mut received = [0; 5];
        client
            .read_exact(&mut received)
            .await
            .is_ok_and(|_| &received == b"hello")
    }

    /// Starts a task that greets its clients.
    async fn task(last: u8, port: u16) -> tokio::task::JoinHandle<()> {
        let socket = TcpListener::bind((address(last), port)).await.unwrap();
        tokio::spawn(async move {
            loop {
                let (mut client, _) = socket.accept().await.unwrap();
                client.write_all(b"hello").await.unwrap();
            }
        })
    }

    #[tokio::test]
    async fn a_backend_that_refuses_connections_is_skipped() {
        let port = free_port().await;
        let _task = task(1, port).await;
        let resolver = Arc::new(Resolver::default());
        resolver.set(vec![address(2), address(1)], None);
        let name = SocketAddr::new(address(101), port);
        listen(name, resolver, CancellationToken::new()).unwrap();
        for _ in 0..3 {
            assert!(answers(&mut TcpStream::connect(name).await.unwrap()).await);
        }
    }

    #[tokio::test]
    async fn a_name_asked_before_its_registration_is_refused_until_the_negative_answer_expires() {
        let port = free_port().await;
        let _task = task(3, port).await;
        let resolver = Arc::new(Resolver::default());
        let ttl = DnsTtl {
            positive: Duration::from_mins(1),
            negative: Duration::from_millis(700),
        };
        resolver.set(vec![], Some(ttl));
        let name = SocketAddr::new(address(103), port);
        listen(name, resolver.clone(), CancellationToken::new()).unwrap();
        assert!(!answers(&mut TcpStream::connect(name).await.unwrap()).await);
        resolver.set(vec![address(3)], Some(ttl));
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(TcpStream::connect(name).await.is_err(), "the answer is still negative");
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert!(answers(&mut TcpStream::connect(name).await.unwrap()).await);
    }

    #[tokio::test]
    async fn a_name_leads_to_a_stopped_task_until_its_record_expires() {
        let port = free_port().await;
        let old = task(4, port).await;
        let _new = task(5, port).await;
        let resolver = Arc::new(Resolver::default());
        let ttl = DnsTtl {
            positive: Duration::from_millis(700),
            negative: Duration::from_mins(1),
        };
        resolver.set(vec![address(4)], Some(ttl));
        let name = SocketAddr::new(address(104), port);
        listen(name, resolver.clone(), CancellationToken::new()).unwrap();
        assert!(answers(&mut TcpStream::connect(name).await.unwrap()).await);
        resolver.set(vec![address(5)], Some(ttl));
        old.abort();
        let _ = old.await;
        assert!(!answers(&mut TcpStream::connect(name).await.unwrap()).await);
        tokio::time::sleep(Duration::from_millis(900)).await;
        assert!(answers(&mut TcpStream::connect(name).await.unwrap()).await);
    }
}
