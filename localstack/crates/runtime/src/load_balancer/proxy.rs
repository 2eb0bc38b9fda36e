//! One request through the load balancer.

use std::convert::Infallible;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::client_stream::TargetScan;
use super::connection::Connection;
use super::request_body::RequestBody;
use super::responses::{self, Body};
use super::rule::{Action, host_of};
use super::target::Target;
use super::{ListenerConfig, LoadBalancers, head};

/// Headers of one connection only (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The connection pool to the targets.
pub struct Client(hyper_util::client::legacy::Client<HttpConnector, Body>);

impl Default for Client {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(Duration::from_secs(10)));
        connector.set_nodelay(true);
        let pool = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(15))
            .build(connector);
        Self(pool)
    }
}

/// Applies the action of the first matching rule.
pub async fn handle(
    balancers: Arc<LoadBalancers>,
    config: Arc<ListenerConfig>,
    connection: Connection,
    scan: TargetScan,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let peer = connection.peer.ip();
    let awaits_continue = request.headers().contains_key(header::EXPECT);
    let has_fragment = scan.take_fragment();
    let mut request = request.map(|body| RequestBody::new(body, awaits_continue, scan));
    if let Some(status) = head::fault(&request).or(has_fragment.then_some(400)) {
        let mut response = responses::error(status);
        if request.version() < http::Version::HTTP_2 {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        return Ok(response);
    }
    // The host of an absolute target replaces that of the header (RFC 9112, 3.2.2); HTTP/2 has no header.
    if let Some(authority) = request.uri().authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(header::HOST, host);
    }
    let Some(rule) = config.rules.iter().find(|rule| rule.matches(&request, peer)) else {
        return Ok(responses::error(404));
    };
    let response = responses::without_target(&rule.action, request.uri(), host_of(&request), connection);
    if let Some(response) = response {
        return Ok(response);
    }
    let Action::Forward(groups) = &rule.action else {
        return Ok(responses::error(500));
    };
    let Some(target) = choose(&balancers, groups) else {
        return Ok(responses::error(503));
    };
    Ok(forward(&balancers.client, &target, connection, config.idle_timeout, request).await)
}

/// Picks a target group by weight, then a target in it.
fn choose(balancers: &LoadBalancers, groups: &[(String, u32)]) -> Option<Arc<Target>> {
    let total: u32 = groups.iter().map(|(_, weight)| weight).sum();
    if total == 0 {
        return None;
    }
    let mut point = rand::random_range(0..total);
    for (arn, weight) in groups {
        if point < *weight {
            return balancers.target_group(arn)?.pick();
        }
        point -= weight;
    }
    None
}

async fn forward(
    client: &Client,
    target: &Arc<Target>,
    connection: Connection,
    idle_timeout: Duration,
    request: Request<RequestBody>,
) -> Response<Body> {
    let in_flight = target.start_request();
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |p| p.as_str());
    let Ok(uri) = format!("http://{}{path}", target.address).parse::<Uri>() else {
        return responses::error(400);
    };
    parts.uri = uri;
    parts.version = http::Version::HTTP_11;
    remove_hop_by_hop(&mut parts.headers);
    join_cookies(&mut parts.headers);
    add_forwarded(&mut parts.headers, connection);
    let progress = body.progress();
    let sent = client.0.request(Request::from_parts(parts, body.boxed()));
    match tokio::time::timeout(idle_timeout, sent).await {
        Ok(Ok(response)) => {
            let (mut parts, body) = response.into_parts();
            remove_hop_by_hop(&mut parts.headers);
            // The body owns the guard: a target drains until the last byte of its last response is sent.
            let body = body.map_frame(move |frame| {
                let _ = &in_flight;
                frame
            });
            Response::from_parts(parts, body.boxed())
        }
        // The client's fault: a malformed chunk, or the end of the connection in the middle of the body.
        Ok(Err(_)) if progress.is_failed() => responses::error(400),
        Ok(Err(error)) => {
            let timed_out = error.is_connect() && is_timeout(&error);
            tracing::debug!(target.address = %target.address, %error, "a target did not respond");
            responses::error(if timed_out { 504 } else { 502 })
        }
        Err(_) if progress.is_awaited() => responses::error(408),
        Err(_) => responses::error(504),
    }
}

fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    let io_error = error.downcast_ref::<io::Error>();
    io_error.is_some_and(|error| error.kind() == ErrorKind::TimedOut) || error.source().is_some_and(is_timeout)
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
}

/// Joins the cookies of HTTP/2, which may be separate headers, into the one header of HTTP/1.1 (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let all: Vec<&[u8]> = headers
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if all.len() > 1
        && let Ok(one) = HeaderValue::from_bytes(&all.join(&b"; "[..]))
    {
        headers.insert(header::COOKIE, one);
    }
}

/// Adds the client to `X-Forwarded-For`, after the proxies before this one, and the other headers of an ALB.
fn add_forwarded(headers: &mut HeaderMap, connection: Connection) {
    let before: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|v| v.to_str().ok())
        .collect();
    let chain = before
        .into_iter()
        .map(str::to_owned)
        .chain([connection.peer.ip().to_string()])
        .collect::<Vec<_>>()
        .join(", ");
    if let Ok(value) = HeaderValue::from_str(&chain) {
        headers.insert("x-forwarded-for", value);
    }
    headers.insert("x-forwarded-proto", HeaderValue::from_static(connection.scheme()));
    headers.insert("x-forwarded-port", HeaderValue::from(connection.port));
    if !headers.contains_key("x-amzn-trace-id") {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let seconds = time::OffsetDateTime::now_utc().unix_timestamp();
        if let Ok(value) = HeaderValue::from_str(&format!("Root=1-{seconds:08x}-{}", &id[..24])) {
            headers.insert("x-amzn-trace-id", value);
        }
    }
}
