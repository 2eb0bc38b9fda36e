//! Heads of requests that a load balancer rejects before any rule.

use http::header;
use http::uri::Authority;
use hyper::{Request, Version};

/// Beginnings of the names of headers that `Connection` must not name (RFC 9110, 7.6.1): without them the target would receive
/// another request, such as an unconditional write instead of one with If-Match.
const END_TO_END: [&str; 10] = [
    "accept",
    "authorization",
    "content-",
    "cookie",
    "host",
    "idempotency-key",
    "if-",
    "origin",
    "range",
    "x-forwarded-",
];

/// Returns the status for a request that is not forwarded: 400 or 501.
///
/// "Troubleshoot your Application Load Balancers" has both: 400 for a malformed request, and 501 for a Transfer-Encoding other
/// than `chunked`.
pub fn fault<B>(request: &Request<B>) -> Option<u16> {
    let headers = request.headers();
    let list = |name| {
        let values = headers.get_all(name).iter();
        values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii))
    };
    let mut codings = list(header::TRANSFER_ENCODING);
    if codings.any(|coding| !coding.eq_ignore_ascii_case(b"chunked")) {
        return Some(501);
    }
    let names_end_to_end = list(header::CONNECTION).any(|option| {
        let option = String::from_utf8_lossy(option).to_ascii_lowercase();
        END_TO_END.iter().any(|name| option.starts_with(name))
    });
    (names_end_to_end || !has_valid_host(request)).then_some(400)
}

/// Checks the host (RFC 9112, 3.2: exactly one Host in HTTP/1.1; RFC 9113, 8.3.1: `:authority` in HTTP/2, and Host does not
/// differ from it).
fn has_valid_host<B>(request: &Request<B>) -> bool {
    let authority = request.uri().authority();
    if authority.is_some_and(|authority| !is_host(authority)) {
        return false;
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => {
            request.version() < Version::HTTP_11 || (request.version() == Version::HTTP_2 && authority.is_some())
        }
        (Some(_), Some(_)) => false,
        (Some(host), None) => {
            let is_same = authority.is_none_or(|authority| authority.as_str().as_bytes() == host.as_bytes());
            Authority::try_from(host.as_bytes()).is_ok_and(|host| is_host(&host))
                && (is_same || request.version() < Version::HTTP_2)
        }
    }
}

/// Returns true for a host that is not empty, with an optional port and no user.
fn is_host(authority: &Authority) -> bool {
    let (text, host) = (authority.as_str(), authority.host());
    let port = text.strip_prefix(host);
    !host.is_empty() && port.is_some_and(|port| port.is_empty() || port == ":" || authority.port_u16().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(version: Version, uri: &str, headers: &[(&str, &str)]) -> Option<u16> {
        let builder = Request::builder().version(version).uri(uri);
        let builder = headers
            .iter()
            .fold(builder, |builder, (name, value)| builder.header(*name, *value));
        fault(&builder.body(()).unwrap())
    }

    #[test]
    fn http_1_1_has_exactly_one_valid_host() {
        for host in ["localhost", "a.example:80", "[::1]:8080", "127.0.0.1"] {
            assert_eq!(status(Version::HTTP_11, "/", &[("host", host)]), None, "{host}");
        }
        for host in [
            "", "a b/@<>", "user@a", "a/b", "a:b", "a:80:80", "a:99999", "[::1", "a,b c",
        ] {
            assert_eq!(status(Version::HTTP_11, "/", &[("host", host)]), Some(400), "{host}");
        }
        assert_eq!(status(Version::HTTP_11, "/", &[]), Some(400));
        assert_eq!(status(Version::HTTP_11, "http://a/", &[]), Some(400));
        assert_eq!(status(Version::HTTP_11, "http://b/", &[("host", "a")]), None);
        assert_eq!(status(Version::HTTP_11, "http://user@a/", &[("host", "a")]), Some(400));
        assert_eq!(
            status(Version::HTTP_11, "/", &[("host", "a"), ("host", "a")]),
            Some(400)
        );
        assert_eq!(status(Version::HTTP_10, "/", &[]), None);
        assert_eq!(
            status(Version::HTTP_10, "/", &[("host", "a"), ("host", "b")]),
            Some(400)
        );
    }

    #[test]
    fn http_2_has_an_authority_and_no_other_host() {
        assert_eq!(status(Version::HTTP_2, "https://a/", &[]), None);
        assert_eq!(status(Version::HTTP_2, "https://a/", &[("host", "a")]), None);
        assert_eq!(status(Version::HTTP_2, "https://a/", &[("host", "b")]), Some(400));
        assert_eq!(status(Version::HTTP_2, "/", &[("host", "a")]), None);
        assert_eq!(status(Version::HTTP_2, "/", &[]), Some(400));
    }

    #[test]
    fn other_codings_are_501_and_connection_names_no_end_to_end_header() {
        let with = |name, value| status(Version::HTTP_11, "/", &[("host", "a"), (name, value)]);
        assert_eq!(with("transfer-encoding", "gzip, chunked"), Some(501));
        assert_eq!(with("transfer-encoding", "Chunked"), None);
        assert_eq!(with("connection", "keep-alive, If-Match"), Some(400));
        assert_eq!(with("connection", "close, x-hop, upgrade, http2-settings"), None);
    }
}
