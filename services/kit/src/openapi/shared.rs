//! Common components, headers and examples of all documents.

use http::StatusCode;
use serde_json::{Value, json};
use utoipa::{PartialSchema, ToSchema};

use super::BEARER;
use crate::problem::Problem;

/// Reference to the schema of problems.
pub(super) const PROBLEM: &str = "#/components/schemas/Problem";
/// The media type of problems (RFC 9457).
pub(super) const PROBLEM_TYPE: &str = "application/problem+json";
/// An example of an id.
pub(super) const EXAMPLE_ID: &str = "0198c0de-5afe-7abc-8def-0123456789ab";

/// Error responses of the common code.
const ERRORS: [(&str, &str); 6] = [
    (
        "400",
        "A field, a parameter or a header is missing or malformed; `errors` names the fields",
    ),
    ("401", "A valid access token is required"),
    ("403", "Your role does not allow this"),
    ("413", "The request body is too large"),
    ("415", "Send the body as application/json"),
    ("503", "Temporarily unavailable; retry after Retry-After"),
];

/// Error responses of the gateway itself.
pub(super) const GATEWAY_ERRORS: [(&str, &str); 2] = [
    (
        "429",
        "Too many requests of this user or from this address; retry after Retry-After",
    ),
    ("504", "The service took too long"),
];

/// Adds the security scheme, the schema of problems, and the error responses.
pub(super) fn add_components(document: &mut Value) {
    let components = &mut document["components"];
    components["securitySchemes"] = json!({BEARER: {
        "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
        "description": "An access token from `POST /auth/login`, valid for 15 minutes.",
    }});
    components["schemas"][&*Problem::name()] = serde_json::to_value(Problem::schema()).unwrap_or_default();
    for (status, detail) in ERRORS {
        components["responses"][status] = error_response(status, detail);
    }
}

/// Returns an error response.
pub(super) fn error_response(status: &str, detail: &str) -> Value {
    let mut response = json!({"description": detail, "content": problem(status, detail)});
    let name = match status {
        "401" => "WWW-Authenticate",
        "429" | "503" => "Retry-After",
        _ => "",
    };
    if let Some(header) = header(name) {
        response["headers"] = json!({name: header});
    }
    response
}

/// Returns a reference to an error response.
pub(super) fn reference(status: &str) -> Value {
    json!({"$ref": format!("#/components/responses/{status}")})
}

/// Returns the content of a problem, with an example.
pub(super) fn problem(status: &str, detail: &str) -> Value {
    let code = status.parse().ok().and_then(|code| StatusCode::from_u16(code).ok());
    let code = code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json!({PROBLEM_TYPE: {
        "schema": {"$ref": PROBLEM},
        "example": {
            "type": "about:blank",
            "title": code.canonical_reason().unwrap_or("Error"),
            "status": code.as_u16(),
            "detail": detail,
        },
    }})
}

/// Returns a response header that has the same meaning everywhere.
pub(super) fn header(name: &str) -> Option<Value> {
    let (required, description, schema) = match name {
        "ETag" => (
            true,
            "The version, for If-Match",
            json!({"type": "string", "pattern": "^\"[0-9]+\"$", "example": "\"1\""}),
        ),
        "Location" => (
            true,
            "The address of the new resource, at the gateway",
            json!({"type": "string", "format": "uri-reference"}),
        ),
        "Link" => (
            false,
            "The next page, with rel=\"next\"; absent on the last page",
            json!({"type": "string"}),
        ),
        "X-Total-Count" => (
            true,
            "Number of rows on all pages",
            json!({"type": "integer", "minimum": 0}),
        ),
        "X-Total-Count-Relation" => (
            true,
            "`eq` if X-Total-Count is exact, `gte` if it is a lower bound",
            json!({"type": "string", "enum": ["eq", "gte"]}),
        ),
        "Retry-After" => (
            true,
            "Seconds to wait before a retry",
            json!({"type": "integer", "minimum": 1}),
        ),
        "WWW-Authenticate" => (
            true,
            "Required authentication scheme",
            json!({"type": "string", "example": "Bearer"}),
        ),
        "Cache-Control" => (true, "Cache control of the response", json!({"type": "string"})),
        _ => return None,
    };
    Some(json!({"required": required, "description": description, "schema": schema}))
}

/// Returns a request header that has the same meaning everywhere.
pub(super) fn request_header(name: &str) -> Option<(&'static str, Value)> {
    match name {
        "Idempotency-Key" => Some((
            "Any text; requests with the same key and body within 24 hours create one resource and get the same response",
            json!({
                "type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[\\x21-\\x7e]+$",
                "example": "0b9c2f4e-registration",
            }),
        )),
        "If-Match" => Some((
            "The ETag of the version to change; any version if it is `*` or absent. An ETag of another version is 412",
            json!({"type": "string", "minLength": 1, "example": "*"}),
        )),
        "If-None-Match" => Some((
            "ETags of versions that the client has, or `*` for any: a read of one is 304, a change of one is 412",
            json!({"type": "string", "minLength": 1, "example": "\"1\""}),
        )),
        _ => None,
    }
}
