//! The few plain HTTP requests that are not AWS calls: the endpoint's health, and the probe through the load balancer.

use std::time::Duration;

/// Status and body of a GET, or why there was none. Redirects are answers, not followed.
pub async fn get(url: &str, timeout: Duration) -> Result<(u16, String), String> {
    send(reqwest::Method::GET, url, timeout).await
}

pub async fn post(url: &str, timeout: Duration) -> Result<(u16, String), String> {
    send(reqwest::Method::POST, url, timeout).await
}

/// Status and body of a POST with these headers, as `plain` signs it.
pub(super) async fn send_signed(
    url: &str,
    headers: &[(String, String)],
    body: String,
    timeout: Duration,
) -> Result<(u16, String), String> {
    let mut request = client(url, timeout)?.post(url).body(body);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    finish(request).await
}

/// The `Date` of an answer, whatever its status.
pub async fn date(url: &str, timeout: Duration) -> Option<String> {
    let answer = client(url, timeout).ok()?.get(url).send().await.ok()?;
    let date = answer.headers().get(reqwest::header::DATE)?;
    date.to_str().ok().map(str::to_owned)
}

async fn send(method: reqwest::Method, url: &str, timeout: Duration) -> Result<(u16, String), String> {
    finish(client(url, timeout)?.request(method, url)).await
}

async fn finish(request: reqwest::RequestBuilder) -> Result<(u16, String), String> {
    let answer = request.send().await.map_err(|error| root(&error))?;
    let status = answer.status().as_u16();
    // A long or endless body is nothing that a health check has.
    let body = answer.text().await.map_err(|error| root(&error))?;
    Ok((status, body))
}

fn client(url: &str, timeout: Duration) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none());
    if is_loopback(url) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| error.to_string())
}

fn is_loopback(url: &str) -> bool {
    let host = url::Url::parse(url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_default();
    host == "localhost"
        || host.ends_with(".localhost")
        || host.ends_with(".localhost.localstack.cloud")
        || host.starts_with("127.")
        || host == "[::1]"
}

/// The innermost cause: "Connection refused" says more than "error sending request".
fn root(error: &dyn std::error::Error) -> String {
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
}
