//! The format of a response (FHIR R4, 3.1.0.1.11): JSON only; and the base URL of its links.

use std::convert::Infallible;

use axum::{
    Router,
    extract::{FromRequestParts, Request},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header, request::Parts};
use url::form_urlencoded;

use super::VERSION;
use crate::problem::{Problem, Result};

/// Wraps routes: 406 for a client that does not accept JSON, by `_format` or, without it, by `Accept`.
pub fn negotiated<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    routes.route_layer(middleware::from_fn(negotiate))
}

async fn negotiate(request: Request, next: Next) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let format = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "_format");
    let accepted = match format {
        Some((_, format)) => expect_json(&format),
        None => expect_accepted(request.headers()),
    };
    match accepted {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Checks a value of `_format`.
///
/// # Errors
/// 406 if it is not JSON.
pub(super) fn expect_json(format: &str) -> Result<()> {
    // A plus sign that is not encoded is a blank in a query string.
    let format = format.replace(' ', "+");
    if format == "json" || is_json(&format) {
        return Ok(());
    }
    Err(not_acceptable())
}

fn expect_accepted(headers: &HeaderMap) -> Result<()> {
    let mut ranges = headers
        .get_all(header::ACCEPT)
        .iter()
        .flat_map(|line| line.to_str().unwrap_or_default().split(','))
        .filter(|range| !range.trim().is_empty())
        .peekable();
    if ranges.peek().is_none() || ranges.any(is_json) {
        return Ok(());
    }
    Err(not_acceptable())
}

/// Returns true if a media range includes JSON of this version, and not with the weight 0 (RFC 9110, 12.5.1).
fn is_json(range: &str) -> bool {
    let range = range.to_ascii_lowercase();
    let mut parts = range.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let is_known = matches!(
        kind,
        "*/*" | "application/*" | "application/json" | "application/fhir+json" | "text/json"
    );
    is_known
        && parts.all(|parameter| match parameter.split_once('=') {
            Some(("q", weight)) => weight.trim().parse().is_ok_and(|weight: f32| weight > 0.0),
            Some(("fhirversion", version)) => VERSION.starts_with(version.trim_matches('"')),
            _ => true,
        })
}

fn not_acceptable() -> Problem {
    Problem::new(
        StatusCode::NOT_ACCEPTABLE,
        "Resources are available as application/fhir+json of version 4.0 only",
    )
}

/// The URL of the FHIR API as the client sees it, such as `https://example.org/fhir`; only `/fhir` if the host is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Base {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, Infallible> {
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let host = header("x-forwarded-host").or_else(|| header("host"));
        let is_host = |host: &&str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
            !host.is_empty() && host.len() <= 255 && host.bytes().all(allowed)
        };
        let scheme = match header("x-forwarded-proto") {
            Some("https") => "https",
            _ => "http",
        };
        Ok(Self(match host.filter(is_host) {
            Some(host) => format!("{scheme}://{host}/fhir"),
            None => "/fhir".to_owned(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_of_this_version_is_accepted_and_nothing_else() {
        let accepts = |accept: &str| {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().expect("a header"))]);
            expect_accepted(&headers).is_ok()
        };
        assert!(expect_accepted(&HeaderMap::new()).is_ok());
        for accept in [
            "",
            "*/*",
            "application/fhir+json",
            "Application/JSON; charset=utf-8",
            "application/fhir+xml, application/*;q=0.1",
            "application/fhir+json; fhirVersion=4.0",
        ] {
            assert!(accepts(accept), "{accept}");
        }
        for accept in [
            "application/fhir+xml",
            "text/html",
            "application/json;q=0",
            "application/fhir+json; fhirVersion=3.0",
        ] {
            assert!(!accepts(accept), "{accept}");
        }
        for format in [
            "json",
            "application/json",
            "application/fhir+json",
            "application/fhir json",
        ] {
            assert!(expect_json(format).is_ok(), "{format}");
        }
        for format in ["xml", "ttl", "", "application/fhir+xml"] {
            assert_eq!(expect_json(format).expect_err(format).status(), 406);
        }
    }
}
