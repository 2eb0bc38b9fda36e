//! Rules of a listener: conditions and an action.

use std::net::IpAddr;

use hyper::Request;
use ipnet::IpNet;

use super::pattern::matches;

/// A listener rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// All of them must match.
    pub conditions: Vec<Condition>,
    /// Handles the requests that match.
    pub action: Action,
}

/// A rule condition: one of its patterns must match. Patterns contain `*` and `?`.
#[derive(Debug, Clone)]
pub enum Condition {
    /// `path-pattern`; case-sensitive.
    Path(Vec<String>),
    /// `host-header`.
    Host(Vec<String>),
    /// `http-header`: a header and patterns of its value.
    Header(String, Vec<String>),
    /// `http-request-method`; exact.
    Method(Vec<String>),
    /// Patterns of key and value; `None` matches any key.
    Query(Vec<(Option<String>, String)>),
    /// `source-ip`: blocks that contain the client.
    SourceIp(Vec<IpNet>),
}

/// A rule action.
#[derive(Debug, Clone)]
pub enum Action {
    /// Target group ARNs with their weights.
    Forward(Vec<(String, u32)>),
    /// A redirection; the parts may contain `#{host}` and the like.
    Redirect {
        /// `HTTP`, `HTTPS` or `#{protocol}`.
        protocol: String,
        /// Host name without a port.
        host: String,
        /// Port number as text.
        port: String,
        /// Absolute path.
        path: String,
        /// Query string without the question mark.
        query: String,
        /// 301 or 302.
        status: u16,
    },
    /// A response without a target.
    FixedResponse {
        /// HTTP status.
        status: u16,
        /// Such as `text/plain`.
        content_type: String,
        /// At most 1024 bytes.
        body: String,
    },
}

impl Rule {
    /// Returns true if all conditions match a request from `peer`.
    pub fn matches<B>(&self, request: &Request<B>, peer: IpAddr) -> bool {
        self.conditions.iter().all(|condition| condition.matches(request, peer))
    }
}

impl Condition {
    fn matches<B>(&self, request: &Request<B>, peer: IpAddr) -> bool {
        match self {
            Self::Path(patterns) => patterns.iter().any(|p| matches(p, request.uri().path())),
            Self::Host(patterns) => {
                let host = host_of(request).to_ascii_lowercase();
                patterns.iter().any(|p| matches(&p.to_ascii_lowercase(), &host))
            }
            Self::Header(name, patterns) => request.headers().get_all(name).iter().any(|value| {
                let value = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
                patterns.iter().any(|p| matches(&p.to_ascii_lowercase(), &value))
            }),
            Self::Method(methods) => methods.iter().any(|m| m == request.method().as_str()),
            Self::Query(patterns) => {
                let pairs: Vec<_> = form_urlencoded::parse(request.uri().query().unwrap_or("").as_bytes()).collect();
                patterns.iter().any(|(key, value)| {
                    let same = |pattern: &str, text: &str| matches(&pattern.to_lowercase(), &text.to_lowercase());
                    pairs
                        .iter()
                        .any(|(k, v)| key.as_ref().is_none_or(|key| same(key, k)) && same(value, v))
                })
            }
            Self::SourceIp(ranges) => ranges.iter().any(|range| range.contains(&peer)),
        }
    }
}

/// Returns the request's host without its port.
pub fn host_of<B>(request: &Request<B>) -> &str {
    let host = request
        .headers()
        .get("host")
        .and_then(|v| v.to_str().ok())
        .or(request.uri().host())
        .unwrap_or("");
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_of_a_rule_must_match() {
        let rule = Rule {
            conditions: vec![
                Condition::Path(vec!["/a/*".into(), "/b".into()]),
                Condition::Host(vec!["*.Example.com".into()]),
                Condition::Query(vec![(Some("v".into()), "1*".into())]),
                Condition::SourceIp(vec!["127.0.0.0/8".parse().unwrap()]),
            ],
            action: Action::FixedResponse {
                status: 200,
                content_type: "text/plain".into(),
                body: String::new(),
            },
        };
        let matches = |uri: &str, host: &str, from: &str| {
            let request = Request::builder().uri(uri).header("host", host).body(()).unwrap();
            rule.matches(&request, from.parse().unwrap())
        };
        assert!(matches("/a/x?v=12", "api.example.com:8080", "127.3.2.1"));
        assert!(matches("/b?v=1", "api.example.com", "127.0.0.1"));
        assert!(!matches("/c?v=1", "api.example.com", "127.0.0.1"));
        assert!(!matches("/b?v=2", "api.example.com", "127.0.0.1"));
        assert!(!matches("/b?v=1", "example.org", "127.0.0.1"));
        assert!(!matches("/b?v=1", "api.example.com", "10.0.0.1"));
    }
}
