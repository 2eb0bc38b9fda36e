//! Which web pages may read the answers: none, unless their origins are listed.

use std::str::FromStr;
use std::time::Duration;

use anyhow::ensure;
use http::{HeaderName, HeaderValue, Method, Uri, header};
use tower_http::cors::CorsLayer;

/// How long a browser keeps a permission.
const MAX_AGE: Duration = Duration::from_secs(600);

/// Origins that are let in.
#[derive(Debug, Clone, Default)]
pub struct Origins(pub Vec<HeaderValue>);

impl FromStr for Origins {
    type Err = anyhow::Error;

    /// Reads a list with commas; an empty one is none.
    fn from_str(list: &str) -> anyhow::Result<Origins> {
        let listed = list.split(',').map(str::trim).filter(|text| !text.is_empty());
        listed.map(origin).collect::<anyhow::Result<_>>().map(Origins)
    }
}

/// An origin as browsers send it: `https://clinic.example`, without a path.
///
/// Anything else is an error, `*` and `null` among it: a list of origins is what keeps other pages out.
fn origin(text: &str) -> anyhow::Result<HeaderValue> {
    let uri: Option<Uri> = text.parse().ok();
    let plain = uri.is_some_and(|uri| {
        let scheme = uri.scheme_str().unwrap_or_default();
        let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
        text == format!("{scheme}://{authority}") && matches!(scheme, "https" | "http") && !authority.contains('@')
    });
    ensure!(
        plain && text == text.to_ascii_lowercase(),
        "`{text}` is not an origin such as https://clinic.example"
    );
    Ok(HeaderValue::try_from(text)?)
}

/// Answers the browsers' questions for these origins; none asks for no layer.
///
/// Tokens are sent in a header by the page itself, so cookies and other credentials stay forbidden.
pub fn layer(Origins(origins): &Origins) -> Option<CorsLayer> {
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
    fn an_origin_is_a_scheme_and_a_host_and_nothing_else() {
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
        let listed = |list: &str| list.parse::<Origins>().unwrap().0.len();
        assert_eq!((listed(""), listed("https://a.example, https://b.example,")), (0, 2));
    }
}
