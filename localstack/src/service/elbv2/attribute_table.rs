//! All attributes of application load balancers, their target groups and listeners, with their defaults and effect here.
//!
//! Keys, values and defaults: Elastic Load Balancing API, `LoadBalancerAttribute`, `TargetGroupAttribute`, `ListenerAttribute`.

use std::fmt;

/// An attribute.
pub struct Attribute {
    pub key: &'static str,
    pub default: &'static str,
    pub values: Values,
    pub effect: Effect,
    /// False for an attribute that descriptions have only if it is set.
    pub is_shown: bool,
}

/// The effect of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Acted,
    /// Stored and shown; the reason why it changes nothing here.
    Kept(&'static str),
    /// Only the default is accepted; the reason.
    Refused(&'static str),
}

/// The values of an attribute.
#[derive(Clone, Copy)]
pub enum Values {
    Bool,
    /// Inclusive.
    Number(u64, u64),
    /// `off`, or a number.
    OffOr(u64, u64),
    OneOf(&'static [&'static str]),
    Text,
}

impl Values {
    pub fn contain(self, value: &str) -> bool {
        let is_within = |low, high| value.parse().is_ok_and(|number: u64| (low..=high).contains(&number));
        match self {
            Self::Bool => matches!(value, "true" | "false"),
            Self::Number(low, high) => is_within(low, high),
            Self::OffOr(low, high) => value == "off" || is_within(low, high),
            Self::OneOf(all) => all.contains(&value),
            Self::Text => true,
        }
    }
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("true or false"),
            Self::Number(low, high) => write!(f, "a number between {low} and {high}"),
            Self::OffOr(low, high) => write!(f, "off or a number between {low} and {high}"),
            Self::OneOf(all) => write!(f, "one of {}", all.join(", ")),
            Self::Text => f.write_str("text"),
        }
    }
}

const fn acted(key: &'static str, default: &'static str, values: Values) -> Attribute {
    Attribute {
        key,
        default,
        values,
        effect: Effect::Acted,
        is_shown: true,
    }
}

const fn kept(key: &'static str, default: &'static str, values: Values, reason: &'static str) -> Attribute {
    Attribute {
        effect: Effect::Kept(reason),
        ..acted(key, default, values)
    }
}

const fn refused(key: &'static str, default: &'static str, values: Values, reason: &'static str) -> Attribute {
    Attribute {
        effect: Effect::Refused(reason),
        ..acted(key, default, values)
    }
}

const fn hidden(attribute: Attribute) -> Attribute {
    Attribute {
        is_shown: false,
        ..attribute
    }
}

const NO_LOGS: &str = "the endpoint delivers no logs of load balancers";
const NO_ZONES: &str = "all zones are this machine";
const NO_FIREWALL: &str = "no web ACL can be associated";
const NO_CLIENT_CERTIFICATES: &str = "client certificates are not supported";

pub const LOAD_BALANCERS: &[Attribute] = &[
    kept("access_logs.s3.enabled", "false", Values::Bool, NO_LOGS),
    kept("access_logs.s3.bucket", "", Values::Text, NO_LOGS),
    kept("access_logs.s3.prefix", "", Values::Text, NO_LOGS),
    acted("client_keep_alive.seconds", "3600", Values::Number(60, 604_800)),
    kept("connection_logs.s3.enabled", "false", Values::Bool, NO_LOGS),
    kept("connection_logs.s3.bucket", "", Values::Text, NO_LOGS),
    kept("connection_logs.s3.prefix", "", Values::Text, NO_LOGS),
    acted("deletion_protection.enabled", "false", Values::Bool),
    hidden(kept("health_check_logs.s3.enabled", "false", Values::Bool, NO_LOGS)),
    hidden(kept("health_check_logs.s3.bucket", "", Values::Text, NO_LOGS)),
    hidden(kept("health_check_logs.s3.prefix", "", Values::Text, NO_LOGS)),
    acted("idle_timeout.timeout_seconds", "60", Values::Number(1, 4000)),
    hidden(kept(
        "ipv6.deny_all_igw_traffic",
        "false",
        Values::Bool,
        "load balancers are on loopback, which no gateway reaches",
    )),
    refused(
        "load_balancing.cross_zone.enabled",
        "true",
        Values::Bool,
        "it cannot be changed for an application load balancer",
    ),
    acted(
        "routing.http.desync_mitigation_mode",
        "defensive",
        Values::OneOf(&["monitor", "defensive", "strictest"]),
    ),
    acted("routing.http.drop_invalid_header_fields.enabled", "false", Values::Bool),
    acted("routing.http.preserve_host_header.enabled", "false", Values::Bool),
    hidden(refused(
        "routing.http.x_amzn_tls_kx.enabled",
        "false",
        Values::Bool,
        "the key exchange group is not passed on",
    )),
    acted(
        "routing.http.x_amzn_tls_version_and_cipher_suite.enabled",
        "false",
        Values::Bool,
    ),
    acted("routing.http.xff_client_port.enabled", "false", Values::Bool),
    acted(
        "routing.http.xff_header_processing.mode",
        "append",
        Values::OneOf(&["append", "preserve", "remove"]),
    ),
    acted("routing.http2.enabled", "true", Values::Bool),
    kept("waf.fail_open.enabled", "false", Values::Bool, NO_FIREWALL),
    kept("zonal_shift.config.enabled", "false", Values::Bool, NO_ZONES),
];

const WEEK: u64 = 604_800;

pub const TARGET_GROUPS: &[Attribute] = &[
    acted("deregistration_delay.timeout_seconds", "300", Values::Number(0, 3600)),
    refused(
        "load_balancing.algorithm.anomaly_mitigation",
        "off",
        Values::OneOf(&["on", "off"]),
        "anomalies of targets are not detected",
    ),
    acted(
        "load_balancing.algorithm.type",
        "round_robin",
        Values::OneOf(&["round_robin", "least_outstanding_requests", "weighted_random"]),
    ),
    kept(
        "load_balancing.cross_zone.enabled",
        "use_load_balancer_configuration",
        Values::OneOf(&["true", "false", "use_load_balancer_configuration"]),
        NO_ZONES,
    ),
    acted("slow_start.duration_seconds", "0", Values::Number(30, 900)),
    acted("stickiness.app_cookie.cookie_name", "", Values::Text),
    acted(
        "stickiness.app_cookie.duration_seconds",
        "86400",
        Values::Number(1, WEEK),
    ),
    acted("stickiness.enabled", "false", Values::Bool),
    acted(
        "stickiness.lb_cookie.duration_seconds",
        "86400",
        Values::Number(1, WEEK),
    ),
    acted(
        "stickiness.type",
        "lb_cookie",
        Values::OneOf(&["lb_cookie", "app_cookie"]),
    ),
    kept(
        "target_group_health.dns_failover.minimum_healthy_targets.count",
        "1",
        Values::OffOr(1, 1000),
        NO_ZONES,
    ),
    kept(
        "target_group_health.dns_failover.minimum_healthy_targets.percentage",
        "off",
        Values::OffOr(1, 100),
        NO_ZONES,
    ),
    acted(
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
        "1",
        Values::Number(1, 1000),
    ),
    acted(
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
        "off",
        Values::OffOr(1, 100),
    ),
    hidden(refused(
        "routing.http2.rst_stream_error_forwarding.enabled",
        "false",
        Values::Bool,
        "a stream that the target resets is the error 502",
    )),
    hidden(kept(
        "waf.http2.traffic_inspection_behavior",
        "inspect_immediately",
        Values::OneOf(&["inspect_immediately", "inspect_after_sufficient_data"]),
        NO_FIREWALL,
    )),
];

/// The beginning and the end of the attributes that set a header of the response, whose name is between them.
pub const RESPONSE_HEADER: (&str, &str) = ("routing.http.response.", ".header_value");

pub const LISTENERS: &[Attribute] = &[
    acted("routing.http.response.server.enabled", "true", Values::Bool),
    acted(
        "routing.http.response.access_control_allow_credentials.header_value",
        "",
        Values::OneOf(&["true"]),
    ),
    acted(
        "routing.http.response.access_control_allow_headers.header_value",
        "",
        Values::Text,
    ),
    acted(
        "routing.http.response.access_control_allow_methods.header_value",
        "",
        Values::Text,
    ),
    acted(
        "routing.http.response.access_control_allow_origin.header_value",
        "",
        Values::Text,
    ),
    acted(
        "routing.http.response.access_control_expose_headers.header_value",
        "",
        Values::Text,
    ),
    acted(
        "routing.http.response.access_control_max_age.header_value",
        "",
        Values::Number(0, u64::MAX),
    ),
    acted(
        "routing.http.response.content_security_policy.header_value",
        "",
        Values::Text,
    ),
    acted(
        "routing.http.response.strict_transport_security.header_value",
        "",
        Values::Text,
    ),
    acted(
        "routing.http.response.x_content_type_options.header_value",
        "",
        Values::OneOf(&["nosniff"]),
    ),
    acted("routing.http.response.x_frame_options.header_value", "", Values::Text),
    hidden(acted(
        "routing.http.request.x_amzn_tls_version.header_name",
        "X-Amzn-Tls-Version",
        Values::Text,
    )),
    hidden(acted(
        "routing.http.request.x_amzn_tls_cipher_suite.header_name",
        "X-Amzn-Tls-Cipher-Suite",
        Values::Text,
    )),
    hidden(mutual("routing.http.request.x_amzn_mtls_clientcert.header_name")),
    hidden(mutual("routing.http.request.x_amzn_mtls_clientcert_issuer.header_name")),
    hidden(mutual("routing.http.request.x_amzn_mtls_clientcert_leaf.header_name")),
    hidden(mutual(
        "routing.http.request.x_amzn_mtls_clientcert_serial_number.header_name",
    )),
    hidden(mutual(
        "routing.http.request.x_amzn_mtls_clientcert_subject.header_name",
    )),
    hidden(mutual(
        "routing.http.request.x_amzn_mtls_clientcert_validity.header_name",
    )),
];

const fn mutual(key: &'static str) -> Attribute {
    refused(key, "", Values::Text, NO_CLIENT_CERTIFICATES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_in_its_table_once_and_its_default_is_a_value() {
        for table in [LOAD_BALANCERS, TARGET_GROUPS, LISTENERS] {
            for (n, one) in table.iter().enumerate() {
                assert!(table[n + 1..].iter().all(|other| other.key != one.key), "{}", one.key);
                let is_off = matches!(one.default, "" | "0");
                assert!(is_off || one.values.contain(one.default), "{}", one.key);
            }
        }
    }
}
