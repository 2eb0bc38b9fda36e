//! Settings of a target group.

use std::time::Duration;

use super::stickiness::Stickiness;

/// The protocol version of a target group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 from the client to the target.
    Http2,
    /// gRPC; the matcher has its status codes.
    Grpc,
}

/// The attribute `load_balancing.algorithm.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// One after the other.
    RoundRobin,
    /// The target with the fewest requests in flight.
    LeastOutstanding,
    /// At random; all targets have the same weight without anomaly mitigation.
    Random,
}

/// The attributes `target_group_health.unhealthy_state_routing.minimum_healthy_targets`: with fewer healthy targets, requests are sent to
/// all targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinimumHealthy {
    /// Number of targets.
    pub count: usize,
    /// Percentage of the registered targets; 0 if it is off.
    pub percent: usize,
}

/// A target group's settings for the choice of a target, health checks and draining.
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
    /// Status codes that count as success, as inclusive ranges: of HTTP or of gRPC.
    pub matcher: Vec<(u16, u16)>,
    /// Of requests and health checks.
    pub protocol: TargetProtocol,
    /// The choice between healthy targets.
    pub algorithm: Algorithm,
    /// The time in which the share of a target that has become healthy grows; zero if it has its whole share at once.
    pub slow_start: Duration,
    /// `None` unless sessions are sticky.
    pub stickiness: Option<Stickiness>,
    /// The limit under which unhealthy targets get requests too.
    pub minimum_healthy: MinimumHealthy,
    /// Limit of draining.
    pub deregistration_delay: Duration,
}
