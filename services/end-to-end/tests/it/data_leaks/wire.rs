//! Requests as unchecked bytes, so that every part can have any value.

use std::{net::SocketAddr, time::Duration};

use futures::{StreamExt, stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Time limit of a response; the server's limit for slow clients is longer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Concurrent requests.
const CONCURRENCY: usize = 8;

/// A request.
pub struct Request {
    name: String,
    bytes: Vec<u8>,
}

/// A response, with its request.
pub struct Response {
    /// Method and path, or a name for malformed HTTP.
    pub request: String,
    /// The status; 0 if there was no response.
    pub status: u16,
    /// Status line, headers and body as received.
    pub text: String,
}

impl Request {
    /// Creates a request with these headers and body, and the other necessary headers.
    pub fn new(method: &str, path: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Request {
        let body = body.as_ref();
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        let has = |name: &str| headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name));
        if !has("host") {
            head.push_str("Host: clinic.example\r\n");
        }
        if !body.is_empty() {
            if !has("content-type") {
                head.push_str("Content-Type: application/json\r\n");
            }
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        Request {
            name: format!("{method} {path}"),
            bytes: [head.as_bytes(), body].concat(),
        }
    }

    /// Creates a request of any bytes.
    pub fn raw(name: &str, bytes: impl Into<Vec<u8>>) -> Request {
        Request {
            name: name.to_owned(),
            bytes: bytes.into(),
        }
    }

    /// Sends the request, and reads until the server closes the connection.
    pub async fn send(self, address: SocketAddr) -> Response {
        let mut response = Vec::new();
        let exchange = async {
            let mut stream = TcpStream::connect(address).await?;
            // A server that rejects a request early resets the connection during the write; its response is read anyway.
            let _ = stream.write_all(&self.bytes).await;
            stream.read_to_end(&mut response).await
        };
        // The response is what arrived before a reset or the timeout.
        let _ = timeout(TIMEOUT, exchange).await;
        let text = String::from_utf8_lossy(&response).into_owned();
        Response {
            request: self.name,
            status: text.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0),
            text,
        }
    }
}

impl Response {
    /// Returns the body as JSON; null if it is not JSON.
    pub fn json(&self) -> serde_json::Value {
        let body = self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str(body).unwrap_or_default()
    }
}

/// Sends all requests, some concurrently.
pub async fn send_all(address: SocketAddr, requests: Vec<Request>) -> Vec<Response> {
    let responses = stream::iter(requests).map(|request| request.send(address));
    responses.buffer_unordered(CONCURRENCY).collect().await
}
