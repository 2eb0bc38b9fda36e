//! Patients: validation, storage, lists, events and routes.

pub(crate) mod bulk;
pub(crate) mod change;
pub(crate) mod export;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod input;
pub mod list;
pub(crate) mod routes;
pub mod search;
pub mod sort;
pub(crate) mod store;

mod event;

use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use time::Date;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::billing::AccountState;

time::serde::format_description!(iso_date, Date, "[year]-[month]-[day]");

/// A patient as clients see one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Patient {
    /// Assigned by the service.
    pub id: Uuid,
    /// 1 to 100 characters.
    #[schema(example = "Ada Lovelace")]
    pub name: String,
    /// Unique; upper and lower case are equal.
    #[schema(example = "ada@example.org", format = "email")]
    pub email: String,
    /// Postal address.
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
    /// Starts at 1, and increases with each change; also the ETag.
    #[schema(minimum = 1, example = 1)]
    pub version: i64,
    /// The patient's billing account.
    #[sqlx(flatten)]
    pub billing: AccountState,
}
