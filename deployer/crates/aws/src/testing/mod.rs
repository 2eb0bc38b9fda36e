//! Fake endpoints for tests: what the embedded endpoint cannot be made to do.

mod account;
mod crash_loop;
mod scenario;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_cloudformation::config::Credentials;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::credentials::CredentialsSource;
use crate::{Clock, Endpoint, Session, SessionOptions};

pub use account::{FakeAccount, FakeStack};
pub use crash_loop::FakeCrashLoop;
pub use scenario::{SPEED, Scenario};

/// The health document of a fake endpoint.
const HEALTH: &str = r#"{"services":{},"edition":"embedded"}"#;

/// A request.
#[derive(Debug, Clone)]
pub struct Call {
    /// Such as `DescribeStacks`.
    pub operation: String,
    /// The HTTP method.
    pub method: String,
    /// The body, in the protocol of the service.
    pub body: String,
    /// Path and query, such as `/v2/NAME/manifests/TAG`.
    pub path: String,
    /// The access key that signed it.
    pub access_key: String,
}

impl Call {
    /// Returns a field of a request in the query protocol, such as `StackName`; empty without it.
    pub fn field(&self, name: &str) -> String {
        url::form_urlencoded::parse(self.body.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    }

    /// Returns the body of a request in JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// Status and body of a response; `None` closes the connection.
pub type Response = Option<(u16, String)>;

type Handler = dyn Fn(&Call) -> Response + Send + Sync;

/// Returns an error of a service with the query protocol.
pub fn error_response(status: u16, code: &str, message: &str) -> Response {
    let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>");
    Some((status, format!("<ErrorResponse>{error}</ErrorResponse>")))
}

/// Returns a result of a service with the query protocol.
pub fn query_response(operation: &str, result: &str) -> Response {
    let text = format!("<{operation}Response><{operation}Result>{result}</{operation}Result></{operation}Response>");
    Some((200, text))
}

/// Escapes a text for XML.
pub fn escape_xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Returns a source of credentials with these access keys, one for each time it is asked, then always the last one.
pub fn rotating_credentials(access_keys: &'static [&'static str]) -> CredentialsSource {
    let next = Arc::new(AtomicUsize::new(0));
    Arc::new(move || {
        let index = next.fetch_add(1, Ordering::Relaxed).min(access_keys.len() - 1);
        let (key, token) = (access_keys[index], access_keys[index].to_lowercase());
        Box::pin(async move { Ok(Credentials::new(key, "secret", Some(token), None, "test")) })
    })
}

/// An endpoint that answers with a function until it is dropped.
pub struct FakeAws {
    url: String,
    server: tokio::task::JoinHandle<()>,
}

impl FakeAws {
    /// Listens on a free port.
    pub async fn start(handler: impl Fn(&Call) -> Response + Send + Sync + 'static) -> Self {
        let handler: Arc<Handler> = Arc::new(handler);
        Self::listen(move |stream| {
            tokio::spawn(serve(stream, handler.clone()));
        })
        .await
    }

    /// Answers every request but that for its health with these bytes, and closes the connection.
    pub async fn start_raw(response: &'static [u8]) -> Self {
        Self::listen(move |stream| {
            tokio::spawn(serve_raw(stream, response));
        })
        .await
    }

    async fn listen(accept: impl Fn(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accept(stream);
            }
        });
        Self {
            url: format!("http://{address}"),
            server,
        }
    }

    /// Returns the URL of the server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns host and port.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Opens a session as with a local endpoint.
    ///
    /// # Panics
    /// The session cannot be opened.
    pub async fn session(&self) -> Session {
        let health = json!({ "services": {}, "edition": "embedded" });
        let options = SessionOptions {
            local: true,
            endpoint_url: Some(self.url.clone()),
            endpoint: Some(Endpoint::from_health(&health, &self.url)),
            ..SessionOptions::default()
        };
        Session::open(options).await.expect("a session")
    }

    /// Opens a session as with AWS, with this clock and these credentials. Each has its own region, because the SDK limits the rate of
    /// all clients of a service and region together.
    ///
    /// # Panics
    /// The session cannot be opened.
    pub async fn aws_session(&self, clock: Clock, credentials: CredentialsSource) -> Session {
        let port = self.url.rsplit(':').next().unwrap_or_default();
        let options = SessionOptions {
            endpoint_url: Some(self.url.clone()),
            region: Some(format!("us-test-{port}")),
            clock,
            credentials: Some(credentials),
            ..SessionOptions::default()
        };
        Session::open(options).await.expect("a session")
    }
}

impl Drop for FakeAws {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Answers one request.
async fn serve(mut stream: TcpStream, handler: Arc<Handler>) {
    let mut bytes = Vec::new();
    let (head, mut body) = loop {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            break (head.to_owned(), body.as_bytes().to_vec());
        }
    };
    let header = |name: &str| {
        head.lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
    };
    let length: usize = header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    while body.len() < length && stream.read_buf(&mut body).await.unwrap_or(0) > 0 {}
    let body = String::from_utf8_lossy(&body).into_owned();
    let operation = match header("x-amz-target") {
        Some(target) => target.rsplit('.').next().unwrap_or_default().to_owned(),
        None => url::form_urlencoded::parse(body.as_bytes())
            .find(|(key, _)| key == "Action")
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default(),
    };
    let response = if head.starts_with("GET /_localstack/health") {
        Some((200, HEALTH.to_owned()))
    } else {
        let signature = header("authorization").unwrap_or_default();
        let access_key = signature
            .split_once("Credential=")
            .and_then(|(_, rest)| rest.split_once('/'));
        let mut words = head.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        handler(&Call {
            operation,
            method,
            body,
            path,
            access_key: access_key.map_or_else(String::new, |(key, _)| key.to_owned()),
        })
    };
    if let Some((status, text)) = response {
        let length = text.len();
        let response = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}");
        let _ = stream.write_all(response.as_bytes()).await;
    }
}

async fn serve_raw(mut stream: TcpStream, response: &[u8]) {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let health = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{HEALTH}",
        HEALTH.len()
    );
    let is_health = request.starts_with(b"GET /_localstack/health");
    let _ = stream
        .write_all(if is_health { health.as_bytes() } else { response })
        .await;
    // The kernel resets a connection that is closed with unread data.
    let _ = stream.shutdown().await;
    let mut sink = tokio::io::sink();
    let _ = tokio::time::timeout(Duration::from_secs(1), tokio::io::copy(&mut stream, &mut sink)).await;
}
