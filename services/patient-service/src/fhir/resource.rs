//! A patient as the FHIR resource Patient (<http://hl7.org/fhir/R4/patient.html>).

use kit::fhir::instant;
use serde_json::{Value, json};
use sqlx::FromRow;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

/// System of [`Row::urn`], from the specification: the value is a URI.
pub(super) const IDENTIFIER_SYSTEM: &str = "urn:ietf:rfc:3986";

/// A patient, and the time of the last change.
#[derive(Debug, Clone, FromRow)]
pub(super) struct Row {
    pub id: Uuid,
    pub name: String,
    pub email: String,
    pub address: String,
    pub date_of_birth: Date,
    pub version: i64,
    /// `None` for a change from before the history existed.
    pub changed_at: Option<OffsetDateTime>,
}

/// The columns of a [`Row`], of the table or subquery that follows as `p`.
pub(super) const SELECT: &str =
    "select p.id, p.name, p.email, p.address, p.date_of_birth, p.version, c.changed_at from ";
/// The join of the time of the last change.
pub(super) const JOIN: &str = " left join patient_change c on c.patient_id = p.id and c.version = p.version";

impl Row {
    /// Returns the identifier of the patient as a URI.
    pub fn urn(&self) -> String {
        format!("urn:uuid:{}", self.id)
    }

    /// Returns the resource; the name and the address are not stored in parts, so they are text.
    pub fn resource(&self) -> Value {
        let mut meta = json!({"versionId": self.version.to_string()});
        if let Some(at) = self.changed_at {
            meta["lastUpdated"] = instant(at).into();
        }
        json!({
            "resourceType": "Patient",
            "id": self.id,
            "meta": meta,
            "identifier": [{"system": IDENTIFIER_SYSTEM, "value": self.urn()}],
            "active": true,
            "name": [{"text": self.name}],
            "telecom": [{"system": "email", "value": self.email}],
            "birthDate": self.date_of_birth.to_string(),
            "address": [{"text": self.address}],
        })
    }
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;

    #[test]
    fn each_field_is_in_its_element_and_none_is_invented() {
        let mut row = Row {
            id: Uuid::from_u128(7),
            name: "Ada Lovelace".into(),
            email: "ada@example.org".into(),
            address: "12 St James's Square, London".into(),
            date_of_birth: date!(1990 - 12 - 10),
            version: 3,
            changed_at: Some(datetime!(2026-11-29 08:00 UTC)),
        };
        let id = "00000000-0000-0000-0000-000000000007";
        let mut expected = json!({
            "resourceType": "Patient",
            "id": id,
            "meta": {"versionId": "3", "lastUpdated": "2026-11-29T08:00:00.000Z"},
            "identifier": [{"system": "urn:ietf:rfc:3986", "value": format!("urn:uuid:{id}")}],
            "active": true,
            "name": [{"text": "Ada Lovelace"}],
            "telecom": [{"system": "email", "value": "ada@example.org"}],
            "birthDate": "1990-12-10",
            "address": [{"text": "12 St James's Square, London"}],
        });
        assert_eq!(row.resource(), expected);
        row.changed_at = None;
        expected["meta"] = json!({"versionId": "3"});
        assert_eq!(row.resource(), expected);
    }
}
