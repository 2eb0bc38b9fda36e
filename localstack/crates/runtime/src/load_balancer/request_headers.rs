//! Headers of a request on its way to a target.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::attributes::{ForwardedFor, ListenerAttributes, LoadBalancerAttributes};
use super::connection::Connection;

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
const FORWARDED_FOR: &str = "x-forwarded-for";
/// The limit on the addresses of `X-Forwarded-For` ("Troubleshoot your Application Load Balancers", "HTTP 463").
const MAX_ADDRESSES: usize = 30;

/// Removes the headers whose names are not letters, digits and hyphens ("Application Load Balancers",
/// `routing.http.drop_invalid_header_fields.enabled`).
pub fn drop_invalid(headers: &mut HeaderMap) {
    let is_invalid = |name: &&HeaderName| !name.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let invalid: Vec<HeaderName> = headers.keys().filter(is_invalid).cloned().collect();
    for name in invalid {
        headers.remove(name);
    }
}

pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
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
pub fn join_cookies(headers: &mut HeaderMap) {
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

/// Returns true if `X-Forwarded-For` has too many addresses, which is the error 463.
pub fn has_too_many_addresses(headers: &HeaderMap) -> bool {
    let values = headers.get_all(FORWARDED_FOR).iter();
    let addresses = values.map(|value| value.as_bytes().split(|byte| *byte == b',').count());
    addresses.sum::<usize>() > MAX_ADDRESSES
}

/// Adds the headers of an Application Load Balancer ("HTTP headers and Application Load Balancers").
pub fn add_forwarded(
    headers: &mut HeaderMap,
    connection: Connection,
    attributes: &LoadBalancerAttributes,
    names: &ListenerAttributes,
) {
    match attributes.forwarded_for {
        ForwardedFor::Append { port } => append_client(headers, connection, port),
        ForwardedFor::Preserve => {}
        ForwardedFor::Remove => drop(headers.remove(FORWARDED_FOR)),
    }
    headers.insert("x-forwarded-proto", HeaderValue::from_static(connection.scheme()));
    headers.insert("x-forwarded-port", HeaderValue::from(connection.port));
    if attributes.tls_headers
        && let Some(tls) = connection.tls
    {
        headers.insert(names.tls_version.clone(), HeaderValue::from_static(tls.version));
        headers.insert(names.tls_cipher.clone(), HeaderValue::from_static(tls.cipher));
    }
    if !attributes.preserve_host
        && let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok())
        && let Ok(host) = HeaderValue::from_str(&host_for_target(host, connection.port))
    {
        headers.insert(header::HOST, host);
    }
    if !headers.contains_key("x-amzn-trace-id") {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let seconds = time::OffsetDateTime::now_utc().unix_timestamp();
        if let Ok(value) = HeaderValue::from_str(&format!("Root=1-{seconds:08x}-{}", &id[..24])) {
            headers.insert("x-amzn-trace-id", value);
        }
    }
}

fn append_client(headers: &mut HeaderMap, connection: Connection, with_port: bool) {
    let client = if with_port {
        connection.peer.to_string()
    } else {
        connection.peer.ip().to_string()
    };
    let before = headers.get_all(FORWARDED_FOR).iter();
    let before = before.filter_map(|value| Some(value.to_str().ok()?.to_owned()));
    let chain: Vec<String> = before.chain([client]).collect();
    if let Ok(value) = HeaderValue::from_str(&chain.join(", ")) {
        headers.insert(FORWARDED_FOR, value);
    }
}

/// Returns the host that a target gets unless the host is preserved: with the port of the listener, unless that is 80 or 443 ("Application
/// Load Balancers", "Host header preservation").
fn host_for_target(host: &str, port: u16) -> String {
    let (name, given) = match host.rsplit_once(':') {
        Some((name, given)) if given.bytes().all(|byte| byte.is_ascii_digit()) => (name, Some(given)),
        _ => (host, None),
    };
    match (port, given) {
        (80 | 443, _) => name.to_owned(),
        (_, Some(_)) => host.to_owned(),
        (_, None) => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded(attributes: &LoadBalancerAttributes, port: u16, given: &[(&'static str, &str)]) -> HeaderMap {
        let given = given
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        let mut headers: HeaderMap = given.collect();
        let peer = "[::1]:4242".parse().unwrap();
        let connection = Connection { peer, port, tls: None };
        add_forwarded(&mut headers, connection, attributes, &ListenerAttributes::default());
        headers
    }

    #[test]
    fn the_client_is_appended_preserved_or_removed() {
        let with = |forwarded_for, given: &[(&'static str, &str)]| {
            let attributes = LoadBalancerAttributes {
                forwarded_for,
                ..LoadBalancerAttributes::default()
            };
            let headers = forwarded(&attributes, 80, given);
            headers
                .get(FORWARDED_FOR)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let given = [(FORWARDED_FOR, "10.0.0.1, 10.0.0.2")];
        let append = |port| ForwardedFor::Append { port };
        assert_eq!(with(append(false), &given).unwrap(), "10.0.0.1, 10.0.0.2, ::1");
        assert_eq!(with(append(true), &[]).unwrap(), "[::1]:4242");
        assert_eq!(with(ForwardedFor::Preserve, &given).unwrap(), "10.0.0.1, 10.0.0.2");
        assert_eq!(with(ForwardedFor::Preserve, &[]), None);
        assert_eq!(with(ForwardedFor::Remove, &given), None);
    }

    #[test]
    fn the_host_gets_the_port_of_the_listener_unless_it_is_preserved() {
        for (port, preserve_host, given, expected) in [
            (8080, false, "a.example", "a.example:8080"),
            (8080, false, "a.example:9", "a.example:9"),
            (80, false, "a.example:9", "a.example"),
            (443, false, "a.example", "a.example"),
            (8080, false, "[::1]", "[::1]:8080"),
            (8080, true, "a.example", "a.example"),
        ] {
            let attributes = LoadBalancerAttributes {
                preserve_host,
                ..LoadBalancerAttributes::default()
            };
            let headers = forwarded(&attributes, port, &[("host", given)]);
            assert_eq!(headers[header::HOST], expected, "{given} on {port}");
        }
    }

    #[test]
    fn header_names_that_are_not_letters_digits_and_hyphens_are_dropped() {
        let names = ["x_user_role", "x.dot", "x-fine", "x!y"];
        let all = names.map(|name| (HeaderName::from_static(name), HeaderValue::from_static("1")));
        let mut headers = HeaderMap::from_iter(all);
        drop_invalid(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["x-fine"]);
    }
}
