//! One process of a service.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, process::ExitStatus, time::Duration};

use rustix::process::Signal;

use crate::{Client, Service, eventually, free_port, log, process::Process, tools};

/// How long a service may take until it is ready.
const START: Duration = Duration::from_secs(40);
/// How long it may take to end after SIGTERM; the platform kills it after 30 s.
const STOP: Duration = Duration::from_secs(30);

/// A process of a service, with ports of its own.
#[derive(Debug)]
pub struct Replica {
    service: Service,
    process: Process,
    address: SocketAddr,
    management: SocketAddr,
    grpc: Option<SocketAddr>,
}

impl Replica {
    /// Starts the binary; it is not ready yet.
    pub(crate) fn start(service: Service, mut env: BTreeMap<String, String>, binary: &Path, log: &Path) -> Self {
        let local = || SocketAddr::from(([127, 0, 0, 1], free_port()));
        let address = local();
        env.insert("HOST".into(), address.ip().to_string());
        env.insert("PORT".into(), address.port().to_string());
        let (mut management, mut grpc) = (address, None);
        if service == Service::Gateway {
            management = local();
            env.insert("MANAGEMENT_PORT".into(), management.port().to_string());
        }
        if service == Service::Billing {
            let port = local();
            env.insert("GRPC_PORT".into(), port.port().to_string());
            grpc = Some(port);
        }
        let command = vec![binary.display().to_string()];
        Self {
            service,
            process: Process::start(service.name(), command, env, log),
            address,
            management,
            grpc,
        }
    }

    /// A process that no system is around, told just this.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn alone(service: Service, env: BTreeMap<String, String>, log: &Path) -> Self {
        Self::start(service, env, &tools::binary(service), log)
    }

    /// Which service it is of.
    pub fn service(&self) -> Service {
        self.service
    }

    /// Where it serves HTTP itself, with no proxy between.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it serves gRPC, if it does.
    pub fn grpc(&self) -> Option<SocketAddr> {
        self.grpc
    }

    /// What PostgreSQL calls its sessions (`application_name`).
    pub fn name(&self) -> String {
        let log = self.process.log().with_extension("");
        log.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// A client of this very process.
    pub fn client(&self) -> Client {
        Client::new(format!("http://{}", self.address))
    }

    /// A client of where `/metrics` and `/health/ready` are.
    pub fn management(&self) -> Client {
        Client::new(format!("http://{}", self.management))
    }

    /// The process itself.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Whether it says that it is ready.
    pub async fn is_ready(&self) -> bool {
        let asked = self.management().get("/health/ready").send().await;
        asked.is_ok_and(|answer| answer.status.is_success())
    }

    /// Waits until it is ready.
    ///
    /// # Panics
    /// When it ends instead, or takes too long; with its last log lines.
    pub async fn ready(&self) {
        let what = format!(
            "{} to be ready (log: {})",
            self.service.name(),
            self.process.log().display()
        );
        eventually(&what, START, async || {
            if let Some(status) = self.process.exit_status() {
                let tail = log::tail(self.process.log());
                panic!(
                    "{} ended with {status} instead of serving:\n{tail}",
                    self.service.name()
                );
            }
            self.is_ready().await.then_some(())
        })
        .await;
    }

    /// SIGKILL, and waits until it is gone.
    pub async fn kill9(&self) {
        self.process.kill9().await;
    }

    /// SIGTERM, and waits for the end, which the platform grants 30 s.
    ///
    /// # Panics
    /// When it takes longer.
    pub async fn terminate(&self) -> ExitStatus {
        self.process.terminate(STOP).await
    }

    /// SIGSTOP: it is there and does nothing.
    pub fn pause(&self) {
        self.process.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Starts it again after its end, with the same environment and ports, and waits until it is ready.
    pub async fn restart(&self) {
        self.process.start_again();
        self.ready().await;
    }

    /// What it wrote on both outputs, since the first start.
    pub fn log_lines(&self) -> Vec<String> {
        log::lines(self.process.log())
    }

    /// `/metrics` as text.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn metrics(&self) -> String {
        self.management().get("/metrics").answer().await.text()
    }

    /// The sum of a metric over those of its series that have all these labels (`name="value"`); 0 when there is none.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.metrics().await;
        let series = text.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' '])) && labels.iter().all(|label| line.contains(label))
        });
        series
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}
