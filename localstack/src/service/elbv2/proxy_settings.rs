//! The settings of the proxy, from the attributes and properties of records.

use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::attribute_kind::Kind;
use super::attribute_table::{LISTENERS, RESPONSE_HEADER};
use super::model::{integer, text};
use crate::AwsError;
use crate::records::Record;
use crate::runtime::load_balancer::{
    Algorithm, DesyncMode, ForwardedFor, ListenerAttributes, LoadBalancerAttributes, MinimumHealthy, Stickiness,
    TargetGroupSettings, TargetProtocol,
};

pub fn of_load_balancer(record: &Record) -> LoadBalancerAttributes {
    let kind = Kind::LoadBalancer;
    let is_true = |key| kind.is_true(record, key);
    let seconds = |key| Duration::from_secs(kind.number(record, key));
    LoadBalancerAttributes {
        idle_timeout: seconds("idle_timeout.timeout_seconds"),
        client_keep_alive: seconds("client_keep_alive.seconds"),
        desync: match kind.value(record, "routing.http.desync_mitigation_mode").as_str() {
            "monitor" => DesyncMode::Monitor,
            "strictest" => DesyncMode::Strictest,
            _ => DesyncMode::Defensive,
        },
        drop_invalid_headers: is_true("routing.http.drop_invalid_header_fields.enabled"),
        forwarded_for: match kind.value(record, "routing.http.xff_header_processing.mode").as_str() {
            "preserve" => ForwardedFor::Preserve,
            "remove" => ForwardedFor::Remove,
            _ => ForwardedFor::Append {
                port: is_true("routing.http.xff_client_port.enabled"),
            },
        },
        preserve_host: is_true("routing.http.preserve_host_header.enabled"),
        tls_headers: is_true("routing.http.x_amzn_tls_version_and_cipher_suite.enabled"),
    }
}

/// Reads the attributes of a listener.
///
/// # Errors
/// `ValidationError` for a value that is no header.
pub fn of_listener(record: &Record) -> Result<ListenerAttributes, AwsError> {
    let kind = Kind::Listener;
    let value = |key: &str| kind.value(record, key);
    let invalid = |key: &str| AwsError::validation(format!("'{}' is not a valid value for '{key}'", value(key)));
    let name = |key: &str| HeaderName::try_from(value(key).to_ascii_lowercase()).map_err(|_| invalid(key));
    let mut response = Vec::new();
    for key in LISTENERS.iter().map(|known| known.key) {
        let (prefix, suffix) = RESPONSE_HEADER;
        let Some(header) = key.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(suffix)) else {
            continue;
        };
        if !value(key).is_empty() {
            let header = HeaderName::try_from(header.replace('_', "-")).map_err(|_| invalid(key))?;
            response.push((header, HeaderValue::try_from(value(key)).map_err(|_| invalid(key))?));
        }
    }
    Ok(ListenerAttributes {
        server: kind.is_true(record, "routing.http.response.server.enabled"),
        response,
        tls_version: name("routing.http.request.x_amzn_tls_version.header_name")?,
        tls_cipher: name("routing.http.request.x_amzn_tls_cipher_suite.header_name")?,
    })
}

/// Returns the protocol version of a target group.
///
/// # Errors
/// `ValidationError` for one that AWS does not have.
pub fn protocol(record: &Record) -> Result<TargetProtocol, AwsError> {
    match record.text("ProtocolVersion").as_deref() {
        None | Some("" | "HTTP1") => Ok(TargetProtocol::Http1),
        Some("HTTP2") => Ok(TargetProtocol::Http2),
        Some("GRPC") => Ok(TargetProtocol::Grpc),
        Some(other) => Err(AwsError::validation(format!(
            "Protocol version '{other}' must be one of 'GRPC, HTTP1, HTTP2'"
        ))),
    }
}

/// Returns the path of a target group's health check (Elastic Load Balancing API, `CreateTargetGroup`).
pub fn health_check_path(record: &Record) -> String {
    let default = match record.text("ProtocolVersion").as_deref() {
        Some("GRPC") => "/AWS.ALB/healthcheck",
        _ => "/",
    };
    record.text("HealthCheckPath").unwrap_or_else(|| default.into())
}

/// Returns the member of `Matcher` and its value: the codes of a healthy target.
pub fn matcher(record: &Record) -> (&'static str, String) {
    let (member, default) = match record.text("ProtocolVersion").as_deref() {
        Some("GRPC") => ("GrpcCode", "12"),
        _ => ("HttpCode", "200"),
    };
    let matcher = record.properties.get("Matcher");
    let codes = matcher.and_then(|matcher| text(matcher, member));
    (member, codes.unwrap_or_else(|| default.into()))
}

pub fn of_target_group(record: &Record) -> Result<TargetGroupSettings, AwsError> {
    let seconds = |property: &str, default: i64| {
        Duration::from_secs(
            integer(record, property)
                .unwrap_or(default)
                .clamp(1, 300)
                .unsigned_abs(),
        )
    };
    let count = |property: &str, default: u32| {
        integer(record, property)
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(default)
            .clamp(1, 10)
    };
    let range = |part: &str| -> Option<(u16, u16)> {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        Some((low.trim().parse().ok()?, high.trim().parse().ok()?))
    };
    let kind = Kind::TargetGroup;
    let number = |key: &str| kind.number(record, key);
    let minimum = |of: &str| {
        let key = format!("target_group_health.unhealthy_state_routing.minimum_healthy_targets.{of}");
        usize::try_from(number(&key)).unwrap_or_default()
    };
    Ok(TargetGroupSettings {
        path: health_check_path(record),
        port: integer(record, "HealthCheckPort").and_then(|p| u16::try_from(p).ok()),
        interval: seconds("HealthCheckIntervalSeconds", 30),
        timeout: seconds("HealthCheckTimeoutSeconds", 5),
        healthy_threshold: count("HealthyThresholdCount", 5),
        unhealthy_threshold: count("UnhealthyThresholdCount", 2),
        matcher: matcher(record).1.split(',').filter_map(range).collect(),
        protocol: protocol(record)?,
        algorithm: match kind.value(record, "load_balancing.algorithm.type").as_str() {
            "least_outstanding_requests" => Algorithm::LeastOutstanding,
            "weighted_random" => Algorithm::Random,
            _ => Algorithm::RoundRobin,
        },
        slow_start: Duration::from_secs(number("slow_start.duration_seconds")),
        stickiness: stickiness(record),
        minimum_healthy: MinimumHealthy {
            count: minimum("count"),
            percent: minimum("percentage"),
        },
        deregistration_delay: Duration::from_secs(number("deregistration_delay.timeout_seconds")),
    })
}

fn stickiness(record: &Record) -> Option<Stickiness> {
    let kind = Kind::TargetGroup;
    if !kind.is_true(record, "stickiness.enabled") {
        return None;
    }
    let seconds = |key| Duration::from_secs(kind.number(record, key));
    Some(match kind.value(record, "stickiness.type").as_str() {
        "app_cookie" => Stickiness::Application {
            cookie: kind.value(record, "stickiness.app_cookie.cookie_name"),
            duration: seconds("stickiness.app_cookie.duration_seconds"),
        },
        _ => Stickiness::LoadBalancer(seconds("stickiness.lb_cookie.duration_seconds")),
    })
}
