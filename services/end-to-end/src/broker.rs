//! An Apache Kafka broker that can be killed and started again.

use std::{path::Path, time::Duration};

use crate::{Kafka, eventually, free_port, log, process::Process, tools};

/// How long a broker may take until it answers, recovery included.
const PATIENCE: Duration = Duration::from_secs(40);

/// One node, with a listener for each client that has a proxy before it.
#[derive(Debug)]
pub struct Broker {
    process: Process,
    port: u16,
}

/// A listener of the broker: its name, its port, and the port that it tells its clients.
#[derive(Debug)]
pub struct Listener {
    /// As Kafka names it.
    pub name: &'static str,
    /// Where it listens.
    pub port: u16,
    /// Where its clients are told to go.
    pub advertised: u16,
}

impl Broker {
    /// Starts a new broker in `folder`.
    ///
    /// # Panics
    /// When it does not answer in time.
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
        broker.answers().await;
        broker
    }

    /// A client that no proxy is before.
    pub fn client(&self) -> Kafka {
        Kafka::new(&format!("127.0.0.1:{}", self.port))
    }

    /// The broker's process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// SIGKILL.
    pub async fn kill9(&self) {
        self.process.kill9().await;
    }

    /// Starts it again on the same data and ports, and waits until it answers.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn restart(&self) {
        self.process.start_again();
        self.answers().await;
    }

    async fn answers(&self) {
        let address = ("127.0.0.1", self.port);
        eventually("Kafka to answer", PATIENCE, async || {
            assert!(
                self.process.is_running(),
                "Kafka ended:\n{}",
                log::tail(self.process.log())
            );
            tokio::net::TcpStream::connect(address).await.ok()
        })
        .await;
    }
}
