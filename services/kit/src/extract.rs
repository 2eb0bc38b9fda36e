//! Extractors whose refusals are problems.

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header, request::Parts};
use serde::{Serialize, de::DeserializeOwned};

use crate::problem::Problem;

/// A JSON body, in and out: 400 for malformed or mistyped JSON (naming the field), 413, 415 (another type, or compressed).
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Send the body as application/json",
            ));
        }
        if !is_plain(request.headers()) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Send the body as it is, without a Content-Encoding",
            ));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|error| match error.status() {
                StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(),
                _ => Problem::bad_request("The request body ended early"),
            })?;
        parse(&bytes).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// Whether the body is not compressed or the like (RFC 9110, 8.4).
fn is_plain(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

const NO_OBJECT: &str = "The body is not the JSON object that is expected here";

/// Parses a JSON object; the problem names the field where it is one field's fault, and never quotes a value.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // A derived Deserialize takes the fields from an array as well, in the order in which they happen to be written.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(Problem::bad_request(NO_OBJECT));
    }
    let mut input = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut input).map_err(|error| {
        let (path, cause) = (error.path().to_string(), error.inner());
        if !cause.is_data() {
            return Problem::bad_request(format!(
                "Malformed JSON at line {}, column {}",
                cause.line(),
                cause.column()
            ));
        }
        let words = cause.to_string();
        match words
            .strip_prefix("missing field `")
            .and_then(|rest| rest.split('`').next())
        {
            Some(field) => Problem::field(field, "This field is required"),
            // Here the path ends with the client's own word, which may be anything.
            None if words.starts_with("unknown field") => {
                Problem::bad_request("The body has a field that is not known here")
            }
            None if path == "." => Problem::bad_request(NO_OBJECT),
            None => Problem::field(path, "This value has the wrong type or form"),
        }
    })?;
    input
        .end()
        .map_err(|_| Problem::bad_request("Malformed JSON: something follows the document"))?;
    Ok(value)
}

/// A query string; 400 when a parameter is malformed.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // PostgreSQL's text has no NUL, so no parameter can mean one.
        if parts.uri.query().is_some_and(|query| query.contains("%00")) {
            return Err(Problem::bad_request("The query string holds a NUL character"));
        }
        let found = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        found
            .map(|query| Self(query.0))
            .map_err(|_| Problem::bad_request("The query string has a malformed parameter"))
    }
}

/// Path parameters; 400 when one is malformed, such as an id that is no UUID.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        found
            .map(|path| Self(path.0))
            .map_err(|_| Problem::bad_request("The path holds a malformed id"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Named {
        #[expect(dead_code, reason = "only its parsing matters here")]
        name: String,
    }

    fn refusal(body: &[u8]) -> String {
        serde_json::to_string(&parse::<Named>(body).expect_err("a refusal")).expect("JSON")
    }

    #[tokio::test]
    async fn a_body_of_another_type_or_coding_is_415() {
        for (kind, coding, status) in [
            ("application/json", "identity", None),
            ("application/json; charset=utf-8", "Identity", None),
            ("application/merge-patch+json", "identity", None),
            ("text/plain", "identity", Some(415)),
            ("application/json", "gzip", Some(415)),
        ] {
            let request = Request::post("/")
                .header(header::CONTENT_TYPE, kind)
                .header(header::CONTENT_ENCODING, coding)
                .body(r#"{"name":"a"}"#.into())
                .expect("a request");
            let read = Json::<Named>::from_request(request, &()).await;
            let refused = read.err().map(|problem| problem.status().as_u16());
            assert_eq!(refused, status, "{kind}, {coding}");
        }
    }

    #[test]
    fn a_missing_or_mistyped_field_is_named_without_its_value() {
        assert!(refusal(b"{}").contains(r#""errors":{"name":"This field is required"}"#));
        let mistyped = refusal(br#"{"name": 1234567}"#);
        assert!(
            mistyped.contains(r#""errors":{"name":"#) && !mistyped.contains("1234567"),
            "{mistyped}"
        );
    }

    #[test]
    fn a_field_that_is_not_known_is_not_told_by_its_name() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Strict {}
        let body = br#"{"ada@example.org": 1}"#;
        let refusal = serde_json::to_string(&parse::<Strict>(body).expect_err("a refusal")).expect("JSON");
        assert!(
            refusal.contains("not known here") && !refusal.contains("ada"),
            "{refusal}"
        );
    }

    #[test]
    fn what_is_not_json_is_a_bad_request() {
        for body in [
            &b"{"[..],
            b"\xff\xfe{}",
            b"",
            br#"{"name":"\ud800"}"#,
            br#"{"name":"a"} x"#,
            b"[]",
            br#" ["a"]"#,
        ] {
            assert_eq!(
                parse::<Named>(body).expect_err("a refusal").status(),
                StatusCode::BAD_REQUEST
            );
        }
    }
}
