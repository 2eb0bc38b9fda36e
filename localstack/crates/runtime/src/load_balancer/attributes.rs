//! The attributes of load balancers and listeners that the proxy acts on.

use std::time::Duration;

use http::header::{HeaderName, HeaderValue};

pub use super::desync::Mode as DesyncMode;

/// Attributes of a load balancer.
#[derive(Debug, Clone)]
pub struct LoadBalancerAttributes {
    /// `idle_timeout.timeout_seconds`.
    pub idle_timeout: Duration,
    /// `client_keep_alive.seconds`.
    pub client_keep_alive: Duration,
    /// `routing.http.desync_mitigation_mode`.
    pub desync: DesyncMode,
    /// `routing.http.drop_invalid_header_fields.enabled`.
    pub drop_invalid_headers: bool,
    /// `routing.http.xff_header_processing.mode`.
    pub forwarded_for: ForwardedFor,
    /// `routing.http.preserve_host_header.enabled`.
    pub preserve_host: bool,
    /// `routing.http.x_amzn_tls_version_and_cipher_suite.enabled`.
    pub tls_headers: bool,
}

/// Processing of `X-Forwarded-For`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedFor {
    /// Adds the client, with its port if `routing.http.xff_client_port.enabled`.
    Append {
        /// True with the client's port.
        port: bool,
    },
    /// Leaves it as it is.
    Preserve,
    /// Removes it.
    Remove,
}

impl Default for LoadBalancerAttributes {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_mins(1),
            client_keep_alive: Duration::from_hours(1),
            desync: DesyncMode::default(),
            drop_invalid_headers: false,
            forwarded_for: ForwardedFor::Append { port: false },
            preserve_host: false,
            tls_headers: false,
        }
    }
}

/// Attributes of a listener: headers of its responses and requests ("HTTP header modification for your Application Load Balancer").
#[derive(Debug, Clone)]
pub struct ListenerAttributes {
    /// False if the header `Server` is removed from responses.
    pub server: bool,
    /// Headers that replace those of the response.
    pub response: Vec<(HeaderName, HeaderValue)>,
    /// The name of the header with the TLS version.
    pub tls_version: HeaderName,
    /// The name of the header with the cipher suite.
    pub tls_cipher: HeaderName,
}

impl Default for ListenerAttributes {
    fn default() -> Self {
        Self {
            server: true,
            response: Vec::new(),
            tls_version: HeaderName::from_static("x-amzn-tls-version"),
            tls_cipher: HeaderName::from_static("x-amzn-tls-cipher-suite"),
        }
    }
}
