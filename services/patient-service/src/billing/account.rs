//! The account of a patient as this service knows it.

use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

/// State of a patient's billing account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = BillingState)]
pub struct AccountState {
    /// PENDING until billing-service has responded, then the account's status.
    #[schema(example = "ACTIVE")]
    #[sqlx(rename = "billing_status")]
    pub status: String,
    /// Id of the account, once it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = Uuid)]
    pub account_id: Option<String>,
}

impl AccountState {
    /// Returns the state until billing-service has responded.
    pub fn pending() -> Self {
        Self {
            status: "PENDING".into(),
            account_id: None,
        }
    }

    /// Returns true until billing-service has responded.
    pub fn is_pending(&self) -> bool {
        self.status == "PENDING"
    }
}

/// The patient who is billed, in one version.
#[derive(Clone, Copy)]
pub struct AccountHolder<'a> {
    /// Id of the patient, which is also the key of the account.
    pub patient_id: Uuid,
    /// Name of the patient.
    pub name: &'a str,
    /// Email address of the patient.
    pub email: &'a str,
    /// Version of the patient with this name and email.
    pub version: i64,
}
