//! `GET /analytics/events`: what happened to one patient.

use axum::extract::State;
use contracts::events::EventType;
use kit::{Admin, Json, Query, Result};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgExecutor, PgPool};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// One event of a patient.
#[derive(Debug, PartialEq, Eq, FromRow, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    pub event_id: Uuid,
    #[sqlx(try_from = "String")]
    pub event_type: EventType,
    pub patient_id: Uuid,
    /// The patient's version after the event, from 1.
    pub version: i64,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub occurred_at: OffsetDateTime,
}

/// Whose events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    patient_id: Uuid,
}

/// List a patient's events, oldest first; a deleted patient's too, an unknown patient has none
#[utoipa::path(
    get,
    path = "/analytics/events",
    operation_id = "listEvents",
    tag = "Analytics",
    params(HistoryQuery),
    responses((status = 200, description = "The events", body = [HistoryEntry])),
    security(("bearer" = ["ADMIN"]))
)]
pub async fn events(
    State(pool): State<PgPool>,
    _: Admin,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<Vec<HistoryEntry>>> {
    Ok(Json(of_patient(&pool, query.patient_id).await?))
}

/// The patient's events by version, which is the order in which they happened.
pub async fn of_patient(db: impl PgExecutor<'_>, patient_id: Uuid) -> sqlx::Result<Vec<HistoryEntry>> {
    sqlx::query_as(
        "select event_id, event_type, patient_id, version, occurred_at from events
         where patient_id = $1 order by version, occurred_at, event_id",
    )
    .bind(patient_id)
    .fetch_all(db)
    .await
}
