//! Requests as bytes: nothing is checked, so that anything can stand anywhere.

use std::{net::SocketAddr, time::Duration};

use futures::{StreamExt, stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// How long an answer may take; a slow client's own limit is longer, and is not waited for.
const PATIENCE: Duration = Duration::from_secs(15);
/// Requests at once.
const AT_ONCE: usize = 8;

/// What is sent.
pub struct Request {
    asked: String,
    bytes: Vec<u8>,
}

/// An answer, and what it was the answer to.
pub struct Answer {
    /// Method and path, or a word for what is no request.
    pub asked: String,
    /// 0 when there was none.
    pub status: u16,
    /// Status line, headers and body as they came.
    pub text: String,
}

impl Request {
    /// A request with these headers and body, and with what else it needs to be one.
    pub fn new(method: &str, path: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Request {
        let body = body.as_ref();
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        let given = |name: &str| headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name));
        if !given("host") {
            head.push_str("Host: clinic.example\r\n");
        }
        if !body.is_empty() {
            if !given("content-type") {
                head.push_str("Content-Type: application/json\r\n");
            }
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        Request {
            asked: format!("{method} {path}"),
            bytes: [head.as_bytes(), body].concat(),
        }
    }

    /// Any bytes at all.
    pub fn raw(asked: &str, bytes: impl Into<Vec<u8>>) -> Request {
        Request {
            asked: asked.to_owned(),
            bytes: bytes.into(),
        }
    }

    /// Sends it, and reads what comes until the other side closes.
    pub async fn send(self, address: SocketAddr) -> Answer {
        let mut answer = Vec::new();
        let exchange = async {
            let mut stream = TcpStream::connect(address).await?;
            // A server that refuses early resets while we still write; its answer is read all the same.
            let _ = stream.write_all(&self.bytes).await;
            stream.read_to_end(&mut answer).await
        };
        // What came before a reset, or before the time is over, is the answer.
        let _ = timeout(PATIENCE, exchange).await;
        let text = String::from_utf8_lossy(&answer).into_owned();
        Answer {
            asked: self.asked,
            status: text.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0),
            text,
        }
    }
}

impl Answer {
    /// The body, when it is JSON.
    pub fn json(&self) -> serde_json::Value {
        let body = self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str(body).unwrap_or_default()
    }
}

/// Sends all of them, some at a time.
pub async fn send_all(address: SocketAddr, requests: Vec<Request>) -> Vec<Answer> {
    let answers = stream::iter(requests).map(|request| request.send(address));
    answers.buffer_unordered(AT_ONCE).collect().await
}
