//! The syntax of policy documents.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::AwsError;

/// Checks that a document has statements, each with an effect and actions, and resources or principals.
pub fn check(document: Option<&Value>, trust: bool) -> Result<(), AwsError> {
    let malformed = |why: &str| AwsError::new("MalformedPolicyDocument", format!("Syntax errors in policy: {why}."));
    let parsed;
    let document = match document {
        Some(Value::String(text)) => {
            parsed = serde_json::from_str(text).map_err(|_| malformed("it is not JSON"))?;
            &parsed
        }
        Some(document) => document,
        None => return Err(malformed("there is no document")),
    };
    let statements = match document.get("Statement") {
        Some(Value::Array(list)) if !list.is_empty() => list.iter().collect(),
        Some(statement @ Value::Object(_)) => vec![statement],
        _ => return Err(malformed("Statement is missing or empty")),
    };
    for statement in statements {
        let has = |one: &str, other: &str| statement.get(one).is_some() || statement.get(other).is_some();
        if !matches!(statement.get("Effect").and_then(Value::as_str), Some("Allow" | "Deny")) {
            return Err(malformed("Effect must be Allow or Deny"));
        }
        if !has("Action", "NotAction") {
            return Err(malformed("a statement has no Action"));
        }
        let (one, other) = if trust {
            ("Principal", "NotPrincipal")
        } else {
            ("Resource", "NotResource")
        };
        if !has(one, other) {
            return Err(malformed(&format!("a statement has no {one}")));
        }
    }
    Ok(())
}

/// Parses the text of a policy that an API call gives, and checks it.
pub fn parse(text: &str) -> Result<Value, AwsError> {
    check(Some(&text.into()), false)?;
    Ok(serde_json::from_str(text).unwrap_or_default())
}

/// Encodes the document for a response: URL-encoded JSON (RFC 3986).
pub fn encoded(document: Option<&Value>) -> String {
    let text = match document {
        Some(Value::String(text)) => text.clone(),
        Some(document) => document.to_string(),
        None => String::new(),
    };
    utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string()
}
