//! Policy documents: trust policies, and the identity policies of entities, whose grammar is in [`super::grammar`].

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::grammar;
use crate::AwsError;

/// Checks a trust policy: it has statements, each with an effect, actions and principals.
pub fn check_trust(document: Option<&Value>) -> Result<(), AwsError> {
    let malformed = |why: &str| AwsError::new("MalformedPolicyDocument", format!("Syntax errors in policy: {why}."));
    let document = match document {
        Some(Value::String(text)) => &parse_trust(text)?,
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
        if has("Resource", "NotResource") {
            let message = "Has prohibited field Resource";
            return Err(AwsError::new("MalformedPolicyDocument", message));
        }
        if !has("Principal", "NotPrincipal") {
            return Err(malformed("a statement has no Principal"));
        }
    }
    Ok(())
}

fn parse_trust(text: &str) -> Result<Value, AwsError> {
    let invalid = |_| AwsError::new("MalformedPolicyDocument", "This policy contains invalid Json");
    serde_json::from_str(text).map_err(invalid)
}

/// Parses the text of a trust policy that an API call gives, and checks it.
pub fn trust(text: &str) -> Result<Value, AwsError> {
    let document = parse_trust(text)?;
    check_trust(Some(&document))?;
    Ok(document)
}

/// Checks an inline policy, or a managed one.
pub fn check_policy(document: Option<&Value>, is_managed: bool) -> Result<(), AwsError> {
    match document {
        Some(Value::String(text)) => grammar::check(&parsed(text)?, is_managed),
        Some(document) => grammar::check(document, is_managed),
        None => Err(grammar::malformed("Syntax errors in policy.")),
    }
}

fn parsed(text: &str) -> Result<Value, AwsError> {
    serde_json::from_str(text).map_err(|_| grammar::malformed("Syntax errors in policy."))
}

/// Parses the text of an inline policy that an API call gives, and checks it.
pub fn parse(text: &str) -> Result<Value, AwsError> {
    let document = parsed(text)?;
    grammar::check(&document, false)?;
    Ok(document)
}

/// Parses the text of a managed policy that an API call gives, and checks it.
pub fn parse_managed(text: &str) -> Result<Value, AwsError> {
    let document = parsed(text)?;
    grammar::check(&document, true)?;
    Ok(document)
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
