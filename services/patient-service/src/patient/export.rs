//! The export of everything that this service holds about a person.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::header;
use kit::database::Pool;
use kit::{Admin, Json, Path, Problem, Result};
use serde::Serialize;
use sqlx::FromRow;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Patient,
    change::{self, Change},
    store,
};
use crate::idempotency;

/// Everything that patient-service holds about a person.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Export {
    /// When the data was read.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    exported_at: OffsetDateTime,
    /// The patient.
    patient: Patient,
    /// The families of which the patient is a member.
    families: Vec<FamilyName>,
    /// The changes of the patient, oldest first.
    history: Vec<Change>,
    /// The billing account that the patient must have, and what billing-service has confirmed.
    billing_intent: Option<Intent>,
    /// Number of events with name and email that wait for the broker.
    pending_events: i64,
    /// Number of idempotency keys whose request created the patient; they contain nothing of the person.
    idempotency_keys: i64,
}

/// A family without its other members.
#[derive(Debug, FromRow, Serialize, ToSchema)]
pub struct FamilyName {
    /// The family's id.
    id: Uuid,
    /// The family's name.
    name: String,
}

/// The intent about the billing account.
#[derive(Debug, FromRow, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// OPEN or CLOSED.
    desired_state: String,
    /// PENDING until billing-service has confirmed the account and its holder.
    status: String,
    /// Id of the account, once it is open.
    account_id: Option<String>,
    /// The code with which billing-service rejected the holder.
    rejection: Option<String>,
    /// Number of attempts of the reconciler.
    attempts: i32,
    /// The patient's version with the holder that the account must have.
    version: i64,
}

/// Export everything that is held about a patient
///
/// For a person's request for a copy (GDPR, Articles 15 and 20). These fields are what patient-service holds; the gateway adds
/// `billing`, `notifications`, `analytics` and `audit`, the documents of the other services' routes `/…/patients/{id}/export`. If one of
/// them does not answer, the response is 503 and names it. The newest seconds may not be in the audit trail yet.
#[utoipa::path(get, path = "/patients/{id}/export", operation_id = "exportPatient", tag = "Patients",
    security(("bearer" = ["ADMIN"])),
    params(("id" = Uuid, Path, description = "The patient's id")),
    responses(
        (status = 200, description = "The export, as an attachment", body = Export),
        (status = 404, description = "Patient not found", body = Problem),
))]
pub async fn read(State(pool): State<Pool>, _: Admin, Path(id): Path<Uuid>) -> Result<Response> {
    let export = export(&pool, id).await?;
    let name = format!("attachment; filename=\"patient-{id}.json\"");
    Ok(([(header::CONTENT_DISPOSITION, name)], Json(export)).into_response())
}

async fn export(pool: &Pool, id: Uuid) -> Result<Export> {
    let mut transaction = pool.begin().await?;
    // All statements see one state.
    sqlx::query("set transaction isolation level repeatable read, read only")
        .execute(&mut *transaction)
        .await?;
    let patient = store::find(&mut *transaction, id).await?;
    let families = "select f.id, f.name from family f join family_member m on m.family_id = f.id
                    where m.patient_id = $1 order by f.name, f.id";
    let families = sqlx::query_as(families).bind(id).fetch_all(&mut *transaction).await?;
    let history = change::list(&mut *transaction, id, None, i64::MAX).await?;
    let intent = "select desired_state, status, account_id, rejection, attempts, version from billing_intent
                  where patient_id = $1";
    let billing_intent = sqlx::query_as(intent)
        .bind(id)
        .fetch_optional(&mut *transaction)
        .await?;
    let pending =
        sqlx::query_scalar("select count(*) from outbox where topic = 'patient' and key = $1").bind(id.to_string());
    let pending_events = pending.fetch_one(&mut *transaction).await?;
    let idempotency_keys = idempotency::count(&mut *transaction, id).await?;
    transaction.commit().await?;
    Ok(Export {
        exported_at: OffsetDateTime::now_utc(),
        patient,
        families,
        history,
        billing_intent,
        pending_events,
        idempotency_keys,
    })
}
