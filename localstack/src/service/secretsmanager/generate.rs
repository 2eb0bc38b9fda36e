//! Generation of passwords (`GetRandomPassword`, `GenerateSecretString`).

use rand::seq::SliceRandom;
use serde_json::{Map, Value};

use crate::AwsError;
use crate::records::scalar;

const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// Generates a password. The options have the same names in the API and in templates.
pub fn password(options: &Value) -> Result<String, AwsError> {
    let text = |option: &str| options.get(option).and_then(scalar);
    let flag = |option: &str| text(option).is_some_and(|value| value == "true");
    let invalid = |reason: &str| AwsError::new("InvalidParameterException", reason.to_owned());
    let length = text("PasswordLength").map_or(Some(32), |length| length.parse::<usize>().ok());
    let length = length
        .filter(|n| (1..=4096).contains(n))
        .ok_or_else(|| invalid("PasswordLength must be 1 to 4096."))?;
    let excluded = text("ExcludeCharacters").unwrap_or_default();
    let spaces = if flag("IncludeSpace") { " " } else { "" };
    let character_types = [
        ("ExcludeLowercase", ('a'..='z').collect::<String>()),
        ("ExcludeUppercase", ('A'..='Z').collect()),
        ("ExcludeNumbers", ('0'..='9').collect()),
        ("ExcludePunctuation", PUNCTUATION.to_owned()),
        ("", spaces.to_owned()),
    ];
    let character_types: Vec<Vec<char>> = character_types
        .into_iter()
        .filter(|(option, _)| !flag(option))
        .map(|(_, characters)| {
            characters
                .chars()
                .filter(|character| !excluded.contains(*character))
                .collect::<Vec<char>>()
        })
        .filter(|characters| !characters.is_empty())
        .collect();
    let all: Vec<char> = character_types.concat();
    if all.is_empty() {
        return Err(invalid("The options exclude all characters."));
    }
    let one_of = |characters: &[char]| characters[rand::random_range(0..characters.len())];
    let mut password = Vec::with_capacity(length);
    if text("RequireEachIncludedType").is_none_or(|value| value == "true") {
        if length < character_types.len() {
            return Err(invalid("PasswordLength is too short for each included character type."));
        }
        password.extend(character_types.iter().map(|characters| one_of(characters)));
    }
    password.extend((password.len()..length).map(|_| one_of(&all)));
    password.shuffle(&mut rand::rng());
    Ok(password.into_iter().collect())
}

/// Generates the value of `GenerateSecretString`: the password alone, or as a key of `SecretStringTemplate`.
pub fn secret_string(options: &Value) -> Result<String, AwsError> {
    let password = password(options)?;
    let text = |option: &str| options.get(option).and_then(scalar);
    let invalid = |reason: &str| AwsError::new("InvalidParameterException", reason.to_owned());
    match (text("SecretStringTemplate"), text("GenerateStringKey")) {
        (None, None) => Ok(password),
        (Some(template), Some(key)) => {
            let mut object: Map<String, Value> =
                serde_json::from_str(&template).map_err(|_| invalid("SecretStringTemplate must be a JSON object."))?;
            object.insert(key, password.into());
            Ok(Value::Object(object).to_string())
        }
        _ => Err(invalid(
            "SecretStringTemplate and GenerateStringKey must be given together.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_password_follows_its_options() {
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
        let code = |options: &Value| password(options).unwrap_err().code;
        assert_eq!(code(&json!({"PasswordLength": 3})), "InvalidParameterException");
        let all = json!({"ExcludeLowercase": true, "ExcludeUppercase": true, "ExcludeNumbers": "true", "ExcludePunctuation": true});
        assert_eq!(code(&all), "InvalidParameterException");
    }

    #[test]
    fn a_template_gets_the_password_under_its_key() {
        let options = json!({"SecretStringTemplate": "{\"username\":\"admin\"}", "GenerateStringKey": "password"});
        let generated: Value = serde_json::from_str(&secret_string(&options).unwrap()).unwrap();
        assert_eq!(generated["username"], "admin");
        assert_eq!(generated["password"].as_str().unwrap().len(), 32);
        let error = secret_string(&json!({"GenerateStringKey": "password"})).unwrap_err();
        assert_eq!(error.code, "InvalidParameterException");
    }
}
