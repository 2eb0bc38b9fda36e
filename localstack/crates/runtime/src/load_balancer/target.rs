//! One target of a target group: its health and the requests in flight to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::client::conn::http2;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::responses::Body;

/// A target's health, as `DescribeTargetHealth` returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetHealth {
    /// `initial`, `healthy`, `unhealthy` or `draining`.
    pub state: &'static str,
    /// Code such as `Target.FailedHealthChecks`.
    pub reason: Option<&'static str>,
    /// The reason as text for people.
    pub description: Option<String>,
}

/// The connection of HTTP/2 to a target, once there is one.
pub type Http2Connection = tokio::sync::Mutex<Option<http2::SendRequest<Body>>>;

/// A registered target.
pub struct Target {
    /// Loopback address of the task, and its port.
    pub address: SocketAddr,
    health: Mutex<TargetHealth>,
    /// The time at which the target became healthy.
    healthy_since: Mutex<Option<Instant>>,
    in_flight: AtomicUsize,
    /// The connection to a target of HTTP/2.
    pub(super) http2: Http2Connection,
    /// Cancelled when the target is deregistered.
    pub(super) stop: CancellationToken,
    /// Cancelled when the target has drained, or the time for it is over.
    pub(super) removed: CancellationToken,
}

/// One request to a target; dropped with the last byte of the response.
pub struct InFlight(Arc<Target>);

impl InFlight {
    /// Waits until the deregistration of the target is complete.
    pub async fn target_removed(&self) {
        self.0.removed.cancelled().await;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Target {
    /// Creates a target that is being registered.
    pub(super) fn new(address: SocketAddr, stop: CancellationToken) -> Self {
        Self {
            address,
            health: Mutex::new(TargetHealth {
                state: "initial",
                reason: Some("Elb.RegistrationInProgress"),
                description: Some("Target registration is in progress".into()),
            }),
            healthy_since: Mutex::new(None),
            in_flight: AtomicUsize::new(0),
            http2: Http2Connection::default(),
            stop,
            removed: CancellationToken::new(),
        }
    }

    /// Returns the result of the last health checks.
    pub fn health(&self) -> TargetHealth {
        self.health.lock().clone()
    }

    /// Returns true if the target is deregistered and receives no new request.
    pub fn is_draining(&self) -> bool {
        self.health.lock().state == "draining"
    }

    /// Sets the health, except of a target that drains.
    pub fn set_health(&self, health: TargetHealth) {
        let mut current = self.health.lock();
        if current.state != "draining" {
            let mut since = self.healthy_since.lock();
            *since = match health.state {
                "healthy" => since.or_else(|| Some(Instant::now())),
                _ => None,
            };
            *current = health;
        }
    }

    /// Returns the part of a slow start that has passed, from 0 to 1.
    pub fn started_part(&self, slow_start: Duration) -> f64 {
        let since = *self.healthy_since.lock();
        if slow_start.is_zero() {
            return 1.0;
        }
        since.map_or(1.0, |since| {
            (since.elapsed().as_secs_f64() / slow_start.as_secs_f64()).min(1.0)
        })
    }

    /// Returns the number of requests in flight.
    pub fn outstanding(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts a request until the returned value is dropped.
    pub fn start_request(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.clone())
    }

    /// Waits until no request is in flight.
    pub async fn wait_idle(&self) {
        while self.in_flight.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
