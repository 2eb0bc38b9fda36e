//! One port of one name: a TCP proxy that distributes connections round robin.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// The addresses of a name's tasks.
pub struct Backends {
    addresses: RwLock<Vec<SocketAddr>>,
    next: AtomicUsize,
}

impl Backends {
    pub fn new(addresses: Vec<SocketAddr>) -> Self {
        Self {
            addresses: RwLock::new(addresses),
            next: AtomicUsize::new(0),
        }
    }

    pub fn set(&self, addresses: Vec<SocketAddr>) {
        *self.addresses.write() = addresses;
    }

    /// Returns each backend once, starting with the next one in round-robin order.
    fn round_robin(&self) -> Vec<SocketAddr> {
        let mut addresses = self.addresses.read().clone();
        if !addresses.is_empty() {
            let next = self.next.fetch_add(1, Ordering::Relaxed) % addresses.len();
            addresses.rotate_left(next);
        }
        addresses
    }
}

/// Listens on `address` until `stop` is cancelled.
///
/// # Errors
/// When the address is in use.
pub fn listen(address: SocketAddr, backends: Arc<Backends>, stop: CancellationToken) -> std::io::Result<()> {
    let socket = std::net::TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    let socket = TcpListener::from_std(socket)?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                accepted = socket.accept() => match accepted {
                    Ok((client, _)) => drop(tokio::spawn(forward(client, backends.clone()))),
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                },
            }
        }
    });
    Ok(())
}

/// Forwards a connection to the first backend that accepts it.
async fn forward(mut client: TcpStream, backends: Arc<Backends>) {
    let _ = client.set_nodelay(true);
    for backend in backends.round_robin() {
        let connected = tokio::time::timeout(Duration::from_secs(2), TcpStream::connect(backend)).await;
        if let Ok(Ok(mut server)) = connected {
            let _ = server.set_nodelay(true);
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_backend_that_refuses_connections_is_skipped() {
        let alive = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let backends = Arc::new(Backends::new(vec![dead, alive.local_addr().unwrap()]));
        listen(free, backends, CancellationToken::new()).unwrap();
        let mut client = TcpStream::connect(free).await.unwrap();
        let (mut server, _) = alive.accept().await.unwrap();
        client.write_all(b"hello").await.unwrap();
        let mut received = [0; 5];
        server.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"hello");
    }
}
