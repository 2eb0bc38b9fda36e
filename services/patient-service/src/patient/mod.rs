//! Patients: what they are, how they are checked, kept, listed and told of.

pub mod input;
pub mod list;
pub mod routes;
pub mod search;
pub mod sort;
pub mod store;
pub mod version;

mod event;

use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use time::Date;
use utoipa::ToSchema;
use uuid::Uuid;

time::serde::format_description!(iso_date, Date, "[year]-[month]-[day]");

/// A patient as clients see one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Patient {
    /// Made by the service.
    pub id: Uuid,
    /// 1 to 100 characters.
    #[schema(example = "Ada Lovelace")]
    pub name: String,
    /// Unique, whatever its capitals.
    #[schema(example = "ada@example.org", format = "email")]
    pub email: String,
    /// Where the patient lives.
    #[schema(example = "12 St James's Square, London")]
    pub address: String,
    /// ISO date.
    #[serde(with = "iso_date")]
    #[schema(value_type = String, format = Date)]
    pub date_of_birth: Date,
    /// ISO date.
    #[serde(with = "iso_date")]
    #[schema(value_type = String, format = Date)]
    pub registered_date: Date,
    /// Counts the changes, from 1; also the ETag.
    #[schema(minimum = 1, example = 1)]
    pub version: i64,
    /// The patient's billing account.
    #[sqlx(flatten)]
    pub billing: BillingState,
}

/// What is known of a patient's billing account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BillingState {
    /// PENDING until billing has answered, then the account's status.
    #[schema(example = "ACTIVE")]
    #[sqlx(rename = "billing_status")]
    pub status: String,
    /// The account, once it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = Uuid)]
    pub account_id: Option<String>,
}

impl BillingState {
    /// Billing has not answered yet.
    pub fn pending() -> Self {
        Self {
            status: "PENDING".into(),
            account_id: None,
        }
    }
}
