//! Filters and pages of lists.

use serde_json::{Value, json};

use crate::AwsError;
use crate::records::{page, texts};
use crate::service::Call;

/// Keeps the items that meet each filter of a call: a name among `known`, values, and a condition.
///
/// # Errors
/// `InvalidInput` for another filter or condition.
pub fn apply<T>(
    call: &Call,
    items: &mut Vec<T>,
    known: &[&str],
    value: impl Fn(&T, &str) -> Option<String>,
) -> Result<(), AwsError> {
    for filter in call.list("Filters") {
        let values = texts(filter.get("Values"));
        let name = filter["Name"].as_str().unwrap_or_default();
        if !known.contains(&name) {
            let message = format!(
                "The embedded endpoint supports the filters {}, not {name}.",
                known.join(", ")
            );
            return Err(AwsError::new("InvalidInput", message));
        }
        match filter["Condition"].as_str().unwrap_or("EQ") {
            "EQ" | "IN" => items.retain(|item| value(item, name).is_some_and(|value| values.contains(&value))),
            "BEGINS_WITH" => {
                items.retain(|item| {
                    value(item, name).is_some_and(|value| values.iter().any(|one| value.starts_with(one)))
                });
            }
            other => {
                let message = format!("The embedded endpoint does not support the condition {other} of {name}.");
                return Err(AwsError::new("InvalidInput", message));
            }
        }
    }
    Ok(())
}

/// Returns one page of a list.
///
/// # Errors
/// `InvalidInput` for an unknown token.
pub fn page_of(call: &Call, member: &str, items: Vec<Value>) -> Result<Value, AwsError> {
    let limit = call.limit("MaxResults", 100, 1..=100);
    let invalid = |error: AwsError| AwsError::new("InvalidInput", error.message);
    let (shown, next) = page(items, limit, call.text("NextToken").as_deref()).map_err(invalid)?;
    let mut response = json!({member: shown});
    if let Some(token) = next {
        response["NextToken"] = token.into();
    }
    Ok(response)
}
