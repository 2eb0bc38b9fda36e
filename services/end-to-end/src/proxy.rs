//! A TCP proxy of a link, which can stall, cut and restore it.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    sync::{Notify, watch},
    task::JoinHandle,
    time::sleep,
};

/// State of the link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct LinkState {
    to_server: Flow,
    to_client: Flow,
    /// Set if new connections are refused.
    cut: bool,
    /// Connections of an earlier generation are reset.
    generation: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Flow {
    #[default]
    Open,
    Stalled,
}

/// A port in front of one or several servers, round robin.
///
/// Without a server that accepts connections, it refuses connections as the servers themselves would.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    state: watch::Sender<LinkState>,
    listening: watch::Receiver<bool>,
    servers: Arc<Servers>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a loopback port for these servers.
    ///
    /// # Panics
    /// If the port is in use.
    pub async fn start(port: u16, servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        let (state, _) = watch::channel(LinkState::default());
        let (now_listening, listening) = watch::channel(false);
        let (list, _) = watch::channel(servers.into_iter().collect());
        let servers = Arc::new(Servers {
            list,
            next: AtomicUsize::new(0),
            opened: AtomicUsize::new(0),
            holding: AtomicUsize::new(0),
        });
        let task = tokio::spawn(run(port, servers.clone(), state.clone(), now_listening));
        let proxy = Self {
            port,
            state,
            listening,
            servers,
            task,
        };
        if !proxy.servers.list.borrow().is_empty() {
            proxy.wait_listening(true).await;
        }
        proxy
    }

    /// Returns the port for clients.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns `127.0.0.1` and the port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns the number of connections to servers since the start.
    pub fn connections(&self) -> usize {
        self.servers.opened.load(Ordering::Relaxed)
    }

    /// Returns the number of directions of connections that a stall holds back now.
    pub fn holding(&self) -> usize {
        self.servers.holding.load(Ordering::Relaxed)
    }

    /// Holds back every byte; connections stay open, and new ones are accepted.
    pub fn stall(&self) {
        self.change(|state| {
            state.to_server = Flow::Stalled;
            state.to_client = Flow::Stalled;
        });
    }

    /// Holds back the bytes of clients.
    pub fn stall_towards_server(&self) {
        self.change(|state| state.to_server = Flow::Stalled);
    }

    /// Holds back the bytes of servers.
    pub fn stall_towards_client(&self) {
        self.change(|state| state.to_client = Flow::Stalled);
    }

    /// Resets every connection and refuses new ones; returns once the port is closed.
    pub async fn cut(&self) {
        self.change(|state| {
            state.cut = true;
            state.generation += 1;
        });
        self.wait_listening(false).await;
    }

    /// Resets every connection and accepts new ones.
    pub fn reset(&self) {
        self.change(|state| state.generation += 1);
    }

    /// Forwards all bytes again, beginning with those held back.
    pub async fn restore(&self) {
        self.change(|state| {
            *state = LinkState {
                generation: state.generation,
                ..LinkState::default()
            };
        });
        if !self.servers.list.borrow().is_empty() {
            self.wait_listening(true).await;
        }
    }

    /// Adds a server, which gets its share of new connections.
    pub async fn add_server(&self, server: SocketAddr) {
        self.servers.list.send_modify(|list| list.push(server));
        if !self.state.borrow().cut {
            self.wait_listening(true).await;
        }
    }

    /// Removes a server: it gets no new connections; the open ones stay.
    pub fn remove_server(&self, server: SocketAddr) {
        self.servers
            .list
            .send_modify(|list| list.retain(|other| *other != server));
    }

    fn change(&self, change: impl FnOnce(&mut LinkState)) {
        self.state.send_modify(change);
    }

    async fn wait_listening(&self, expected: bool) {
        let mut listening = self.listening.clone();
        let changed = listening.wait_for(|now| *now == expected);
        let changed = tokio::time::timeout(Duration::from_secs(20), changed).await;
        assert!(
            matches!(changed, Ok(Ok(_))),
            "the proxy on port {} did not change to listening = {expected}",
            self.port
        );
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
struct Servers {
    list: watch::Sender<Vec<SocketAddr>>,
    next: AtomicUsize,
    opened: AtomicUsize,
    holding: AtomicUsize,
}

impl Servers {
    /// Connects to the next server that accepts.
    async fn connect(&self) -> Option<TcpStream> {
        let list = self.list.borrow().clone();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for step in 0..list.len() {
            if let Ok(stream) = TcpStream::connect(list[(first + step) % list.len()]).await {
                self.opened.fetch_add(1, Ordering::Relaxed);
                return Some(stream);
            }
        }
        None
    }
}

/// Listens while the link is not cut and has a server.
async fn run(port: u16, servers: Arc<Servers>, state: watch::Sender<LinkState>, listening: watch::Sender<bool>) {
    let mut changes = state.subscribe();
    let mut list = servers.list.subscribe();
    loop {
        let available = async {
            let _ = changes.wait_for(|state| !state.cut).await;
            let _ = list.wait_for(|list| !list.is_empty()).await;
        };
        available.await;
        if changes.borrow_and_update().cut {
            continue;
        }
        let listener = listen(port).await;
        listening.send_replace(true);
        let no_server = Arc::new(Notify::new());
        loop {
            tokio::select! {
                accepted = listener.accept() => if let Ok((client, _)) = accepted {
                    tokio::spawn(serve(client, servers.clone(), state.subscribe(), no_server.clone()));
                },
                () = no_server.notified() => break,
                _ = changes.wait_for(|state| state.cut) => break,
                _ = list.wait_for(Vec::is_empty) => break,
            }
        }
        drop(listener);
        listening.send_replace(false);
        // No server accepts: refuse connections until one does. Open connections stay.
        while !changes.borrow().cut && !list.borrow().is_empty() && servers.connect().await.is_none() {
            sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn serve(client: TcpStream, servers: Arc<Servers>, state: watch::Receiver<LinkState>, no_server: Arc<Notify>) {
    if let Some(server) = servers.connect().await {
        relay(client, server, state, &servers.holding).await;
    } else {
        let _ = client.set_zero_linger();
        drop(client);
        no_server.notify_one();
    }
}

async fn listen(port: u16) -> TcpListener {
    let started = std::time::Instant::now();
    loop {
        match TcpListener::bind(("127.0.0.1", port)).await {
            Ok(listener) => return listener,
            Err(error) if started.elapsed() > Duration::from_secs(15) => {
                panic!("cannot bind port {port} of a proxy: {error}")
            }
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn relay(
    mut client: TcpStream,
    mut server: TcpStream,
    mut state: watch::Receiver<LinkState>,
    holding: &AtomicUsize,
) {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let generation = state.borrow().generation;
    let ended = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let up = copy(from_client, to_server, state.clone(), holding, |state| state.to_server);
        let down = copy(from_server, to_client, state.clone(), holding, |state| state.to_client);
        tokio::select! {
            ended = async { tokio::try_join!(up, down) } => ended.is_ok(),
            _ = state.wait_for(|state| state.generation != generation) => false,
        }
    };
    // A connection that failed on one side must not look closed in order on the other.
    if !ended {
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

/// Copies one direction; a stall also holds back the bytes that are already read.
async fn copy(
    mut from: tcp::ReadHalf<'_>,
    mut to: tcp::WriteHalf<'_>,
    mut state: watch::Receiver<LinkState>,
    holding: &AtomicUsize,
    flow: fn(&LinkState) -> Flow,
) -> io::Result<()> {
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        if flow(&state.borrow()) == Flow::Stalled {
            let _held = HeldBack::new(holding);
            let _ = state.wait_for(|state| flow(state) == Flow::Open).await;
        }
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..length]).await?;
    }
}

/// Counts a direction that is held back, until it is dropped.
struct HeldBack<'a>(&'a AtomicUsize);

impl<'a> HeldBack<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for HeldBack<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
