//! Health checks of targets.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::target::{Target, TargetGroupSettings, TargetHealth};

/// The interval for a target that is not healthy yet, which makes a deployment take seconds.
const EAGER_INTERVAL: Duration = Duration::from_millis(300);

/// Checks one target until it is deregistered, or `settings` returns `None`. The first success makes a new target healthy, as
/// on AWS.
pub async fn check(settings: impl Fn() -> Option<TargetGroupSettings>, target: Arc<Target>) {
    let (mut successes, mut failures, mut since) = (0u32, 0u32, Instant::now());
    loop {
        let Some(settings) = settings() else { return };
        let is_new = target.health().state == "initial";
        let result = tokio::select! {
            () = target.stop.cancelled() => return,
            result = tokio::time::timeout(settings.timeout, request(&settings, &target)) => {
                result.unwrap_or(Err(CheckError::Timeout))
            }
        };
        match result {
            Ok(()) => {
                (successes, failures) = (successes + 1, 0);
                if is_new || successes >= settings.healthy_threshold {
                    target.set_health(TargetHealth {
                        state: "healthy",
                        reason: None,
                        description: None,
                    });
                }
            }
            Err(error) => {
                (successes, failures) = (0, failures + 1);
                // A new target counts as unhealthy only after the time that its settings allow.
                let is_unhealthy = if is_new {
                    since.elapsed() >= settings.interval * settings.unhealthy_threshold
                } else {
                    failures >= settings.unhealthy_threshold
                };
                if is_unhealthy {
                    target.set_health(TargetHealth {
                        state: "unhealthy",
                        reason: Some(error.reason()),
                        description: Some(error.to_string()),
                    });
                    since = Instant::now();
                }
            }
        }
        let pause = if target.health().state == "healthy" {
            settings.interval
        } else {
            settings.interval.min(EAGER_INTERVAL)
        };
        tokio::select! {
            () = target.stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// A failed health check, with the description of Elastic Load Balancing.
#[derive(Debug, thiserror::Error)]
enum CheckError {
    #[error("Health checks failed")]
    Connection,
    #[error("Health checks failed with these codes: [{0}]")]
    StatusCode(u16),
    #[error("Request timed out")]
    Timeout,
}

impl CheckError {
    /// Returns the reason code of `DescribeTargetHealth`.
    fn reason(&self) -> &'static str {
        match self {
            Self::Connection => "Target.FailedHealthChecks",
            Self::StatusCode(_) => "Target.ResponseCodeMismatch",
            Self::Timeout => "Target.Timeout",
        }
    }
}

async fn request(settings: &TargetGroupSettings, target: &Target) -> Result<(), CheckError> {
    let mut address = target.address;
    address.set_port(settings.port.unwrap_or(address.port()));
    let stream = TcpStream::connect(address).await.map_err(|_| CheckError::Connection)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|_| CheckError::Connection)?;
    tokio::spawn(connection);
    let request = hyper::Request::get(&settings.path)
        .header("host", address.to_string())
        .header("user-agent", "ELB-HealthChecker/2.0")
        .header("connection", "close")
        .body(Empty::<bytes::Bytes>::new())
        .map_err(|_| CheckError::Connection)?;
    let response = sender.send_request(request).await;
    let status = response.map_err(|_| CheckError::Connection)?.status().as_u16();
    let mut ranges = settings.matcher.iter();
    if ranges.any(|(low, high)| (*low..=*high).contains(&status)) {
        Ok(())
    } else {
        Err(CheckError::StatusCode(status))
    }
}
