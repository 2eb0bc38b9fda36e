//! The path prefix of a service at the gateway.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;

/// The first path segment that the gateway stripped, such as `/api`; empty without a gateway.
///
/// `Location` and `Link` start with it, so that clients can follow them through the gateway. A value that is not a plain
/// path is ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prefix(pub String);

impl Prefix {
    /// Returns a path as a client of the gateway sees it; `path` starts with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Prefix {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let header = parts
            .headers
            .get("x-forwarded-prefix")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        Ok(if is_plain(header) {
            Self(header.trim_end_matches('/').to_owned())
        } else {
            Self::default()
        })
    }
}

fn is_plain(path: &str) -> bool {
    path.len() <= 100
        && path.starts_with('/')
        && !path.contains("//")
        && path
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte))
}
