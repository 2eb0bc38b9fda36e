//! What a client sends about a patient, checked field by field.

use std::collections::BTreeMap;

use kit::{Problem, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::{Date, macros::format_description};
use utoipa::ToSchema;

use super::iso_date;

/// The body of a creation or an update, before it is checked.
///
/// Spaces around a value are dropped; other fields are ignored.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
#[schema(example = json!({
    "name": "Ada Lovelace", "email": "ada@example.org", "address": "12 St James's Square, London",
    "dateOfBirth": "1990-12-10", "registeredDate": "2024-01-10",
}))]
pub struct PatientBody {
    /// 1 to 100 characters.
    #[schema(value_type = String, required = true, min_length = 1, max_length = 100, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    name: Value,
    /// A valid address that no other patient has.
    #[schema(value_type = String, required = true, format = "email", max_length = 254)]
    email: Value,
    /// Where the patient lives, 1 to 500 characters.
    #[schema(value_type = String, required = true, min_length = 1, max_length = 500, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    address: Value,
    /// ISO date from 1850 on, not in the future.
    #[schema(value_type = String, required = true, format = Date)]
    date_of_birth: Value,
    /// ISO date; today for a new patient, unchanged for a known one.
    #[schema(value_type = Option<String>, format = Date)]
    registered_date: Value,
}

/// A body that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValidPatient {
    pub name: String,
    pub email: String,
    pub address: String,
    #[serde(with = "iso_date")]
    pub date_of_birth: Date,
    #[serde(with = "iso_date::option")]
    pub registered_date: Option<Date>,
}

impl PatientBody {
    /// Checks every field, so that the client learns of all mistakes at once.
    ///
    /// # Errors
    /// 400 with a message for each field that is wrong.
    pub fn validate(self, today: Date) -> Result<ValidPatient> {
        let mut errors = BTreeMap::new();
        let name = field(&mut errors, "name", text(&self.name, "Name", 100));
        let email = field(&mut errors, "email", email(&self.email));
        let address = field(&mut errors, "address", text(&self.address, "Address", 500));
        let born = field(&mut errors, "dateOfBirth", born(&self.date_of_birth, today));
        let registered = field(
            &mut errors,
            "registeredDate",
            optional_date(&self.registered_date, "Registered date"),
        );
        match (name, email, address, born, registered) {
            (Some(name), Some(email), Some(address), Some(date_of_birth), Some(registered_date)) => Ok(ValidPatient {
                name,
                email,
                address,
                date_of_birth,
                registered_date,
            }),
            _ => Err(Problem::validation(errors)),
        }
    }
}

fn field<T>(errors: &mut BTreeMap<String, String>, name: &str, checked: std::result::Result<T, String>) -> Option<T> {
    checked.map_err(|message| errors.insert(name.to_owned(), message)).ok()
}

/// A text of 1 to `most` characters without control characters, which PostgreSQL (NUL) and mail headers (line ends) refuse.
pub fn text(value: &Value, label: &str, most: usize) -> std::result::Result<String, String> {
    let sent = match value {
        Value::Null => "",
        Value::String(text) => text,
        _ => return Err(format!("{label} must be text")),
    };
    let text = sent.trim();
    if text.is_empty() {
        Err(format!("{label} is required"))
    } else if sent.chars().count() > most {
        Err(format!("{label} cannot exceed {most} characters"))
    } else if sent.chars().any(char::is_control) {
        Err(format!("{label} cannot contain control characters"))
    } else {
        Ok(text.to_owned())
    }
}

fn email(value: &Value) -> std::result::Result<String, String> {
    let invalid = || "Email should be valid".to_owned();
    let email = text(value, "Email", usize::MAX).map_err(|message| match value {
        Value::String(text) if !text.trim().is_empty() => invalid(),
        _ => message,
    })?;
    if is_email(&email) { Ok(email) } else { Err(invalid()) }
}

/// The addresses that mail really uses: RFC 5321 without quotes, comments and address literals.
fn is_email(email: &str) -> bool {
    let Some((local, domain)) = email.rsplit_once('@') else {
        return false;
    };
    let atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    email.len() <= 254
        && (1..=64).contains(&local.len())
        && local.split('.').all(|part| !part.is_empty() && part.bytes().all(atom))
        && domain.contains('.')
        && domain.split('.').all(label)
}

fn born(value: &Value, today: Date) -> std::result::Result<Date, String> {
    let missing = "Date of birth is required";
    if value.as_str().is_some_and(|text| text.trim().is_empty()) {
        return Err(missing.into());
    }
    let born = optional_date(value, "Date of birth")?.ok_or(missing)?;
    if born > today {
        return Err("Date of birth cannot be in the future".into());
    }
    if born.year() < 1850 {
        return Err("Date of birth cannot be before 1850".into());
    }
    Ok(born)
}

fn optional_date(value: &Value, label: &str) -> std::result::Result<Option<Date>, String> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text,
        _ => return Err(format!("{label} must be a date (YYYY-MM-DD)")),
    };
    date(text)
        .map(Some)
        .ok_or_else(|| format!("{label} must be a date (YYYY-MM-DD)"))
}

/// Reads YYYY-MM-DD, from the year 1 on: what PostgreSQL takes, too.
///
/// The format alone would take a sign, more digits (ISO 8601, expanded years) and the year 0.
pub(super) fn date(text: &str) -> Option<Date> {
    let date = Date::parse(text, format_description!("[year]-[month]-[day]")).ok();
    date.filter(|date| text.len() == 10 && date.year() > 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::date;

    use super::*;

    fn errors(body: Value) -> BTreeMap<String, String> {
        let body: PatientBody = serde_json::from_value(body).expect("an object");
        match body.validate(date!(2026 - 11 - 21)) {
            Ok(_) => BTreeMap::new(),
            Err(problem) => problem.errors().clone(),
        }
    }

    fn with(field: &str, value: Value) -> Value {
        let mut body =
            json!({"name": "Ada", "email": "ada@example.org", "address": "1 Main St", "dateOfBirth": "1990-05-17"});
        body[field] = value;
        body
    }

    #[test]
    fn every_missing_field_is_named_at_once() {
        let found = errors(json!({}));
        let expected = [
            ("address", "Address is required"),
            ("dateOfBirth", "Date of birth is required"),
            ("email", "Email is required"),
            ("name", "Name is required"),
        ];
        assert_eq!(
            found,
            expected.map(|(field, message)| (field.into(), message.into())).into()
        );
    }

    #[test]
    fn each_mistake_has_its_message() {
        let long = "x".repeat(101);
        for (field, value, message) in [
            ("name", json!(long), "Name cannot exceed 100 characters"),
            ("name", json!(7), "Name must be text"),
            ("name", json!("  "), "Name is required"),
            ("name", json!("a\0b"), "Name cannot contain control characters"),
            ("email", json!("nope"), "Email should be valid"),
            ("email", json!("a\0@example.org"), "Email should be valid"),
            ("email", json!("a..b@example.org"), "Email should be valid"),
            ("email", json!("a@-example.org"), "Email should be valid"),
            (
                "dateOfBirth",
                json!("1990-02-31"),
                "Date of birth must be a date (YYYY-MM-DD)",
            ),
            (
                "dateOfBirth",
                json!("2026-11-22"),
                "Date of birth cannot be in the future",
            ),
            (
                "dateOfBirth",
                json!(19900517),
                "Date of birth must be a date (YYYY-MM-DD)",
            ),
            ("dateOfBirth", json!(" "), "Date of birth is required"),
            (
                "dateOfBirth",
                json!("+01990-05-17"),
                "Date of birth must be a date (YYYY-MM-DD)",
            ),
            (
                "registeredDate",
                json!("yesterday"),
                "Registered date must be a date (YYYY-MM-DD)",
            ),
        ] {
            assert_eq!(
                errors(with(field, value)).get(field).map(String::as_str),
                Some(message),
                "{field}"
            );
        }
    }

    #[test]
    fn a_good_patient_passes_with_100_wide_characters() {
        assert_eq!(errors(with("name", json!("é".repeat(100)))), BTreeMap::new());
        assert_eq!(
            errors(with("email", json!("o'brien+x@sub.example.co.uk"))),
            BTreeMap::new()
        );
    }
}
