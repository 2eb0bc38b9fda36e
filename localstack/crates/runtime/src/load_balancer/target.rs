//! One target of a target group: its health and the requests in flight to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// A target group's settings for health checks and draining.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetGroupSettings {
    /// Path of the health check, with its query string.
    pub path: String,
    /// The port to check; `None` for the traffic port.
    pub port: Option<u16>,
    /// From one health check to the next.
    pub interval: Duration,
    /// Limit of one health check.
    pub timeout: Duration,
    /// Consecutive successes that make a target healthy.
    pub healthy_threshold: u32,
    /// Consecutive failures that make a target unhealthy.
    pub unhealthy_threshold: u32,
    /// Status codes that count as success, as inclusive ranges.
    pub matcher: Vec<(u16, u16)>,
    /// Limit of draining.
    pub deregistration_delay: Duration,
}

/// A target's health, as `DescribeTargetHealth` returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetHealth {
    /// `initial`, `healthy`, `unhealthy` or `draining`.
    pub state: &'static str,
    /// Code such as `Target.FailedHealthChecks`.
    pub reason: Option<&'static str>,
    /// The reason as text.
    pub description: Option<String>,
}

/// A registered target.
pub struct Target {
    /// Loopback address of the task, and its port.
    pub address: SocketAddr,
    health: Mutex<TargetHealth>,
    in_flight: AtomicUsize,
    /// Cancelled when the target is deregistered.
    pub(super) stop: CancellationToken,
}

/// One request to a target; dropped with the last byte of the response.
pub struct InFlight(Arc<Target>);

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
            in_flight: AtomicUsize::new(0),
            stop,
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
            *current = health;
        }
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
