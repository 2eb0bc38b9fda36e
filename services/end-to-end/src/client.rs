//! HTTP client of the platform.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client as Hyper, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Serialize;
use serde_json::Value;
use tokio::time::timeout;

/// Time limit of a request and its response.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A client of one base URL, with a token or without.
#[derive(Debug, Clone)]
#[must_use]
pub struct Client {
    base: String,
    token: Option<String>,
    http: Hyper<HttpConnector, Full<Bytes>>,
}

impl Client {
    /// Creates a client without a token.
    pub fn new(base: impl Into<String>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            base: base.into(),
            token: None,
            http: Hyper::builder(TokioExecutor::new()).build(connector),
        }
    }

    /// Returns the same client with a token.
    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self {
            token: Some(token.into()),
            ..self.clone()
        }
    }

    /// Returns a client of another base URL with the same token.
    pub fn at(&self, base: impl Into<String>) -> Self {
        Self {
            base: base.into(),
            ..self.clone()
        }
    }

    /// Returns the token, if the client has one.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Starts a request; `path` begins with `/`.
    pub fn request(&self, method: Method, path: &str) -> Request<'_> {
        let builder = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base));
        let builder = match &self.token {
            Some(token) => builder.header(header::AUTHORIZATION, format!("Bearer {token}")),
            None => builder,
        };
        Request {
            client: self,
            builder,
            body: Bytes::new(),
        }
    }

    /// Starts a GET.
    pub fn get(&self, path: &str) -> Request<'_> {
        self.request(Method::GET, path)
    }

    /// Starts a POST.
    pub fn post(&self, path: &str) -> Request<'_> {
        self.request(Method::POST, path)
    }

    /// Starts a PUT.
    pub fn put(&self, path: &str) -> Request<'_> {
        self.request(Method::PUT, path)
    }

    /// Starts a PATCH.
    pub fn patch(&self, path: &str) -> Request<'_> {
        self.request(Method::PATCH, path)
    }

    /// Starts a DELETE.
    pub fn delete(&self, path: &str) -> Request<'_> {
        self.request(Method::DELETE, path)
    }
}

/// A request that is not sent yet.
#[derive(Debug)]
#[must_use]
pub struct Request<'a> {
    client: &'a Client,
    builder: http::request::Builder,
    body: Bytes,
}

impl Request<'_> {
    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    /// Sets a JSON body.
    ///
    /// # Panics
    /// If the value cannot be JSON.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        self.body = serde_json::to_vec(body).expect("JSON").into();
        self.header("content-type", "application/json")
    }

    /// Sets the bytes of the body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends the request.
    ///
    /// # Errors
    /// If there is no complete response within the time limit.
    pub async fn send(self) -> Result<Response, RequestError> {
        let request = self
            .builder
            .body(Full::new(self.body))
            .map_err(|error| RequestError::Connection(chain(&error)))?;
        let exchange = async {
            let response = self.client.http.request(request).await;
            let (head, body) = response
                .map_err(|error| RequestError::Connection(chain(&error)))?
                .into_parts();
            let body = body.collect().await;
            let body = body
                .map_err(|error| RequestError::Connection(chain(&error)))?
                .to_bytes();
            Ok(Response {
                status: head.status,
                headers: head.headers,
                body,
            })
        };
        timeout(TIMEOUT, exchange).await.unwrap_or(Err(RequestError::Timeout))
    }

    /// Sends the request and returns the response.
    ///
    /// # Panics
    /// If there is none.
    pub async fn response(self) -> Response {
        let what = format!("{:?} {:?}", self.builder.method_ref(), self.builder.uri_ref());
        self.send().await.unwrap_or_else(|error| panic!("{what}: {error}"))
    }
}

/// Reason for a request without a response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The connection was refused, reset, or closed before the response was complete.
    #[error("{0}")]
    Connection(String),
    /// The response did not arrive in time.
    #[error("no response within {TIMEOUT:?}")]
    Timeout,
}

/// A response with its complete body.
#[derive(Debug, Clone)]
pub struct Response {
    /// Status of the response.
    pub status: StatusCode,
    /// Headers of the response.
    pub headers: HeaderMap,
    /// The complete body.
    pub body: Bytes,
}

impl Response {
    /// Returns the body as JSON.
    ///
    /// # Panics
    /// If it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{} without JSON ({error}): {}", self.status, self.text()))
    }

    /// Returns the body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Returns an error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
