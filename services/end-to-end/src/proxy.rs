//! A TCP proxy on a link: it can stall, cut and restore it.

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

/// What the link lets through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Gate {
    to_server: Flow,
    to_client: Flow,
    /// New connections are refused.
    cut: bool,
    /// Connections from before the last change of this number are reset.
    generation: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Flow {
    #[default]
    Open,
    Stalled,
}

/// A port before one or several servers, round robin.
///
/// With no server behind it, or with none that takes connections, it refuses connections, as the servers themselves would.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    gate: watch::Sender<Gate>,
    listening: watch::Receiver<bool>,
    servers: Arc<Servers>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a loopback port for these servers.
    ///
    /// # Panics
    /// When the port is taken.
    pub async fn start(port: u16, servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        let (gate, _) = watch::channel(Gate::default());
        let (now_listening, listening) = watch::channel(false);
        let (list, _) = watch::channel(servers.into_iter().collect());
        let servers = Arc::new(Servers {
            list,
            next: AtomicUsize::new(0),
            opened: AtomicUsize::new(0),
            holding: AtomicUsize::new(0),
        });
        let task = tokio::spawn(run(port, servers.clone(), gate.clone(), now_listening));
        let proxy = Self {
            port,
            gate,
            listening,
            servers,
            task,
        };
        if !proxy.servers.list.borrow().is_empty() {
            proxy.is_listening(true).await;
        }
        proxy
    }

    /// The port that clients use.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1` and the port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Connections that were made through it since the start.
    pub fn connections(&self) -> usize {
        self.servers.opened.load(Ordering::Relaxed)
    }

    /// How many directions of connections hold something back right now, because of a stall.
    pub fn holding(&self) -> usize {
        self.servers.holding.load(Ordering::Relaxed)
    }

    /// Lets no byte through; connections stay, and new ones are taken and never answered.
    pub fn stall(&self) {
        self.change(|gate| {
            gate.to_server = Flow::Stalled;
            gate.to_client = Flow::Stalled;
        });
    }

    /// Holds back what clients send; answers still come.
    pub fn stall_towards_server(&self) {
        self.change(|gate| gate.to_server = Flow::Stalled);
    }

    /// Holds back what servers answer; requests still arrive.
    pub fn stall_towards_client(&self) {
        self.change(|gate| gate.to_client = Flow::Stalled);
    }

    /// Resets every connection and refuses new ones; returns when that is so.
    pub async fn cut(&self) {
        self.change(|gate| {
            gate.cut = true;
            gate.generation += 1;
        });
        self.is_listening(false).await;
    }

    /// Resets every connection; new ones are taken.
    pub fn reset(&self) {
        self.change(|gate| gate.generation += 1);
    }

    /// Lets everything through again, what was held back first.
    pub async fn restore(&self) {
        self.change(|gate| {
            *gate = Gate {
                generation: gate.generation,
                ..Gate::default()
            };
        });
        if !self.servers.list.borrow().is_empty() {
            self.is_listening(true).await;
        }
    }

    /// One more server, which gets its share of the new connections.
    pub async fn join(&self, server: SocketAddr) {
        self.servers.list.send_modify(|list| list.push(server));
        if !self.gate.borrow().cut {
            self.is_listening(true).await;
        }
    }

    /// No new connection goes to this server; those that it has stay until it or the client ends them.
    pub fn leave(&self, server: SocketAddr) {
        self.servers
            .list
            .send_modify(|list| list.retain(|other| *other != server));
    }

    fn change(&self, change: impl FnOnce(&mut Gate)) {
        self.gate.send_modify(change);
    }

    async fn is_listening(&self, wanted: bool) {
        let mut listening = self.listening.clone();
        let changed = listening.wait_for(|now| *now == wanted);
        let changed = tokio::time::timeout(Duration::from_secs(20), changed).await;
        assert!(
            matches!(changed, Ok(Ok(_))),
            "the proxy on port {} does not listen: {wanted}",
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
    /// A connection to the next server that takes one.
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

/// Listens while the link is whole and a server is there.
async fn run(port: u16, servers: Arc<Servers>, gate: watch::Sender<Gate>, listening: watch::Sender<bool>) {
    let mut gates = gate.subscribe();
    let mut list = servers.list.subscribe();
    loop {
        let whole = async {
            let _ = gates.wait_for(|gate| !gate.cut).await;
            let _ = list.wait_for(|list| !list.is_empty()).await;
        };
        whole.await;
        if gates.borrow_and_update().cut {
            continue;
        }
        let listener = listen(port).await;
        listening.send_replace(true);
        let refused = Arc::new(Notify::new());
        loop {
            tokio::select! {
                accepted = listener.accept() => if let Ok((client, _)) = accepted {
                    tokio::spawn(serve(client, servers.clone(), gate.subscribe(), refused.clone()));
                },
                () = refused.notified() => break,
                _ = gates.wait_for(|gate| gate.cut) => break,
                _ = list.wait_for(Vec::is_empty) => break,
            }
        }
        drop(listener);
        listening.send_replace(false);
        // No server answers: refuse, until one does. Connections that are still there go on.
        while !gates.borrow().cut && !list.borrow().is_empty() && servers.connect().await.is_none() {
            sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn serve(client: TcpStream, servers: Arc<Servers>, gate: watch::Receiver<Gate>, refused: Arc<Notify>) {
    match servers.connect().await {
        Some(server) => carry(client, server, gate, &servers.holding).await,
        None => {
            let _ = client.set_zero_linger();
            drop(client);
            refused.notify_one();
        }
    }
}

async fn listen(port: u16) -> TcpListener {
    let started = std::time::Instant::now();
    loop {
        match TcpListener::bind(("127.0.0.1", port)).await {
            Ok(listener) => return listener,
            Err(error) if started.elapsed() > Duration::from_secs(15) => panic!("port {port} of a proxy: {error}"),
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, mut gate: watch::Receiver<Gate>, holding: &AtomicUsize) {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let born = gate.borrow().generation;
    let ended = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let up = pump(from_client, to_server, gate.clone(), holding, |gate| gate.to_server);
        let down = pump(from_server, to_client, gate.clone(), holding, |gate| gate.to_client);
        tokio::select! {
            ended = async { tokio::try_join!(up, down) } => ended.is_ok(),
            _ = gate.wait_for(|gate| gate.generation != born) => false,
        }
    };
    // What did not end in order on one side must not look as if it did on the other.
    if !ended {
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

/// Copies one direction; a stall holds back also what was read already.
async fn pump(
    mut from: tcp::ReadHalf<'_>,
    mut to: tcp::WriteHalf<'_>,
    mut gate: watch::Receiver<Gate>,
    holding: &AtomicUsize,
    flow: fn(&Gate) -> Flow,
) -> io::Result<()> {
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        if flow(&gate.borrow()) == Flow::Stalled {
            let _held = Held::new(holding);
            let _ = gate.wait_for(|gate| flow(gate) == Flow::Open).await;
        }
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..length]).await?;
    }
}

/// Counts for as long as it lives; a connection may end while it waits.
struct Held<'a>(&'a AtomicUsize);

impl<'a> Held<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
