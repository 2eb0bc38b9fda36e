//! Validation of text fields in request bodies.

use serde_json::Value;

/// Rejection of a text field, as the message for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    #[error("{label} must be text")]
    NotText { label: &'static str },
    #[error("{label} is required")]
    Missing { label: &'static str },
    #[error("{label} cannot exceed {max} characters")]
    TooLong { label: &'static str, max: usize },
    #[error("{label} cannot contain control characters")]
    ControlCharacter { label: &'static str },
}

/// Validates a text of 1 to `max` characters, and returns it without surrounding spaces.
///
/// Control characters are rejected, because PostgreSQL does not store NUL, and line ends would inject mail headers.
///
/// # Errors
/// The first rule that the text violates.
pub fn parse(value: &Value, label: &'static str, max: usize) -> Result<String, TextError> {
    let text = match value {
        Value::Null => "",
        Value::String(text) => text,
        _ => return Err(TextError::NotText { label }),
    };
    let trimmed = text.trim();
    if trimmed.is_empty() {
        Err(TextError::Missing { label })
    } else if text.chars().count() > max {
        Err(TextError::TooLong { label, max })
    } else if text.chars().any(char::is_control) {
        Err(TextError::ControlCharacter { label })
    } else {
        Ok(trimmed.to_owned())
    }
}
