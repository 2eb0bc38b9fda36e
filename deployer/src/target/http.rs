//! The few plain HTTP requests that are not AWS calls: the endpoint's health, and the probe through the load balancer.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// Status and body of a GET, or why there was none. Redirects are answers, not followed.
pub async fn get(url: &str, timeout: Duration) -> Result<(u16, String), String> {
    get_by(&Way::default(), url, timeout).await
}

/// How to find and trust who is asked, where the machine alone would not.
#[derive(Debug, Default)]
pub struct Way<'a> {
    /// The file (PEM) of the authority that vouches for HTTPS, and no other.
    pub authority: Option<&'a Path>,
    /// Where the URL's host is, instead of what DNS says.
    pub addresses: Vec<SocketAddr>,
}

/// As `get`, by this way.
pub async fn get_by(way: &Way<'_>, url: &str, timeout: Duration) -> Result<(u16, String), String> {
    send(client(url, timeout, way)?.get(url)).await
}

pub async fn post(url: &str, timeout: Duration) -> Result<(u16, String), String> {
    send(client(url, timeout, &Way::default())?.post(url)).await
}

/// Status and body of a POST with these headers, as `plain` signs it.
pub(super) async fn send_signed(
    url: &str,
    headers: &[(String, String)],
    body: String,
    timeout: Duration,
) -> Result<(u16, String), String> {
    let mut request = client(url, timeout, &Way::default())?.post(url).body(body);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    send(request).await
}

/// The `Date` of an answer, whatever its status.
pub async fn date(url: &str, timeout: Duration) -> Option<String> {
    let answer = client(url, timeout, &Way::default()).ok()?.get(url).send().await.ok()?;
    let date = answer.headers().get(reqwest::header::DATE)?;
    date.to_str().ok().map(str::to_owned)
}

async fn send(request: reqwest::RequestBuilder) -> Result<(u16, String), String> {
    let answer = request.send().await.map_err(|error| root(&error))?;
    let status = answer.status().as_u16();
    // A long or endless body is nothing that a health check has.
    let body = answer.text().await.map_err(|error| root(&error))?;
    Ok((status, body))
}

/// A client that follows no redirect, and asks no proxy for this machine.
pub(super) fn client(url: &str, timeout: Duration, way: &Way) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none());
    if let Some(path) = way.authority.filter(|_| url.starts_with("https:")) {
        let cannot =
            |error: &dyn std::fmt::Display| format!("the authority in {} cannot be used: {error}", path.display());
        let pem = std::fs::read(path).map_err(|error| cannot(&error))?;
        let certificate = reqwest::Certificate::from_pem(&pem).map_err(|error| cannot(&error))?;
        builder = builder.tls_certs_only([certificate]);
    }
    if !way.addresses.is_empty() {
        builder = builder.resolve_to_addrs(&host(url), &way.addresses);
    }
    if is_loopback(url) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| error.to_string())
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

/// The innermost cause: "Connection refused" says more than "error sending request".
pub(super) fn root(error: &dyn std::error::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_never_asked_for_this_machine() {
        assert!(is_loopback("http://localhost:8080/x") && is_loopback("http://127.186.0.1"));
        assert!(!is_loopback("http://my-alb.eu-west-1.elb.amazonaws.com"));
    }

    #[tokio::test]
    async fn a_name_that_dns_does_not_know_yet_is_asked_where_it_will_be() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("its address");
        tokio::spawn(async move {
            let (mut stream, _) = socket.accept().await.expect("a client");
            let mut asked = [0; 1024];
            let length = stream.read(&mut asked).await.expect("a request");
            let body = String::from_utf8_lossy(&asked[..length]).to_lowercase();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            stream
                .write_all(format!("{head}{body}").as_bytes())
                .await
                .expect("an answer");
        });
        let way = Way {
            addresses: vec![address],
            ..Way::default()
        };
        let url = format!("http://patients.invalid:{}/docs/", address.port());
        let (status, heard) = get_by(&way, &url, Duration::from_secs(5)).await.expect("an answer");
        assert_eq!(status, 200);
        assert!(
            heard.contains(&format!("host: patients.invalid:{}", address.port())),
            "{heard}"
        );
    }
}
