//! A process of a service.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, process::ExitStatus, time::Duration};

use rustix::process::Signal;

use crate::{Client, Service, free_port, log, process::Process, tools, wait_for};

/// Time limit for a service to become ready.
const START_TIMEOUT: Duration = Duration::from_secs(40);
/// Time limit for a service to end after SIGTERM; the platform kills it after 30 s.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// A process of a service, with separate ports.
#[derive(Debug)]
pub struct Replica {
    service: Service,
    process: Process,
    address: SocketAddr,
    management: SocketAddr,
    grpc: Option<SocketAddr>,
}

impl Replica {
    /// Starts the binary and returns before it is ready.
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

    /// Starts a process outside a system, with exactly this environment.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn standalone(service: Service, env: BTreeMap<String, String>, log: &Path) -> Self {
        Self::start(service, env, &tools::binary(service), log)
    }

    /// Returns the service.
    pub fn service(&self) -> Service {
        self.service
    }

    /// Returns the address of HTTP, without a proxy.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address of gRPC, if the service has one.
    pub fn grpc(&self) -> Option<SocketAddr> {
        self.grpc
    }

    /// Returns the `application_name` of its sessions at PostgreSQL.
    pub fn name(&self) -> String {
        let log = self.process.log().with_extension("");
        log.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Returns a client of this process, without a proxy.
    pub fn client(&self) -> Client {
        Client::new(format!("http://{}", self.address))
    }

    /// Returns a client of the address with `/metrics` and `/health/ready`.
    pub fn management(&self) -> Client {
        Client::new(format!("http://{}", self.management))
    }

    /// Returns the process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Returns whether `/health/ready` succeeds.
    pub async fn is_ready(&self) -> bool {
        let response = self.management().get("/health/ready").send().await;
        response.is_ok_and(|response| response.status.is_success())
    }

    /// Waits until the service is ready.
    ///
    /// # Panics
    /// If it exits or takes too long, with its last log lines.
    pub async fn wait_ready(&self) {
        let what = format!(
            "{} to be ready (log: {})",
            self.service.name(),
            self.process.log().display()
        );
        wait_for(&what, START_TIMEOUT, async || {
            if let Some(status) = self.process.exit_status() {
                let tail = log::tail(self.process.log());
                panic!("{} exited with {status}:\n{tail}", self.service.name());
            }
            self.is_ready().await.then_some(())
        })
        .await;
    }

    /// Sends SIGKILL and waits for the end of the process.
    pub async fn kill9(&self) {
        self.process.kill9().await;
    }

    /// Sends SIGTERM and waits for the end of the process.
    ///
    /// # Panics
    /// If it takes longer than the 30 s that the platform allows.
    pub async fn terminate(&self) -> ExitStatus {
        self.process.terminate(STOP_TIMEOUT).await
    }

    /// Sends SIGSTOP.
    pub fn pause(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Sends SIGCONT.
    pub fn resume(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Restarts the process after its end, with the same environment and ports, and waits until it is ready.
    pub async fn restart(&self) {
        self.process.restart();
        self.wait_ready().await;
    }

    /// Returns the lines of stdout and stderr since the first start.
    pub fn log_lines(&self) -> Vec<String> {
        log::lines(self.process.log())
    }

    /// Returns `/metrics` as text.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn metrics(&self) -> String {
        self.management().get("/metrics").response().await.text()
    }

    /// Returns the sum of a metric over the series with all these labels (`name="value"`); 0 if there are none.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.metrics().await;
        let series = text.lines().filter(|line| {
            let tail = line.strip_prefix(name);
            tail.is_some_and(|tail| tail.starts_with(['{', ' '])) && labels.iter().all(|label| line.contains(label))
        });
        series
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}
