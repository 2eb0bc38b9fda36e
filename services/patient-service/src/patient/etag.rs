//! ETag and If-Match: the patient's version as a precondition (RFC 9110, 8.8.3 and 13.1.1).

use axum::extract::FromRequestParts;
use http::{HeaderValue, header, request::Parts};
use kit::{Problem, Result};

/// Returns the ETag of a version.
pub fn etag(version: i64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// The precondition of If-Match; empty if the header is not sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IfMatch(Option<Vec<String>>);

impl IfMatch {
    /// Checks that the client knows this version.
    ///
    /// # Errors
    /// 412 if the patient was changed since.
    pub fn check(&self, version: i64) -> Result<()> {
        let current = format!("\"{version}\"");
        match &self.0 {
            Some(tags) if !tags.iter().any(|tag| *tag == current || tag == "*") => Err(Problem::precondition_failed(
                "The patient was changed since; read it again",
            )),
            _ => Ok(()),
        }
    }

    /// Parses the tags of the header; a weak tag never matches (RFC 9110, 8.8.3.2), and neither does invalid text.
    fn parse(value: &str) -> Self {
        Self(Some(
            value
                .split(',')
                .map(|tag| tag.trim().to_owned())
                .filter(|tag| !tag.is_empty())
                .collect(),
        ))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        // Several header lines are one list (RFC 9110, 5.3).
        let lines: Vec<&str> = parts
            .headers
            .get_all(header::IF_MATCH)
            .iter()
            .map(HeaderValue::to_str)
            .collect::<std::result::Result<_, _>>()
            .map_err(|_| Problem::bad_request("If-Match is malformed"))?;
        Ok(if lines.is_empty() {
            Self::default()
        } else {
            Self::parse(&lines.join(","))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_current_strong_tag_or_a_star_matches() {
        assert!(IfMatch::default().check(3).is_ok());
        for good in ["\"3\"", "*", "\"2\", \"3\""] {
            assert!(IfMatch::parse(good).check(3).is_ok(), "{good}");
        }
        for bad in ["\"2\"", "W/\"3\"", "3", ""] {
            assert_eq!(IfMatch::parse(bad).check(3).expect_err("stale").status(), 412, "{bad}");
        }
    }
}
