//! Health checks of targets.

use std::sync::{Arc, Weak};
use std::time::Duration;

use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::group::{Group, Health, Settings, Target};

/// While a target is new it is looked at more often than it says, so that a deployment takes seconds.
const EAGER: Duration = Duration::from_millis(300);

/// Checks one target until it is told to stop. The first success makes a new target healthy, as on AWS.
pub async fn check(group: Weak<Group>, target: Arc<Target>, stop: CancellationToken) {
    let (mut good, mut bad, mut since) = (0u32, 0u32, tokio::time::Instant::now());
    loop {
        let Some(settings) = group.upgrade().map(|group| group.settings()) else {
            return;
        };
        let new = target.health().state == "initial";
        let outcome = tokio::select! {
            () = stop.cancelled() => return,
            outcome = tokio::time::timeout(settings.timeout, once(&settings, &target)) => outcome,
        };
        match outcome {
            Ok(Ok(())) => {
                (good, bad) = (good + 1, 0);
                if new || good >= settings.healthy_threshold {
                    target.set(Health {
                        state: "healthy",
                        reason: None,
                        description: None,
                    });
                }
            }
            failed => {
                let (reason, description) = match failed {
                    Ok(Err(Failed::Code(code))) => (
                        "Target.ResponseCodeMismatch",
                        format!("Health checks failed with these codes: [{code}]"),
                    ),
                    Ok(Err(Failed::Connection)) => ("Target.FailedHealthChecks", "Health checks failed".to_owned()),
                    _ => ("Target.Timeout", "Request timed out".to_owned()),
                };
                (good, bad) = (0, bad + 1);
                // A new target is given the time that its own settings give it before it counts as unhealthy.
                let patience = settings.interval * settings.unhealthy_threshold;
                let enough = if new {
                    since.elapsed() >= patience
                } else {
                    bad >= settings.unhealthy_threshold
                };
                if enough {
                    target.set(Health {
                        state: "unhealthy",
                        reason: Some(reason),
                        description: Some(description),
                    });
                    since = tokio::time::Instant::now();
                }
            }
        }
        let pause = if target.health().state == "healthy" {
            settings.interval
        } else {
            settings.interval.min(EAGER)
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

enum Failed {
    Connection,
    Code(u16),
}

async fn once(settings: &Settings, target: &Target) -> Result<(), Failed> {
    let mut address = target.address;
    address.set_port(settings.port.unwrap_or(address.port()));
    let stream = TcpStream::connect(address).await.map_err(|_| Failed::Connection)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|_| Failed::Connection)?;
    tokio::spawn(connection);
    let request = hyper::Request::get(&settings.path)
        .header("host", address.to_string())
        .header("user-agent", "ELB-HealthChecker/2.0")
        .header("connection", "close")
        .body(Empty::<bytes::Bytes>::new())
        .map_err(|_| Failed::Connection)?;
    let status = sender
        .send_request(request)
        .await
        .map_err(|_| Failed::Connection)?
        .status()
        .as_u16();
    match settings
        .matcher
        .iter()
        .any(|(low, high)| (*low..=*high).contains(&status))
    {
        true => Ok(()),
        false => Err(Failed::Code(status)),
    }
}
