//! Health checks of targets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::responses::BoxError;
use super::target::{Target, TargetHealth};
use super::target_group_settings::{TargetGroupSettings, TargetProtocol};

const USER_AGENT: &str = "ELB-HealthChecker/2.0";
/// A gRPC message without content: not compressed, and of length 0.
const EMPTY_MESSAGE: Bytes = Bytes::from_static(&[0; 5]);

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
    let stream = TokioIo::new(stream);
    let code = match settings.protocol {
        TargetProtocol::Http1 => check_http1(settings, address, stream).await,
        TargetProtocol::Http2 | TargetProtocol::Grpc => check_http2(settings, address, stream).await,
    };
    let code = code.map_err(|_| CheckError::Connection)?;
    let mut ranges = settings.matcher.iter();
    if ranges.any(|(low, high)| (*low..=*high).contains(&code)) {
        Ok(())
    } else {
        Err(CheckError::StatusCode(code))
    }
}

async fn check_http1(
    settings: &TargetGroupSettings,
    address: SocketAddr,
    stream: TokioIo<TcpStream>,
) -> Result<u16, BoxError> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    tokio::spawn(connection);
    let request = hyper::Request::get(&settings.path)
        .header("host", address.to_string())
        .header("user-agent", USER_AGENT)
        .header("connection", "close")
        .body(Empty::<Bytes>::new())?;
    Ok(sender.send_request(request).await?.status().as_u16())
}

/// Returns the status of HTTP, or for gRPC that of gRPC, which a response without a message has in its headers.
async fn check_http2(
    settings: &TargetGroupSettings,
    address: SocketAddr,
    stream: TokioIo<TcpStream>,
) -> Result<u16, BoxError> {
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await?;
    let connection = tokio::spawn(connection);
    let _ended = AbortOnDrop(connection.abort_handle());
    let uri = format!("http://{address}{}", settings.path);
    let request = hyper::Request::builder().uri(uri).header("user-agent", USER_AGENT);
    if settings.protocol == TargetProtocol::Http2 {
        let request = request.body(Full::new(Bytes::new()))?;
        return Ok(sender.send_request(request).await?.status().as_u16());
    }
    let request = request
        .method("POST")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(EMPTY_MESSAGE))?;
    let response = sender.send_request(request).await?;
    let (parts, body) = response.into_parts();
    let trailers = body.collect().await?.trailers().cloned().unwrap_or_default();
    let status = parts.headers.get("grpc-status").or(trailers.get("grpc-status"));
    Ok(status.ok_or("the response has no gRPC status")?.to_str()?.parse()?)
}

/// Ends the connection of a health check with it.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
