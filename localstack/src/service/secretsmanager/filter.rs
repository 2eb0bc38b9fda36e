//! The filters of `ListSecrets` and `BatchGetSecretValue` (API reference, `Filter`).

use super::rotation;
use super::secret::{Secret, all};
use crate::records::texts;
use crate::service::Call;
use crate::{AwsError, Context};

/// Returns the secrets that meet all filters of a call, oldest first.
///
/// # Errors
/// `InvalidParameterException` for a filter without a key or values, `ValidationException` for an unknown key.
pub fn filtered(cx: &Context, call: &Call) -> Result<Vec<Secret>, AwsError> {
    let mut found = all(cx)?;
    found.sort_by_key(|secret| secret.created);
    for (at, filter) in call.list("Filters").iter().enumerate() {
        let key = filter["Key"].as_str();
        let key = key.ok_or_else(|| AwsError::new("InvalidParameterException", "Invalid filter key"))?;
        let known = [
            "all",
            "name",
            "tag-key",
            "description",
            "tag-value",
            "primary-region",
            "owning-service",
        ];
        if !known.contains(&key) {
            let message = format!(
                "1 validation error detected: Value '{key}' at 'filters.{}.member.key' failed to satisfy constraint: Member must satisfy enum value set: [all, name, tag-key, description, tag-value]",
                at + 1
            );
            return Err(AwsError::new("ValidationException", message));
        }
        let values = texts(filter.get("Values"));
        if values.is_empty() {
            let message = format!("Invalid filter values for key: {key}");
            return Err(AwsError::new("InvalidParameterException", message));
        }
        found.retain(|secret| meets(secret, key, &values));
    }
    Ok(found)
}

/// Returns true if a secret meets one of the values. "!" before a value negates it.
fn meets(secret: &Secret, key: &str, values: &[String]) -> bool {
    let description = secret.description.as_deref();
    let keys = secret.tags.keys().map(String::as_str);
    let tag_values = secret.tags.values().map(String::as_str);
    let attributes: Vec<&str> = match key {
        "name" => vec![&secret.name],
        "description" => description.into_iter().collect(),
        "tag-key" => keys.collect(),
        "tag-value" => tag_values.collect(),
        "owning-service" => rotation::owner(secret).into_iter().collect(),
        // No secret has replicas here.
        "primary-region" => Vec::new(),
        _ => [secret.name.as_str()]
            .into_iter()
            .chain(description)
            .chain(keys)
            .chain(tag_values)
            .collect(),
    };
    let by_words = key == "all" || key == "description";
    let matches = |value: &str| {
        attributes.iter().any(|attribute| {
            if by_words {
                has_words(attribute, value)
            } else {
                attribute.starts_with(value)
            }
        })
    };
    values.iter().any(|value| match value.strip_prefix('!') {
        Some(value) => !matches(value),
        None => matches(value),
    })
}

/// Returns true if each word of `value` begins a word of `text`, in any case.
fn has_words(text: &str, value: &str) -> bool {
    let (text, value) = (words(text), words(value));
    !value.is_empty()
        && value
            .iter()
            .all(|word| text.iter().any(|other| other.starts_with(word.as_str())))
}

/// Splits a text at characters that are not alphanumeric, and before an uppercase character that a lowercase one follows.
fn words(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut words = vec![String::new()];
    for (at, c) in chars.iter().enumerate() {
        let starts_word = c.is_uppercase() && chars.get(at + 1).is_some_and(|next| next.is_lowercase());
        if !c.is_alphanumeric() || starts_word {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_at_special_characters_and_before_capitalized_words() {
        for (text, value, expected) in [
            ("prod/AppBeta/x", "Beta", true),
            ("prod/AppBeta/x", "+", false),
            ("uat/COMPANY/x", "company", true),
            ("uat/COMPANYthings/x", "company", false),
            ("uat/COMPANYthings/x", "Ythings", true),
            ("one and two", "t o", true),
            ("Thirdsecret", "secret", false),
        ] {
            assert_eq!(has_words(text, value), expected, "{text} {value}");
        }
    }
}
