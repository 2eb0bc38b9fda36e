//! Connections to targets, by the protocol version of their group.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::time::Duration;

use http::{Request, Response, Version};
use hyper::Uri;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::responses::{Body, BoxError};
use super::target::Target;
use super::target_group_settings::TargetProtocol;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The client of the targets: a pool of connections of HTTP/1.1, and one connection of HTTP/2 in each target.
pub struct Client(hyper_util::client::legacy::Client<HttpConnector, Body>);

/// The reason why a target did not respond.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("the connection was not established in time")]
    ConnectTimeout,
    #[error(transparent)]
    Failed(BoxError),
}

impl Default for Client {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let pool = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(15))
            .build(connector);
        Self(pool)
    }
}

impl Client {
    /// Sends a request, whose URI is only a path.
    ///
    /// # Errors
    /// When the target cannot be reached, or ends the connection without a response.
    pub async fn send(
        &self,
        target: &Target,
        protocol: TargetProtocol,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, SendError> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        if protocol == TargetProtocol::Http1 {
            let uri = format!("http://{}{path}", target.address).parse::<Uri>();
            *request.uri_mut() = uri.map_err(|error| SendError::Failed(error.into()))?;
            *request.version_mut() = Version::HTTP_11;
            return self.0.request(request).await.map_err(|error| {
                if error.is_connect() && is_timeout(&error) {
                    SendError::ConnectTimeout
                } else {
                    SendError::Failed(error.into())
                }
            });
        }
        // The authority of HTTP/2 is the host of the request, not the address of the target.
        let host = request
            .headers()
            .get(http::header::HOST)
            .and_then(|host| host.to_str().ok());
        let host = host.map_or_else(|| target.address.to_string(), str::to_owned);
        let uri = format!("http://{host}{path}").parse::<Uri>();
        *request.uri_mut() = uri.map_err(|error| SendError::Failed(error.into()))?;
        *request.version_mut() = Version::HTTP_2;
        request.headers_mut().remove(http::header::HOST);
        let mut sender = http2_sender(target).await?;
        sender
            .send_request(request)
            .await
            .map_err(|error| SendError::Failed(error.into()))
    }
}

/// Returns the connection of HTTP/2 to a target, a new one if it has closed. Targets speak it without TLS and without an upgrade
/// ("prior knowledge").
async fn http2_sender(target: &Target) -> Result<http2::SendRequest<Body>, SendError> {
    let mut current = target.http2.lock().await;
    if let Some(sender) = current.as_ref().filter(|sender| !sender.is_closed()) {
        return Ok(sender.clone());
    }
    let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(target.address))
        .await
        .map_err(|_| SendError::ConnectTimeout)?
        .map_err(|error| SendError::Failed(error.into()))?;
    let _ = stream.set_nodelay(true);
    let handshake = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .handshake(TokioIo::new(stream));
    let (sender, connection) = handshake.await.map_err(|error| SendError::Failed(error.into()))?;
    tokio::spawn(connection);
    *current = Some(sender.clone());
    Ok(sender)
}

fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    let io_error = error.downcast_ref::<io::Error>();
    io_error.is_some_and(|error| error.kind() == ErrorKind::TimedOut) || error.source().is_some_and(is_timeout)
}
