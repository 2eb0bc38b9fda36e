//! Requests to the provider, bounded in time and size.

use std::time::Duration;

use anyhow::Context;
use http::header::ACCEPT;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::OidcError;

/// Timeout of one request.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum size of a response, in bytes.
const MAX_BYTES: usize = 256 * 1024;

/// A client that follows no redirect.
pub struct HttpClient(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// A response of the provider.
pub struct Response {
    pub status: StatusCode,
    pub body: Bytes,
}

impl HttpClient {
    /// Creates a client that trusts the certificate authorities of the system.
    ///
    /// # Errors
    /// Fails if the system has none.
    pub fn new() -> anyhow::Result<Self> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let connector = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider);
        let connector = connector.context("cannot read the certificate authorities of the system")?;
        // http:// only where the settings allow it.
        let connector = connector.https_or_http().enable_http1().build();
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector)))
    }

    /// Sends a request and returns the response, whatever its status; `what` names it in messages.
    ///
    /// # Errors
    /// [`OidcError::Unreachable`] if there is no response in time, [`OidcError::Unusable`] if it is too large.
    pub async fn send(&self, what: &str, mut request: Request<Full<Bytes>>) -> Result<Response, OidcError> {
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let exchange = async {
            let response = self.0.request(request).await;
            let response = response.map_err(|error| OidcError::Unreachable(format!("{what}: {error}")))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_BYTES).collect().await;
            let body = body.map_err(|error| OidcError::Unusable(format!("{what}: {error}")))?;
            Ok(Response {
                status: head.status,
                body: body.to_bytes(),
            })
        };
        let late = |_| OidcError::Unreachable(format!("{what}: no response within {} s", TIMEOUT.as_secs()));
        timeout(TIMEOUT, exchange).await.map_err(late)?
    }

    /// Sends a GET and parses the JSON of the response; `token` authorizes it.
    ///
    /// # Errors
    /// As [`HttpClient::send`], and [`OidcError::Unusable`] for another status than 200 or another body.
    pub async fn get<T: DeserializeOwned>(&self, what: &str, url: &str, token: Option<&str>) -> Result<T, OidcError> {
        let mut request = Request::get(url);
        if let Some(token) = token {
            request = request.header(http::header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::default());
        let request = request.map_err(|_| OidcError::Unusable(format!("{what}: the request cannot be written")))?;
        let response = self.send(what, request).await?;
        match response.status {
            StatusCode::OK => response.parse(what),
            status if status.is_server_error() => Err(OidcError::Unreachable(format!("{what}: status {status}"))),
            status => Err(OidcError::Unusable(format!("{what}: status {status}"))),
        }
    }
}

impl Response {
    /// Parses the body; an error never quotes it, because it may contain tokens.
    ///
    /// # Errors
    /// [`OidcError::Unusable`] if it does not have the expected form.
    pub fn parse<T: DeserializeOwned>(&self, what: &str) -> Result<T, OidcError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| OidcError::Unusable(format!("{what}: not the expected JSON, at line {}", error.line())))
    }
}
