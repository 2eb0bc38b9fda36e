//! Extractors whose rejections are problems.

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
        if !is_identity(request.headers()) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Send the body without a Content-Encoding",
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
    let kind = kind.to_ascii_lowercase();
    let mut parts = kind.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    // JSON is UTF-8 (RFC 8259, 8.1); bytes of another charset would be read as other characters.
    let is_utf_8 = parts.all(|parameter| {
        let charset = parameter.strip_prefix("charset=");
        charset.is_none_or(|charset| matches!(charset.trim_matches('"'), "utf-8" | "utf8"))
    });
    is_utf_8 && (kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json")))
}

/// Returns whether the body has no content coding, such as compression (RFC 9110, 8.4).
fn is_identity(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// 400 for a body that is another JSON value than an object; it names the type, and quotes nothing.
fn not_an_object(bytes: &[u8]) -> Problem {
    let found = match bytes.trim_ascii_start().first() {
        Some(b'[') => "an array",
        Some(b'"') => "a text",
        Some(b'n') => "null",
        Some(b't' | b'f') => "a boolean",
        Some(b'{') => return Problem::bad_request("The JSON object does not have the expected form"),
        _ => "a number",
    };
    Problem::bad_request(format!("The body must be a JSON object, and is {found}"))
}

/// Parses a JSON object.
///
/// # Errors
/// 400, which names the invalid field if there is one, and never quotes a value.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // A derived Deserialize also accepts an array of the fields, in the order of their declaration.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(not_an_object(bytes));
    }
    if bytes.trim_ascii().is_empty() {
        return Err(Problem::bad_request("The body is empty; send a JSON object"));
    }
    let mut input = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut input).map_err(|error| {
        let (path, cause) = (error.path().to_string(), error.inner());
        if !cause.is_data() {
            // The parser's messages name the syntax and the position, and do not quote the text.
            return Problem::bad_request(format!("Malformed JSON: {cause}"));
        }
        let message = cause.to_string();
        match message
            .strip_prefix("missing field `")
            .and_then(|tail| tail.split('`').next())
        {
            Some(field) => Problem::field(field, "This field is required"),
            // Here the path ends with the client's own name of the field, which may be anything.
            None if message.starts_with("unknown field") => Problem::bad_request("The body has an unknown field"),
            None if message.starts_with("duplicate field `") => duplicate(&message, cause.line(), cause.column()),
            None if path == "." => not_an_object(bytes),
            None => Problem::field(path, "This value has the wrong type or form"),
        }
    })?;
    input
        .end()
        .map_err(|_| Problem::bad_request("Malformed JSON: the document is followed by more text"))?;
    Ok(value)
}

/// 400 for a field that the body has twice; its name is one of the expected fields, so it is quoted.
fn duplicate(message: &str, line: usize, column: usize) -> Problem {
    let field = message.split('`').nth(1).unwrap_or_default();
    Problem::field(
        field,
        format!("The field \"{field}\" appears twice; the second is at line {line}, column {column}"),
    )
}

/// A query string; 400 when a parameter is malformed.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // PostgreSQL's text cannot contain NUL.
        if parts.uri.query().is_some_and(|query| query.contains("%00")) {
            return Err(Problem::bad_request("The query string contains a NUL character"));
        }
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|query| Self(query.0))
            .map_err(|_| Problem::bad_request("The query string has a malformed parameter"))
    }
}

/// Path parameters; 400 when one is malformed, such as an id that is not a UUID.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0))
            .map_err(|_| Problem::bad_request("The path contains a malformed id"))
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

    fn rejection(body: &[u8]) -> String {
        serde_json::to_string(&parse::<Named>(body).expect_err("a rejection")).expect("JSON")
    }

    #[tokio::test]
    async fn a_body_of_another_type_or_coding_is_415() {
        for (kind, coding, status) in [
            ("application/json", "identity", None),
            ("application/json; charset=utf-8", "Identity", None),
            ("application/merge-patch+json", "identity", None),
            ("application/json;charset=\"UTF-8\"", "identity", None),
            ("application/json; charset=utf-16", "identity", Some(415)),
            ("application/json; charset=iso-8859-1", "identity", Some(415)),
            ("text/plain", "identity", Some(415)),
            ("application/json", "gzip", Some(415)),
        ] {
            let request = Request::post("/")
                .header(header::CONTENT_TYPE, kind)
                .header(header::CONTENT_ENCODING, coding)
                .body(r#"{"name":"a"}"#.into())
                .expect("a request");
            let read = Json::<Named>::from_request(request, &()).await;
            let rejected = read.err().map(|problem| problem.status().as_u16());
            assert_eq!(rejected, status, "{kind}, {coding}");
        }
    }

    #[test]
    fn a_missing_or_mistyped_field_is_named_without_its_value() {
        assert!(rejection(b"{}").contains(r#""errors":{"name":"This field is required"}"#));
        let mistyped = rejection(br#"{"name": 1234567}"#);
        assert!(
            mistyped.contains(r#""errors":{"name":"#) && !mistyped.contains("1234567"),
            "{mistyped}"
        );
    }

    #[test]
    fn a_field_that_appears_twice_is_named_with_its_position() {
        let rejection = parse::<Named>(br#"{"name": "Ada", "name": "Bea"}"#).expect_err("a rejection");
        let message = &rejection.errors()["name"];
        assert!(message.starts_with("The field \"name\" appears twice"), "{message}");
        assert!(
            message.contains("line 1, column 22") && !message.contains("Bea"),
            "{message}"
        );
    }

    #[test]
    fn malformed_json_and_other_values_are_named_without_their_content() {
        for (body, expected) in [
            ("", "empty"),
            ("\"Ada\"", "is a text"),
            ("null", "is null"),
            ("[]", "is an array"),
            ("7", "is a number"),
            ("{\"name\": \"Ada\",}", "trailing comma at line 1 column"),
            ("{\"name\" \"Ada\"}", "expected `:`"),
            ("{\"name\": \"Ada", "EOF"),
            ("{\"name\": \"\\ud800Ada\"}", "hex escape"),
        ] {
            let rejection = parse::<Named>(body.as_bytes()).expect_err(body);
            assert_eq!(rejection.status(), StatusCode::BAD_REQUEST, "{body}");
            let detail = rejection.detail();
            assert!(detail.contains(expected) && !detail.contains("Ada"), "{body}: {detail}");
        }
    }

    #[test]
    fn the_name_of_an_unknown_field_is_not_quoted() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Strict {}
        let body = br#"{"ada@example.org": 1}"#;
        let rejection = parse::<Strict>(body).expect_err("a rejection");
        assert_eq!(
            (rejection.status(), rejection.errors().len()),
            (StatusCode::BAD_REQUEST, 0)
        );
        let text = serde_json::to_string(&rejection).expect("JSON");
        assert!(!text.contains("ada"), "{text}");
    }

    #[test]
    fn a_body_that_is_not_a_json_object_is_a_bad_request() {
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
                parse::<Named>(body).expect_err("a rejection").status(),
                StatusCode::BAD_REQUEST
            );
        }
    }
}
