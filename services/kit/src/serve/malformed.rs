//! Heads that hyper accepts and HTTP forbids: 400 or 501 before any route.

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, Version, header};

use crate::problem::Problem;

/// The reason for which a request is rejected, as an extension of the request.
#[derive(Clone)]
pub(super) struct Malformed(Problem);

impl Malformed {
    /// Checks the head of a request; `has_fragment` if its target contains `#`, which hyper removes.
    pub(super) fn of<B>(request: &http::Request<B>, has_fragment: bool) -> Option<Self> {
        let headers = request.headers();
        let problem = transfer_encoding(headers).or_else(|| {
            let authority = request.uri().authority();
            let detail = if has_fragment {
                "The request target contains a fragment (#)"
            } else if authority.is_some_and(|authority| !is_host(authority.as_str().as_bytes())) {
                "The request target has an invalid host"
            } else {
                host(headers, request.version())?
            };
            Some(Problem::bad_request(detail))
        });
        problem.map(Self)
    }
}

/// Rejects a malformed request, and closes its connection.
pub(super) async fn reject(request: Request, next: Next) -> Response {
    let Some(Malformed(problem)) = request.extensions().get().cloned() else {
        return next.run(request).await;
    };
    let close = [(header::CONNECTION, HeaderValue::from_static("close"))];
    (close, problem).into_response()
}

/// Returns the fault of the Host header (RFC 9112, 3.2: missing in HTTP/1.1, more than one, or invalid).
fn host(headers: &HeaderMap, version: Version) -> Option<&'static str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version < Version::HTTP_11 => None,
        (None, _) => Some("The Host header is missing"),
        (Some(_), Some(_)) => Some("The request has more than one Host header"),
        (Some(host), None) => {
            (!is_host(host.as_bytes())).then_some("The Host header is not a host with an optional port")
        }
    }
}

/// Returns true for `host` or `host:port` (RFC 3986, 3.2.2 and 3.2.3), with a host that is not empty.
fn is_host(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else {
        return false;
    };
    let (is_valid, rest) = if let Some(literal) = text.strip_prefix('[') {
        let Some((address, rest)) = literal.split_once(']') else {
            return false;
        };
        (address.parse::<std::net::Ipv6Addr>().is_ok(), rest)
    } else {
        let end = text.find(':').unwrap_or(text.len());
        (is_name(&text.as_bytes()[..end]), &text[end..])
    };
    let port = rest.strip_prefix(':');
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && (port.is_empty() || port.parse::<u16>().is_ok());
    is_valid && (rest.is_empty() || port.is_some_and(is_port))
}

/// Returns true for a registered name or an IPv4 address that is not empty.
fn is_name(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some((byte, tail)) = rest.split_first() {
        rest = match byte {
            b'%' if tail.len() >= 2 && tail[..2].iter().all(u8::is_ascii_hexdigit) => &tail[2..],
            byte if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(byte) => tail,
            _ => return false,
        };
    }
    !text.is_empty()
}

/// Rejects a body in another coding than `chunked`, which is the only one that is decoded (RFC 9112, 6.1).
fn transfer_encoding(headers: &HeaderMap) -> Option<Problem> {
    let values = headers.get_all(header::TRANSFER_ENCODING).iter();
    let codings: Vec<&[u8]> = values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|coding| !coding.is_empty())
        .collect();
    if codings.iter().any(|coding| !coding.eq_ignore_ascii_case(b"chunked")) {
        let detail = "Send the body without a Transfer-Encoding, or with `chunked` alone";
        return Some(Problem::new(StatusCode::NOT_IMPLEMENTED, detail));
    }
    (codings.len() > 1).then(|| Problem::bad_request("The body is chunked more than once"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_an_optional_port() {
        for good in [
            "localhost",
            "localhost:8080",
            "clinic.example",
            "127.0.0.1:4000",
            "[::1]",
            "[::1]:80",
            "a_b.internal",
            "a%20b",
            "a:",
        ] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            ":80",
            "a b",
            "a b/@<>",
            "user@a",
            "a/b",
            "a?b",
            "a#b",
            "a,b:c",
            "a:b",
            "a:80:80",
            "a:99999",
            "[::1",
            "[::1]x",
            "[a]",
            "::1",
            "a%2",
            "a\\b",
            "\"a\"",
            "\u{e4}.example",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn chunked_alone_is_the_only_transfer_coding() {
        for (value, status) in [
            ("chunked", None),
            ("Chunked", None),
            ("gzip, chunked", Some(501)),
            ("identity", Some(501)),
            ("chunked, chunked", Some(400)),
        ] {
            let headers = HeaderMap::from_iter([(header::TRANSFER_ENCODING, HeaderValue::from_static(value))]);
            let rejected = transfer_encoding(&headers).map(|problem| problem.status().as_u16());
            assert_eq!(rejected, status, "{value}");
        }
    }
}
