//! An Apache Kafka broker that can be killed and restarted.

use std::{path::Path, time::Duration};

use crate::{Kafka, free_port, log, process::Process, tools, wait_for};

/// Time limit for a broker to accept connections, with its recovery.
const START_TIMEOUT: Duration = Duration::from_secs(40);

/// A single node, with a separate listener for each client behind a proxy.
#[derive(Debug)]
pub struct Broker {
    process: Process,
    port: u16,
}

/// A listener of the broker.
#[derive(Debug)]
pub struct Listener {
    /// Kafka's name of the listener.
    pub name: &'static str,
    /// The port that it binds.
    pub port: u16,
    /// The port that it advertises to clients.
    pub advertised: u16,
}

impl Broker {
    /// Creates a broker in `folder`.
    ///
    /// # Panics
    /// If it does not accept connections in time.
    pub async fn start(folder: &Path, listeners: &[Listener]) -> Self {
        let (port, controller) = (free_port(), free_port());
        let mut arguments = vec![
            "exec".to_owned(),
            folder.display().to_string(),
            port.to_string(),
            controller.to_string(),
        ];
        arguments.extend(
            listeners
                .iter()
                .map(|listener| format!("{}:{}:{}", listener.name, listener.port, listener.advertised)),
        );
        let command = tools::script("broker", arguments);
        let broker = Self {
            process: Process::start("Kafka", command, tools::environment(), &folder.with_extension("log")),
            port,
        };
        broker.wait_ready().await;
        broker
    }

    /// Returns a client without a proxy.
    pub fn client(&self) -> Kafka {
        Kafka::new(&format!("127.0.0.1:{}", self.port))
    }

    /// Returns the process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Sends SIGKILL and waits for the end of the process.
    pub async fn kill9(&self) {
        self.process.kill9().await;
    }

    /// Restarts the broker with the same data and ports, and waits until it accepts connections.
    ///
    /// # Panics
    /// If it does not in time.
    pub async fn restart(&self) {
        self.process.restart();
        self.wait_ready().await;
    }

    async fn wait_ready(&self) {
        let address = ("127.0.0.1", self.port);
        wait_for("Kafka to accept connections", START_TIMEOUT, async || {
            assert!(
                self.process.is_running(),
                "Kafka exited:\n{}",
                log::tail(self.process.log())
            );
            tokio::net::TcpStream::connect(address).await.ok()
        })
        .await;
    }
}
