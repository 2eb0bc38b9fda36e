//! One port of one name: connections go to the backends in turn.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

pub struct Backends {
    addresses: RwLock<Vec<SocketAddr>>,
    turn: AtomicUsize,
}

impl Backends {
    pub fn new(addresses: Vec<SocketAddr>) -> Self {
        Self {
            addresses: RwLock::new(addresses),
            turn: AtomicUsize::new(0),
        }
    }

    pub fn set(&self, addresses: Vec<SocketAddr>) {
        *self.addresses.write().expect("no panic holds this lock") = addresses;
    }

    /// Each backend once, beginning with the one whose turn it is.
    fn in_turn(&self) -> Vec<SocketAddr> {
        let mut addresses = self.addresses.read().expect("no panic holds this lock").clone();
        if !addresses.is_empty() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % addresses.len();
            addresses.rotate_left(turn);
        }
        addresses
    }
}

pub fn listen(address: SocketAddr, backends: Arc<Backends>, stop: CancellationToken) -> std::io::Result<()> {
    let socket = std::net::TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    let socket = TcpListener::from_std(socket)?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                accepted = socket.accept() => match accepted {
                    Ok((client, _)) => drop(tokio::spawn(carry(client, backends.clone()))),
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                },
            }
        }
    });
    Ok(())
}

async fn carry(mut client: TcpStream, backends: Arc<Backends>) {
    let _ = client.set_nodelay(true);
    for backend in backends.in_turn() {
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
    async fn a_backend_that_refuses_is_passed_over() {
        let alive = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let backends = Arc::new(Backends::new(vec![dead, alive.local_addr().unwrap()]));
        listen(free, backends, CancellationToken::new()).unwrap();
        let mut client = TcpStream::connect(free).await.unwrap();
        let (mut server, _) = alive.accept().await.unwrap();
        client.write_all(b"hello").await.unwrap();
        let mut heard = [0; 5];
        server.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hello");
    }
}
