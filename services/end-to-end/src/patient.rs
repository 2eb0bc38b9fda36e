//! Test patients.

use serde_json::{Value, json};
use uuid::Uuid;

/// Returns the body of a valid creation, with a unique email address.
pub fn a_patient() -> Value {
    let unique = Uuid::new_v4().simple().to_string();
    json!({
        "name": format!("Test Patient {}", &unique[..8]),
        "email": format!("{unique}@example.org"),
        "address": "1 Test Street",
        "dateOfBirth": "1980-02-29",
    })
}
