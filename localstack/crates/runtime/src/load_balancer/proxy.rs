//! One request through the load balancer.

use std::convert::Infallible;
use std::sync::Arc;

use http::header::{self, HeaderValue};
use http::{Method, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, Response};

use super::desync::Verdict;
use super::request_body::RequestBody;
use super::request_headers;
use super::response_body::ResponseBody;
use super::responses::{self, Body};
use super::rule::{Action, host_of};
use super::session::Session;
use super::target::Target;
use super::target_client::SendError;
use super::target_group::TargetGroup;
use super::target_group_settings::TargetProtocol;
use super::{ListenerConfig, LoadBalancers, head, websocket};

/// Applies the action of the first matching rule.
pub async fn handle(
    balancers: Arc<LoadBalancers>,
    config: Arc<ListenerConfig>,
    session: Arc<Session>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let verdict = session.next_verdict();
    let version = request.version();
    // "HTTP client keepalive duration": the connection ends with the response to the first request after it.
    let is_old = session.is_older_than(config.balancer.client_keep_alive);
    let closes = is_old || config.balancer.desync.closes_after(verdict.class);
    let result = respond(&balancers, &config, &session, verdict, request).await;
    let is_rejected = matches!(result, Err(Rejected(_)));
    let mut response = result.unwrap_or_else(|Rejected(status)| responses::error(status));
    let headers = response.headers_mut();
    if !config.attributes.server {
        headers.remove(header::SERVER);
    }
    for (name, value) in &config.attributes.response {
        headers.insert(name.clone(), value.clone());
    }
    if (closes || is_rejected) && version < Version::HTTP_2 && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    Ok(response)
}

/// A request that is not forwarded, and whose connection is closed.
struct Rejected(u16);

async fn respond(
    balancers: &LoadBalancers,
    config: &ListenerConfig,
    session: &Arc<Session>,
    verdict: Verdict,
    request: Request<Incoming>,
) -> Result<Response<Body>, Rejected> {
    let connection = session.connection;
    let awaits_continue = request.headers().contains_key(header::EXPECT);
    let mut request = request.map(|body| RequestBody::new(body, awaits_continue));
    if let Some(status) = head::fault(&request).or(verdict.has_fragment.then_some(400)) {
        return Err(Rejected(status));
    }
    if config.balancer.desync.blocks(verdict.class) {
        tracing::debug!(
            port = connection.port,
            reason = verdict.reason,
            "desync mitigation blocked a request"
        );
        return Err(Rejected(400));
    }
    if request_headers::has_too_many_addresses(request.headers()) {
        return Ok(responses::error(463));
    }
    if config.balancer.drop_invalid_headers {
        request_headers::drop_invalid(request.headers_mut());
    }
    // The host of an absolute target replaces that of the header (RFC 9112, 3.2.2); HTTP/2 has no header.
    if let Some(authority) = request.uri().authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(header::HOST, host);
    }
    let peer = connection.peer.ip();
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
    let Some(group) = choose(balancers, groups) else {
        return Ok(responses::error(503));
    };
    let protocol = group.settings().protocol;
    if is_incompatible(&request, protocol) {
        return Ok(responses::error(464));
    }
    let stickiness = group.settings().stickiness;
    let bound = stickiness
        .as_ref()
        .and_then(|sticky| sticky.bound_to(request.headers()));
    let Some(target) = group.pick(bound.as_deref()) else {
        return Ok(responses::error(503));
    };
    let closes = config.balancer.desync.closes_after(verdict.class);
    let mut response = forward(balancers, config, session, &target, protocol, closes, request).await;
    if let Some(sticky) = stickiness {
        sticky.bind(&target, response.headers_mut(), connection.tls.is_some());
    }
    Ok(response)
}

/// Picks a target group by weight.
fn choose(balancers: &LoadBalancers, groups: &[(String, u32)]) -> Option<Arc<TargetGroup>> {
    let total: u32 = groups.iter().map(|(_, weight)| weight).sum();
    if total == 0 {
        return None;
    }
    let mut point = rand::random_range(0..total);
    for (arn, weight) in groups {
        if point < *weight {
            return balancers.target_group(arn);
        }
        point -= weight;
    }
    None
}

/// Returns true for the error 464 ("Troubleshoot your Application Load Balancers"): HTTP/1 to a group of HTTP/2 or gRPC, gRPC to one
/// of HTTP/1, or a method other than POST to one of gRPC.
fn is_incompatible<B>(request: &Request<B>, protocol: TargetProtocol) -> bool {
    let is_http2 = request.version() == Version::HTTP_2;
    let content_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .map_or(&[][..], HeaderValue::as_bytes);
    match protocol {
        TargetProtocol::Http1 => is_http2 && content_type.starts_with(b"application/grpc"),
        TargetProtocol::Http2 => !is_http2,
        TargetProtocol::Grpc => !is_http2 || request.method() != Method::POST,
    }
}

async fn forward(
    balancers: &LoadBalancers,
    config: &ListenerConfig,
    session: &Arc<Session>,
    target: &Arc<Target>,
    protocol: TargetProtocol,
    closes: bool,
    mut request: Request<RequestBody>,
) -> Response<Body> {
    let in_flight = target.start_request();
    let idle_timeout = config.balancer.idle_timeout;
    let is_websocket = protocol == TargetProtocol::Http1 && websocket::is_requested(&request);
    let client_upgrade = is_websocket.then(|| hyper::upgrade::on(&mut request));
    let (mut parts, body) = request.into_parts();
    let headers = &mut parts.headers;
    let accepts_trailers = headers.get(header::TE).is_some_and(|te| te == "trailers");
    request_headers::remove_hop_by_hop(headers);
    request_headers::join_cookies(headers);
    request_headers::add_forwarded(headers, session.connection, &config.balancer, &config.attributes);
    if is_websocket {
        websocket::set_headers(headers);
    } else if protocol != TargetProtocol::Http1 {
        // The only value of TE that HTTP/2 has (RFC 9113, 8.2.2); gRPC requires it.
        if accepts_trailers {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
    } else if closes {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let (progress, activity) = (body.progress(), body.activity());
    activity.touch();
    let request = Request::from_parts(parts, body.map_err(Into::into).boxed());
    let sent = {
        let _awaiting = session.await_target();
        tokio::select! {
            sent = balancers.client.send(target, protocol, request) => Some(sent),
            () = activity.idle(idle_timeout) => None,
        }
    };
    let mut response = match sent {
        Some(Ok(response)) => response,
        // The client's fault: a malformed chunk, or the end of the connection in the middle of the body.
        Some(Err(_)) if progress.is_failed() => return responses::error(400),
        Some(Err(error)) => {
            tracing::debug!(target.address = %target.address, %error, "a target did not respond");
            let status = if matches!(error, SendError::ConnectTimeout) {
                504
            } else {
                502
            };
            return responses::error(status);
        }
        None if progress.is_awaited() => return responses::error(408),
        None => return responses::error(504),
    };
    activity.touch();
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let Some(client_upgrade) = client_upgrade else {
            return responses::error(502);
        };
        let target_upgrade = hyper::upgrade::on(&mut response);
        session.upgrade();
        let relay = websocket::relay(session.clone(), client_upgrade, target_upgrade, in_flight, idle_timeout);
        tokio::spawn(relay);
        let (mut parts, _) = response.into_parts();
        request_headers::remove_hop_by_hop(&mut parts.headers);
        websocket::set_headers(&mut parts.headers);
        return Response::from_parts(parts, responses::full(String::new()));
    }
    let (mut parts, body) = response.into_parts();
    request_headers::remove_hop_by_hop(&mut parts.headers);
    let body = ResponseBody::new(body, activity, idle_timeout, in_flight);
    Response::from_parts(parts, body.boxed())
}
