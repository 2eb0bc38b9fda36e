//! One request through the load balancer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::listener::Via;
use super::rule::{Action, host_of};
use super::{Balancers, ListenerRules, Target, answer};
use endpoint_core::Context;

pub type Body = BoxBody<Bytes, hyper::Error>;

/// Headers that belong to one connection (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The pool of connections to targets.
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

/// Finds the rule that applies and does what it says.
pub async fn answer(
    cx: Context,
    rules: Arc<ListenerRules>,
    via: Via,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let Some(rule) = rules.rules.iter().find(|rule| rule.applies(&request, via.peer.ip())) else {
        return Ok(answer::error(404));
    };
    if let Some(own) = answer::without_target(&rule.action, request.uri(), host_of(&request), via) {
        return Ok(own);
    }
    let balancers = cx.part::<Balancers>();
    let Action::Forward(groups) = &rule.action else {
        return Ok(answer::error(500));
    };
    let Some(target) = choose(&balancers, groups) else {
        return Ok(answer::error(503));
    };
    Ok(forward(&balancers.client, &target, via, rules.idle_timeout, request).await)
}

/// Weighs the groups, then takes the turn within the one chosen.
fn choose(balancers: &Balancers, groups: &[(String, u32)]) -> Option<Arc<Target>> {
    let total: u32 = groups.iter().map(|(_, weight)| weight).sum();
    if total == 0 {
        return None;
    }
    let mut point = rand::random_range(0..total);
    for (arn, weight) in groups {
        if point < *weight {
            return balancers.group(arn)?.pick();
        }
        point -= weight;
    }
    None
}

async fn forward(
    client: &Client,
    target: &Arc<Target>,
    via: Via,
    idle: Duration,
    request: Request<Incoming>,
) -> Response<Body> {
    let under_way = target.begin();
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |p| p.as_str());
    let Ok(uri) = format!("http://{}{path}", target.address).parse::<Uri>() else {
        return answer::error(400);
    };
    if !parts.headers.contains_key(header::HOST)
        && let Some(authority) = parts.uri.authority()
        && let Ok(value) = HeaderValue::from_str(authority.as_str())
    {
        parts.headers.insert(header::HOST, value);
    }
    parts.uri = uri;
    parts.version = http::Version::HTTP_11;
    strip(&mut parts.headers);
    join_cookies(&mut parts.headers);
    forwarded(&mut parts.headers, via);
    let sent = client.0.request(Request::from_parts(parts, body.boxed()));
    match tokio::time::timeout(idle, sent).await {
        Ok(Ok(found)) => {
            let (mut parts, body) = found.into_parts();
            strip(&mut parts.headers);
            // The guard lives in the body: a target drains until the last byte of its last answer has gone.
            let body = body.map_frame(move |frame| {
                let _ = &under_way;
                frame
            });
            Response::from_parts(parts, body.boxed())
        }
        Ok(Err(error)) => {
            let late = error.is_connect() && format!("{error:?}").contains("TimedOut");
            tracing::debug!(target.address = %target.address, %error, "a target did not answer");
            answer::error(if late { 504 } else { 502 })
        }
        Err(_) => answer::error(504),
    }
}

fn strip(headers: &mut HeaderMap) {
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

/// HTTP/2 may send cookies one by one; HTTP/1.1 has them in one header (RFC 9113, section 8.2.3).
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

/// Says where the request came from, after what proxies before this one said.
fn forwarded(headers: &mut HeaderMap, via: Via) {
    let before: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|v| v.to_str().ok())
        .collect();
    let chain = before
        .into_iter()
        .map(str::to_owned)
        .chain([via.peer.ip().to_string()])
        .collect::<Vec<_>>()
        .join(", ");
    if let Ok(value) = HeaderValue::from_str(&chain) {
        headers.insert("x-forwarded-for", value);
    }
    headers.insert("x-forwarded-proto", HeaderValue::from_static(via.scheme()));
    headers.insert("x-forwarded-port", HeaderValue::from(via.port));
    if !headers.contains_key("x-amzn-trace-id") {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let seconds = time::OffsetDateTime::now_utc().unix_timestamp();
        if let Ok(value) = HeaderValue::from_str(&format!("Root=1-{seconds:08x}-{}", &id[..24])) {
            headers.insert("x-amzn-trace-id", value);
        }
    }
}
