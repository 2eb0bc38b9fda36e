//! Random passwords ("GetRandomPassword", "GenerateSecretString").

use rand::seq::SliceRandom;
use serde_json::{Map, Value};

use crate::AwsError;
use crate::records::scalar;

const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// A password as the options say; their names are the same in the API and in templates.
pub fn password(options: &Value) -> Result<String, AwsError> {
    let text = |option: &str| options.get(option).and_then(scalar);
    let flag = |option: &str| text(option).is_some_and(|value| value == "true");
    let wrong = |reason: &str| AwsError::new("InvalidParameterException", reason.to_owned());
    let length = text("PasswordLength").map_or(Some(32), |length| length.parse::<usize>().ok());
    let length = length
        .filter(|n| (1..=4096).contains(n))
        .ok_or_else(|| wrong("PasswordLength must be 1 to 4096."))?;
    let excluded = text("ExcludeCharacters").unwrap_or_default();
    let spaces = if flag("IncludeSpace") { " " } else { "" };
    let kinds = [
        ("ExcludeLowercase", ('a'..='z').collect::<String>()),
        ("ExcludeUppercase", ('A'..='Z').collect()),
        ("ExcludeNumbers", ('0'..='9').collect()),
        ("ExcludePunctuation", PUNCTUATION.to_owned()),
        ("", spaces.to_owned()),
    ];
    let kinds: Vec<Vec<char>> = kinds
        .into_iter()
        .filter(|(option, _)| !flag(option))
        .map(|(_, letters)| {
            letters
                .chars()
                .filter(|letter| !excluded.contains(*letter))
                .collect::<Vec<char>>()
        })
        .filter(|letters| !letters.is_empty())
        .collect();
    let all: Vec<char> = kinds.concat();
    if all.is_empty() {
        return Err(wrong("The options leave no character to make a password of."));
    }
    let one_of = |letters: &[char]| letters[rand::random_range(0..letters.len())];
    let mut letters = Vec::with_capacity(length);
    if text("RequireEachIncludedType").is_none_or(|value| value == "true") {
        if length < kinds.len() {
            return Err(wrong("PasswordLength is too short to hold each included type."));
        }
        letters.extend(kinds.iter().map(|kind| one_of(kind)));
    }
    letters.extend((letters.len()..length).map(|_| one_of(&all)));
    letters.shuffle(&mut rand::rng());
    Ok(letters.into_iter().collect())
}

/// A template's `GenerateSecretString`: the password alone, or as a key of `SecretStringTemplate`.
pub fn secret_string(options: &Value) -> Result<String, AwsError> {
    let password = password(options)?;
    let text = |option: &str| options.get(option).and_then(scalar);
    let wrong = |reason: &str| AwsError::new("InvalidParameterException", reason.to_owned());
    match (text("SecretStringTemplate"), text("GenerateStringKey")) {
        (None, None) => Ok(password),
        (Some(template), Some(key)) => {
            let mut object: Map<String, Value> =
                serde_json::from_str(&template).map_err(|_| wrong("SecretStringTemplate must be a JSON object."))?;
            object.insert(key, password.into());
            Ok(Value::Object(object).to_string())
        }
        _ => Err(wrong(
            "SecretStringTemplate and GenerateStringKey must be given together.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_password_has_what_its_options_say() {
        let options = json!({"PasswordLength": 40, "ExcludePunctuation": true, "ExcludeCharacters": "abc012"});
        for _ in 0..50 {
            let password = password(&options).unwrap();
            assert_eq!(password.len(), 40);
            assert!(
                password
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() && !"abc012".contains(c))
            );
            assert!(password.chars().any(char::is_numeric) && password.chars().any(char::is_uppercase));
        }
        assert!(password(&json!({"PasswordLength": 3})).is_err());
        let all = json!({"ExcludeLowercase": true, "ExcludeUppercase": true, "ExcludeNumbers": "true", "ExcludePunctuation": true});
        assert!(password(&all).is_err());
    }

    #[test]
    fn a_template_takes_the_password_under_its_key() {
        let options = json!({"SecretStringTemplate": "{\"username\":\"admin\"}", "GenerateStringKey": "password"});
        let made: Value = serde_json::from_str(&secret_string(&options).unwrap()).unwrap();
        assert_eq!(made["username"], "admin");
        assert_eq!(made["password"].as_str().unwrap().len(), 32);
        assert!(secret_string(&json!({"GenerateStringKey": "password"})).is_err());
    }
}
