//! Conditional requests: If-Match and If-None-Match against a resource's version (RFC 9110, 8.8.3 and 13.2).

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};
use kit::{Json, Problem, Result};
use serde::Serialize;

/// Returns the ETag of a version.
pub fn etag(version: i64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Returns a response with the resource, and its version as the ETag.
pub fn with_etag(version: i64, resource: impl Serialize) -> Response {
    ([(header::ETAG, etag(version))], Json(resource)).into_response()
}

/// The preconditions of a request; none if the headers are not sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preconditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

/// The entity tags of a header, `*` among them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tags(Vec<String>);

impl Preconditions {
    /// Checks that a resource with this version may be changed.
    ///
    /// # Errors
    /// 412 if If-Match names other versions only, or If-None-Match names this one.
    pub fn check_change(&self, version: i64) -> Result<()> {
        self.check_match(version)?;
        match &self.if_none_match {
            Some(tags) if tags.contain(version, Comparison::Weak) => {
                Err(Problem::precondition_failed("If-None-Match names the current version"))
            }
            _ => Ok(()),
        }
    }

    /// Returns the response to a read: 304 without the resource if the client has this version.
    ///
    /// # Errors
    /// 412 if If-Match names other versions only.
    pub fn read(&self, version: i64, resource: impl Serialize) -> Result<Response> {
        self.check_match(version)?;
        match &self.if_none_match {
            Some(tags) if tags.contain(version, Comparison::Weak) => {
                Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag(version))]).into_response())
            }
            _ => Ok(with_etag(version, resource)),
        }
    }

    /// Returns the preconditions without If-None-Match, for a resource that changed without a new version.
    #[must_use]
    pub fn without_none_match(self) -> Self {
        Self {
            if_none_match: None,
            ..self
        }
    }

    fn check_match(&self, version: i64) -> Result<()> {
        match &self.if_match {
            Some(tags) if !tags.contain(version, Comparison::Strong) => {
                Err(Problem::precondition_failed("It was changed since; read it again"))
            }
            _ => Ok(()),
        }
    }

    fn from_headers(headers: &HeaderMap) -> Result<Self> {
        Ok(Self {
            if_match: Tags::from_headers(headers, &header::IF_MATCH)?,
            if_none_match: Tags::from_headers(headers, &header::IF_NONE_MATCH)?,
        })
    }
}

/// Comparison of entity tags (RFC 9110, 8.8.3.2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    /// A weak tag never matches.
    Strong,
    /// `W/"1"` matches `"1"`.
    Weak,
}

impl Tags {
    /// Reads a header, whose lines are one list (RFC 9110, 5.3). Text that is not a tag never matches; a list without any
    /// text is malformed (13.1.1 and 13.1.2).
    fn from_headers(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Self>> {
        let malformed =
            || Problem::bad_request(format!("The header {name} is malformed: it is `*` or a list of ETags"));
        let lines = headers.get_all(name).iter().map(HeaderValue::to_str);
        let lines: Vec<&str> = lines.collect::<std::result::Result<_, _>>().map_err(|_| malformed())?;
        if lines.is_empty() {
            return Ok(None);
        }
        let tags = lines.iter().flat_map(|line| line.split(',')).map(str::trim);
        let tags: Vec<String> = tags.filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
        if tags.is_empty() {
            return Err(malformed());
        }
        Ok(Some(Self(tags)))
    }

    fn contain(&self, version: i64, comparison: Comparison) -> bool {
        let current = format!("\"{version}\"");
        self.0.iter().any(|tag| {
            let opaque = tag.strip_prefix("W/").filter(|_| comparison == Comparison::Weak);
            tag == "*" || opaque.unwrap_or(tag) == current
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Preconditions {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Self::from_headers(&parts.headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preconditions(name: HeaderName, value: &str) -> Preconditions {
        let value = HeaderValue::from_str(value).expect("a header");
        Preconditions::from_headers(&HeaderMap::from_iter([(name, value)])).expect("preconditions")
    }

    #[test]
    fn only_the_current_strong_tag_or_a_star_matches() {
        assert!(Preconditions::default().check_change(3).is_ok());
        for good in ["\"3\"", "*", "\"2\", \"3\""] {
            assert!(preconditions(header::IF_MATCH, good).check_change(3).is_ok(), "{good}");
        }
        for bad in ["\"2\"", "W/\"3\"", "3"] {
            let stale = preconditions(header::IF_MATCH, bad).check_change(3);
            assert_eq!(stale.expect_err("stale").status(), 412, "{bad}");
            let read = preconditions(header::IF_MATCH, bad).read(3, "resource");
            assert_eq!(read.expect_err("stale").status(), 412, "{bad}");
        }
    }

    #[test]
    fn a_known_version_is_not_modified_and_may_not_be_changed() {
        for known in ["\"3\"", "W/\"3\"", "*", "\"2\", W/\"3\""] {
            let known = preconditions(header::IF_NONE_MATCH, known);
            let response = known.read(3, "resource").expect("a response");
            assert_eq!(
                (response.status(), response.headers().get(header::ETAG)),
                (StatusCode::NOT_MODIFIED, Some(&etag(3)))
            );
            assert_eq!(known.check_change(3).expect_err("the version exists").status(), 412);
        }
        for other in ["\"2\"", "3", "\"33\""] {
            let other = preconditions(header::IF_NONE_MATCH, other);
            assert_eq!(other.read(3, "resource").expect("a response").status(), StatusCode::OK);
            assert!(other.check_change(3).is_ok());
        }
    }

    #[test]
    fn a_list_without_a_tag_is_malformed() {
        for (name, value) in [(header::IF_MATCH, ""), (header::IF_NONE_MATCH, " , ,")] {
            let headers = HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
            assert_eq!(Preconditions::from_headers(&headers).expect_err(value).status(), 400);
        }
    }

    #[test]
    fn if_match_is_evaluated_before_if_none_match() {
        let both = Preconditions {
            if_match: Some(Tags(vec!["\"2\"".into()])),
            if_none_match: Some(Tags(vec!["\"3\"".into()])),
        };
        assert_eq!(both.read(3, "resource").expect_err("stale").status(), 412);
    }
}
