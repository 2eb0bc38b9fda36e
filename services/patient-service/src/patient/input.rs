//! The request body of a patient, validated field by field.

use std::collections::BTreeMap;

use kit::{
    Email, EmailError, Problem,
    text::{self, TextError},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::{Date, macros::format_description};
use utoipa::ToSchema;

use super::iso_date;
use crate::calendar::Today;

/// Earliest year of birth; an earlier one is a typing error.
const MIN_BIRTH_YEAR: i32 = 1850;
/// Message of a patient who was registered before birth.
pub(super) const REGISTERED_BEFORE_BIRTH: &str = "Registered date cannot be before the date of birth";

/// The body of a creation or an update, before its validation.
///
/// Surrounding spaces are removed, and text is stored in Unicode's normal form C; other fields are ignored.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
#[schema(example = json!({
    "name": "Ada Lovelace", "email": "ada@example.org", "address": "12 St James's Square, London",
    "dateOfBirth": "1990-12-10", "registeredDate": "2024-01-10",
}))]
pub struct PatientBody {
    /// 1 to 100 characters, none of them invisible.
    #[schema(value_type = String, required = true, min_length = 1, max_length = 100, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    name: Value,
    /// A valid email address that no other patient has; any script is allowed (RFC 6531).
    #[schema(value_type = String, required = true, format = "email", max_length = 254)]
    email: Value,
    /// Postal address, 1 to 500 characters, none of them invisible.
    #[schema(value_type = String, required = true, min_length = 1, max_length = 500, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    address: Value,
    /// ISO date from 1850-01-01 on, not in the future.
    #[schema(value_type = String, required = true, format = Date)]
    date_of_birth: Value,
    /// ISO date, not in the future and not before the date of birth; by default today for a new patient, and unchanged for an
    /// existing one.
    #[schema(value_type = Option<String>, format = Date)]
    registered_date: Value,
}

/// A valid body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValidPatient {
    pub name: String,
    pub email: Email,
    pub address: String,
    #[serde(with = "iso_date")]
    pub date_of_birth: Date,
    #[serde(with = "iso_date::option")]
    pub registered_date: Option<Date>,
}

impl PatientBody {
    /// Validates every field, so that the client receives all errors at once.
    ///
    /// # Errors
    /// 400 with a message for each invalid field.
    pub fn validate(self, today: Today) -> kit::Result<ValidPatient> {
        let mut errors = BTreeMap::new();
        let name = text::parse(&self.name, "Name", 100).map_err(FieldError::from);
        let address = text::parse(&self.address, "Address", 500).map_err(FieldError::from);
        let name = field(&mut errors, "name", name);
        let email = field(&mut errors, "email", email(&self.email));
        let address = field(&mut errors, "address", address);
        let date_of_birth = field(
            &mut errors,
            "dateOfBirth",
            date_of_birth(&self.date_of_birth, today.date),
        );
        let registered = field(
            &mut errors,
            "registeredDate",
            registered_date(&self.registered_date, today.latest, date_of_birth),
        );
        match (name, email, address, date_of_birth, registered) {
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

fn field<T>(errors: &mut BTreeMap<String, String>, name: &str, parsed: Result<T, FieldError>) -> Option<T> {
    parsed
        .map_err(|error| errors.insert(name.to_owned(), error.to_string()))
        .ok()
}

/// Rejection of one field, as the message for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum FieldError {
    #[error(transparent)]
    Text(#[from] TextError),
    #[error(transparent)]
    Email(#[from] EmailError),
    #[error("{label} must be a date (YYYY-MM-DD)")]
    NotADate { label: &'static str },
    #[error("Date of birth is required")]
    BirthMissing,
    #[error("Date of birth cannot be in the future")]
    BirthInFuture,
    #[error("Date of birth cannot be before {MIN_BIRTH_YEAR}")]
    BirthTooEarly,
    #[error("Registered date cannot be in the future")]
    RegisteredInFuture,
    #[error("{REGISTERED_BEFORE_BIRTH}")]
    RegisteredBeforeBirth,
}

fn email(value: &Value) -> Result<Email, FieldError> {
    match value {
        Value::Null => Err(EmailError::Missing.into()),
        Value::String(text) => Ok(Email::parse(text)?),
        _ => Err(TextError::NotText { label: "Email" }.into()),
    }
}

fn date_of_birth(value: &Value, today: Date) -> Result<Date, FieldError> {
    if value.as_str().is_some_and(|text| text.trim().is_empty()) {
        return Err(FieldError::BirthMissing);
    }
    let date = optional_date(value, "Date of birth")?.ok_or(FieldError::BirthMissing)?;
    if date > today {
        return Err(FieldError::BirthInFuture);
    }
    if date.year() < MIN_BIRTH_YEAR {
        return Err(FieldError::BirthTooEarly);
    }
    Ok(date)
}

fn registered_date(value: &Value, latest: Date, birth: Option<Date>) -> Result<Option<Date>, FieldError> {
    let date = optional_date(value, "Registered date")?;
    if date.is_some_and(|date| date > latest) {
        return Err(FieldError::RegisteredInFuture);
    }
    if date.zip(birth).is_some_and(|(date, birth)| date < birth) {
        return Err(FieldError::RegisteredBeforeBirth);
    }
    Ok(date)
}

fn optional_date(value: &Value, label: &'static str) -> Result<Option<Date>, FieldError> {
    let date = match value {
        Value::Null => return Ok(None),
        Value::String(text) => parse_date(text),
        _ => None,
    };
    date.map(Some).ok_or(FieldError::NotADate { label })
}

/// Parses YYYY-MM-DD, from the year 1 on, as PostgreSQL accepts it.
///
/// The format description alone would accept a sign, more digits (ISO 8601, expanded years) and the year 0.
fn parse_date(text: &str) -> Option<Date> {
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
        let (date, latest) = (date!(2026 - 11 - 21), date!(2026 - 11 - 22));
        match body.validate(Today { date, latest }) {
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
    fn every_missing_field_is_reported_at_once() {
        let reported = errors(json!({}));
        let expected = [
            ("address", "Address is required"),
            ("dateOfBirth", "Date of birth is required"),
            ("email", "Email is required"),
            ("name", "Name is required"),
        ];
        assert_eq!(
            reported,
            expected.map(|(field, message)| (field.into(), message.into())).into()
        );
    }

    #[test]
    fn each_error_has_its_message() {
        let long = "x".repeat(101);
        for (field, value, message) in [
            ("name", json!(long), "Name cannot exceed 100 characters"),
            ("name", json!(7), "Name must be text"),
            ("name", json!("  "), "Name is required"),
            ("name", json!("a\0b"), "Name cannot contain control characters"),
            ("name", json!("\u{200b}\u{3164}"), "Name is required"),
            (
                "name",
                json!("Ada\u{202e}"),
                "Name cannot contain invisible or formatting characters",
            ),
            ("address", json!("\u{feff}"), "Address is required"),
            ("email", json!("\u{200b}a@example.org"), "Email should be valid"),
            (
                "registeredDate",
                json!("2026-11-23"),
                "Registered date cannot be in the future",
            ),
            (
                "registeredDate",
                json!("9999-12-31"),
                "Registered date cannot be in the future",
            ),
            ("registeredDate", json!("0001-01-01"), REGISTERED_BEFORE_BIRTH),
            ("registeredDate", json!("1990-05-16"), REGISTERED_BEFORE_BIRTH),
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
                json!(19_900_517),
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
    fn a_valid_patient_passes_with_100_wide_characters() {
        // The current date of the zone that is ahead of all others.
        for registered in ["1990-05-17", "2026-11-21", "2026-11-22"] {
            assert_eq!(errors(with("registeredDate", json!(registered))), BTreeMap::new());
        }
        assert_eq!(errors(with("email", json!("müller@bücher.example"))), BTreeMap::new());
        assert_eq!(errors(with("name", json!("é".repeat(100)))), BTreeMap::new());
        assert_eq!(
            errors(with("email", json!("o'brien+x@sub.example.co.uk"))),
            BTreeMap::new()
        );
    }
}
