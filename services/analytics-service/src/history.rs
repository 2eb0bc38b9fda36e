//! `GET /analytics/events`: what happened to one patient.

use axum::extract::State;
use contracts::events::EventType;
use kit::{Admin, Json, Problem, Query, Result};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgExecutor, PgPool};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// The most events of one page.
const MOST: i64 = 1000;

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

/// Whose events, and which part of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    patient_id: Uuid,
    /// At most so many events, 1 to 1000; 1000 when not given.
    #[param(minimum = 1, maximum = 1000, example = 100)]
    limit: Option<i64>,
    /// Only events after this one: the last `eventId` of the page before.
    after: Option<Uuid>,
}

/// List a patient's events, oldest first; a deleted patient's too, an unknown patient has none
///
/// A page ends with `limit`; the next one begins after the last `eventId`.
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
    let limit = query.limit.unwrap_or(MOST);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::field("limit", format!("limit must be from 1 to {MOST}")));
    }
    Ok(Json(of_patient(&pool, query.patient_id, query.after, limit).await?))
}

/// The patient's events by version, which is the order in which they happened: at most `limit`, those after `after`.
pub async fn of_patient(
    db: impl PgExecutor<'_>,
    patient_id: Uuid,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<HistoryEntry>> {
    sqlx::query_as(
        "select event_id, event_type, patient_id, version, occurred_at from events
         where patient_id = $1 and ($2::uuid is null or (version, occurred_at, event_id) >
             (select version, occurred_at, event_id from events where event_id = $2))
         order by version, occurred_at, event_id limit $3",
    )
    .bind(patient_id)
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await
}
