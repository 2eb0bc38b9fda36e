//! Connections to the services, on which a response is read although sending the request failed.
//!
//! A service may refuse a request before it has read the body, and close the connection. The next write fails then, while the
//! response is already here; hyper would report the failed write. So a failed write counts as sent: either the response is
//! read next, or the end of the connection, which is an error as well.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::ServiceExt;
use tower::util::MapResponse;

/// Connects to the services.
pub type Connector = MapResponse<HttpConnector, fn(TokioIo<TcpStream>) -> ServiceStream>;

/// Returns a connector with a timeout for the connection.
pub fn connector(timeout: Duration) -> Connector {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(timeout));
    connector.set_nodelay(true);
    connector.map_response(ServiceStream as fn(TokioIo<TcpStream>) -> ServiceStream)
}

/// A connection to a service.
pub struct ServiceStream(TokioIo<TcpStream>);

impl Connection for ServiceStream {
    fn connected(&self) -> Connected {
        self.0.connected()
    }
}

impl Read for ServiceStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl Write for ServiceStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.0).poll_write(cx, bytes);
        written.map(|written| ignore_close(written, bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.0).poll_write_vectored(cx, bytes);
        written.map(|written| ignore_close(written, bytes.iter().map(|part| part.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Counts `length` bytes as sent if the service has closed the connection.
fn ignore_close(written: io::Result<usize>, length: usize) -> io::Result<usize> {
    match written {
        Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => Ok(length),
        written => written,
    }
}
