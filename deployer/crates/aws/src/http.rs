//! Plain HTTP requests that are not AWS calls: an endpoint's health, and the probe through the load balancer.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A request without a response.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The file with the authority cannot be used.
    #[error("cannot use the CA certificate {}: {reason}", path.display())]
    CaFile {
        /// Its path.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
    /// The innermost cause: "Connection refused" is more precise than "error sending request".
    #[error("{}", root_cause(.0))]
    Request(#[from] reqwest::Error),
}

/// Addresses and trust of a server, if the system's configuration is not enough.
#[derive(Debug, Default)]
pub struct RequestOptions<'a> {
    /// The only CA (a PEM file) that is trusted for HTTPS.
    pub ca_file: Option<&'a Path>,
    /// Addresses of the URL's host, instead of those in DNS.
    pub addresses: Vec<SocketAddr>,
}

/// Sends a GET and returns status and body. Redirects are not followed.
///
/// # Errors
/// There is no complete response within the timeout.
pub async fn get(url: &str, timeout: Duration) -> Result<(u16, String), HttpError> {
    get_with(&RequestOptions::default(), url, timeout).await
}

/// Sends a GET with options; see [`get`].
///
/// # Errors
/// There is no complete response within the timeout, or the CA file is not usable.
pub async fn get_with(options: &RequestOptions<'_>, url: &str, timeout: Duration) -> Result<(u16, String), HttpError> {
    send(client(url, timeout, options)?.get(url)).await
}

/// Sends a POST without a body; see [`get`].
///
/// # Errors
/// There is no complete response within the timeout.
pub async fn post(url: &str, timeout: Duration) -> Result<(u16, String), HttpError> {
    send(client(url, timeout, &RequestOptions::default())?.post(url)).await
}

/// Returns the `Date` header of a response, whatever its status.
pub async fn date(url: &str, timeout: Duration) -> Option<String> {
    let client = client(url, timeout, &RequestOptions::default()).ok()?;
    let response = client.get(url).send().await.ok()?;
    let date = response.headers().get(reqwest::header::DATE)?;
    date.to_str().ok().map(str::to_owned)
}

async fn send(request: reqwest::RequestBuilder) -> Result<(u16, String), HttpError> {
    let response = request.send().await?;
    Ok((response.status().as_u16(), response.text().await?))
}

/// Returns a client that follows no redirect and uses no proxy for loopback addresses.
pub(crate) fn client(url: &str, timeout: Duration, options: &RequestOptions) -> Result<reqwest::Client, HttpError> {
    let mut builder = reqwest::Client::builder()
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none());
    if let Some(path) = options.ca_file.filter(|_| url.starts_with("https:")) {
        let unusable = |reason: String| HttpError::CaFile {
            path: path.to_owned(),
            reason,
        };
        let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
        let certificate = reqwest::Certificate::from_pem(&pem).map_err(|error| unusable(error.to_string()))?;
        builder = builder.tls_certs_only([certificate]);
    }
    if !options.addresses.is_empty() {
        builder = builder.resolve_to_addrs(&host(url), &options.addresses);
    }
    if is_loopback(url) {
        builder = builder.no_proxy();
    }
    Ok(builder.build()?)
}

fn host(url: &str) -> String {
    let parsed = url::Url::parse(url).ok();
    parsed
        .and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_default()
}

fn is_loopback(url: &str) -> bool {
    let host = host(url);
    host == "localhost"
        || host.ends_with(".localhost")
        || host.ends_with(".localhost.localstack.cloud")
        || host.starts_with("127.")
        || host == "[::1]"
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_is_used_for_loopback_addresses() {
        assert!(is_loopback("http://localhost:8080/x") && is_loopback("http://127.186.0.1"));
        assert!(!is_loopback("http://my-alb.eu-west-1.elb.amazonaws.com"));
    }

    #[tokio::test]
    async fn given_addresses_replace_dns() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("its address");
        tokio::spawn(async move {
            let (mut stream, _) = socket.accept().await.expect("a client");
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.expect("a request");
            let body = String::from_utf8_lossy(&request[..length]).to_lowercase();
            let length = body.len();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            let response = format!("{head}{body}");
            stream.write_all(response.as_bytes()).await.expect("a connection");
        });
        let options = RequestOptions {
            addresses: vec![address],
            ..RequestOptions::default()
        };
        let host = format!("patients.invalid:{}", address.port());
        let url = format!("http://{host}/docs/");
        let (status, echo) = get_with(&options, &url, Duration::from_secs(5))
            .await
            .expect("a response");
        assert_eq!(status, 200);
        assert!(echo.contains(&format!("host: {host}")), "{echo}");
    }
}
