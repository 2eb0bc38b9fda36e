//! CORS: web pages may read the responses only if their origin is listed.

use std::str::FromStr;
use std::time::Duration;

use anyhow::ensure;
use http::{HeaderName, HeaderValue, Method, Uri, header};
use tower_http::cors::CorsLayer;

/// Time for which a browser caches a preflight response.
const MAX_AGE: Duration = Duration::from_mins(10);

/// Origins whose web pages may read the responses.
#[derive(Debug, Clone, Default)]
pub struct AllowedOrigins(pub Vec<HeaderValue>);

impl FromStr for AllowedOrigins {
    type Err = anyhow::Error;

    /// Parses a list separated by commas, which may be empty.
    ///
    /// # Errors
    /// Fails if an entry is not an origin.
    fn from_str(list: &str) -> anyhow::Result<Self> {
        let listed = list.split(',').map(str::trim).filter(|text| !text.is_empty());
        listed.map(origin).collect::<anyhow::Result<_>>().map(Self)
    }
}

/// Parses an origin as browsers send it: `https://clinic.example`, without a path.
///
/// `*` and `null` are errors: only a list of origins keeps other pages out.
fn origin(text: &str) -> anyhow::Result<HeaderValue> {
    let uri: Option<Uri> = text.parse().ok();
    let is_origin = uri.is_some_and(|uri| {
        let scheme = uri.scheme_str().unwrap_or_default();
        let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
        text == format!("{scheme}://{authority}") && matches!(scheme, "https" | "http") && !authority.contains('@')
    });
    ensure!(
        is_origin && text == text.to_ascii_lowercase(),
        "`{text}` is not an origin such as https://clinic.example"
    );
    Ok(HeaderValue::try_from(text)?)
}

/// Returns the layer that answers preflight requests for these origins; `None` if the list is empty.
///
/// A page sends its token in a header itself, so cookies and other credentials stay forbidden.
pub fn layer(AllowedOrigins(origins): &AllowedOrigins) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let layer = CorsLayer::new()
        .allow_origin(origins.clone())
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("traceparent"),
        ])
        .expose_headers([
            header::ETAG,
            header::LINK,
            header::LOCATION,
            header::RETRY_AFTER,
            HeaderName::from_static("x-total-count"),
            HeaderName::from_static("x-total-count-relation"),
        ])
        .max_age(MAX_AGE);
    Some(layer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_and_a_host_only() {
        for good in ["https://clinic.example", "http://localhost:3000"] {
            assert_eq!(origin(good).unwrap(), good);
        }
        for bad in [
            "*",
            "null",
            "clinic.example",
            "https://clinic.example/",
            "https://Clinic.example",
            "https://a@b",
            "ftp://a",
        ] {
            assert!(origin(bad).is_err(), "{bad}");
        }
        let listed = |list: &str| list.parse::<AllowedOrigins>().unwrap().0.len();
        assert_eq!((listed(""), listed("https://a.example, https://b.example,")), (0, 2));
    }
}
