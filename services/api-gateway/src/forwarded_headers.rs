//! Headers of a request that is sent on: which are removed, and which are set for the service.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Headers of one connection, not of the message (RFC 9110, 7.6.1), and those that hyper sets itself.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Beginnings of the names of headers that have a meaning for the service, or for every server on the way.
const END_TO_END: [&str; 20] = [
    "accept",
    "access-control-",
    "authorization",
    "cache-control",
    "content-",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "from",
    "host",
    "idempotency-key",
    "if-",
    "origin",
    "range",
    "referer",
    "traceparent",
    "user-agent",
    "x-amzn-",
    "x-forwarded-",
];

/// Headers that only the gateway or a service may set; those of a client are removed.
const RESERVED: [&str; 6] = [
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-prefix",
    "forwarded",
    "x-real-ip",
    "x-link-secret",
];

/// Returns the headers that a service receives.
pub fn to_service(mut headers: HeaderMap, prefix: &'static str, address: Option<IpAddr>) -> HeaderMap {
    let host = headers.remove(header::HOST);
    remove_hop_by_hop(&mut headers);
    for name in RESERVED {
        headers.remove(name);
    }
    let claimed: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("x-user-"))
        .cloned()
        .collect();
    for name in claimed {
        headers.remove(name);
    }
    headers.remove(header::EXPECT);
    headers.remove(header::CONTENT_LENGTH);
    headers.insert("x-forwarded-prefix", HeaderValue::from_static(prefix));
    if let Some(host) = host {
        headers.insert("x-forwarded-host", host);
    }
    if let Some(address) = address.and_then(|address| HeaderValue::try_from(address.to_string()).ok()) {
        headers.insert("x-forwarded-for", address);
    }
    headers
}

/// Returns the first end-to-end header that `Connection` names, if any.
///
/// To remove it would change the request: a write with If-Match would become an unconditional one. RFC 9110, 7.6.1, forbids
/// clients to name such headers.
pub fn end_to_end_option(headers: &HeaderMap) -> Option<&'static str> {
    let named = connection_options(headers);
    let of_client = |name: &&'static str| named.iter().any(|option| option.starts_with(*name));
    END_TO_END.into_iter().find(of_client).map(|name| match name {
        "if-" => "a precondition",
        "content-" => "a header of the body",
        name => name.trim_end_matches('-'),
    })
}

/// Returns the names in `Connection`, in lower case.
fn connection_options(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::CONNECTION).iter();
    values
        .flat_map(|list| list.as_bytes().split(|byte| *byte == b','))
        .map(|name| String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase())
        .collect()
}

/// Removes the headers of one connection, including those that `Connection` names.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    for name in connection_options(headers) {
        headers.remove(name.as_str());
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Returns the client's address, `proxies` entries from the right of X-Forwarded-For; a client can forge the entries left of it.
pub fn client_address(headers: &HeaderMap, proxies: usize) -> Option<IpAddr> {
    // Bytes: forged entries may not be text, and must not hide the entry that the load balancer appended.
    let entries: Vec<&[u8]> = headers
        .get_all("x-forwarded-for")
        .iter()
        .flat_map(|list| list.as_bytes().split(|byte| *byte == b','))
        .collect();
    let at = entries.len().checked_sub(proxies)?;
    let entry = std::str::from_utf8(entries.get(at)?).ok()?.trim();
    // Load balancers can be configured to append the port.
    let with_port = || entry.parse::<SocketAddr>().map(|address| address.ip());
    entry.parse().or_else(|_| with_port()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn reserved_headers_of_a_client_are_removed() {
        let given = headers(&[
            ("x-user-role", "ADMIN"),
            ("x-forwarded-prefix", "/evil"),
            ("x-forwarded-for", "198.51.100.1"),
            ("x-link-secret", "guess"),
            ("connection", "close, x-secret-hop"),
            ("x-secret-hop", "1"),
            ("upgrade", "h2c"),
            ("authorization", "Bearer t"),
            ("host", "clinic.example"),
        ]);
        let sent = to_service(given, "/api", "203.0.113.9".parse().ok());
        for removed in [
            "x-user-role",
            "x-link-secret",
            "connection",
            "x-secret-hop",
            "upgrade",
            "host",
        ] {
            assert!(!sent.contains_key(removed), "{removed}");
        }
        assert_eq!(sent["x-forwarded-prefix"], "/api");
        assert_eq!(sent["x-forwarded-for"], "203.0.113.9");
        assert_eq!(sent["x-forwarded-host"], "clinic.example");
        assert_eq!(sent["authorization"], "Bearer t");
    }

    #[test]
    fn connection_may_name_headers_of_the_connection_only() {
        for (value, is_rejected) in [
            ("close", false),
            ("keep-alive, Upgrade, HTTP2-Settings, TE", false),
            ("x-secret-hop", false),
            ("close, If-Match", true),
            ("idempotency-key", true),
            ("AUTHORIZATION", true),
            ("content-type", true),
            ("keep-alive,content-length", true),
            ("host", true),
            ("x-forwarded-for", true),
        ] {
            let given = headers(&[("connection", value)]);
            assert_eq!(end_to_end_option(&given).is_some(), is_rejected, "{value}");
        }
        assert_eq!(end_to_end_option(&HeaderMap::new()), None);
    }

    #[test]
    fn the_clients_address_is_the_one_that_the_load_balancer_appended() {
        let given = headers(&[("x-forwarded-for", "10.9.9.9, 203.0.113.9")]);
        assert_eq!(client_address(&given, 1), "203.0.113.9".parse().ok());
        assert_eq!(client_address(&given, 2), "10.9.9.9".parse().ok());
        assert_eq!(client_address(&given, 3), None);
        assert_eq!(client_address(&given, 0), None);
        assert_eq!(client_address(&HeaderMap::new(), 1), None);
        // Forged entries are left of the one that the load balancer appends.
        for forged in [
            "127.0.0.1",
            "127.0.0.1, 10.0.0.1",
            ",,,",
            "203.0.113.1:80, ;",
            "unknown",
        ] {
            let mut given = HeaderMap::new();
            given.append("x-forwarded-for", forged.parse().unwrap());
            given.append("x-forwarded-for", HeaderValue::from_static("203.0.113.9"));
            assert_eq!(client_address(&given, 1), "203.0.113.9".parse().ok(), "{forged}");
        }
        let not_text = HeaderValue::from_bytes(b"\xff\xfe, 203.0.113.9").unwrap();
        let given = HeaderMap::from_iter([(HeaderName::from_static("x-forwarded-for"), not_text)]);
        assert_eq!(client_address(&given, 1), "203.0.113.9".parse().ok());
        for (entry, address) in [
            ("203.0.113.9:4711", "203.0.113.9"),
            ("[2001:db8::9]:4711", "2001:db8::9"),
        ] {
            assert_eq!(
                client_address(&headers(&[("x-forwarded-for", entry)]), 1),
                address.parse().ok()
            );
        }
        assert_eq!(
            client_address(&headers(&[("x-forwarded-for", "127.0.0.1, nonsense")]), 1),
            None
        );
    }
}
