//! `GET /analytics/events`: the events of one patient.

use axum::extract::State;
use contracts::events::EventType;
use kit::audit::Trail;
use kit::database::Pool;
use kit::export::Held;
use kit::{Admin, Json, Page, Pagination, Path, Query, Result, pagination::Total};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgExecutor};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Pages of 1000 events at most, and by default: a patient seldom has more.
type EventPagination = Pagination<Uuid, 1000, 1000>;

/// One event of a patient.
#[derive(Debug, PartialEq, Eq, FromRow, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PatientEvent {
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

/// Query parameters of the list, in addition to those of the pagination.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    patient_id: Uuid,
}

/// List the events of a patient, oldest first, page by page
///
/// A deleted patient still has events; an unknown patient has none.
#[utoipa::path(
    get,
    path = "/analytics/events",
    operation_id = "listEvents",
    tag = "Analytics",
    params(ListQuery, EventPagination),
    responses((status = 200, description = "A page of events", body = [PatientEvent], headers(("X-Total-Count"), ("X-Total-Count-Relation"), ("Link")))),
    security(("bearer" = ["ADMIN"]))
)]
pub async fn list(
    State(pool): State<Pool>,
    _: Admin,
    trail: Trail,
    pagination: EventPagination,
    Query(query): Query<ListQuery>,
) -> Result<Page<PatientEvent>> {
    trail.patient(query.patient_id);
    let events = of_patient(&pool, query.patient_id, pagination.cursor, pagination.rows()).await?;
    let total = sqlx::query_scalar("select count(*) from events where patient_id = $1").bind(query.patient_id);
    let total = Total::Exactly(total.fetch_one(&pool).await?);
    Ok(pagination.page(events, |event| event.event_id).total(total))
}

/// Export what analytics-service holds about a patient
///
/// Each column of each row, by table: ids, versions and times, and the year of birth until the deletion. An unknown patient has no
/// rows. It is a part of `GET /patients/{id}/export`.
#[utoipa::path(
    get,
    path = "/analytics/patients/{patientId}/export",
    operation_id = "exportEvents",
    tag = "Analytics",
    params(("patientId" = Uuid, Path, description = "The patient's id")),
    responses((status = 200, description = "The rows", body = Object)),
    security(("bearer" = ["ADMIN"]))
)]
pub async fn export(State(pool): State<Pool>, _: Admin, Path(patient): Path<Uuid>) -> Result<Json<Held>> {
    Ok(Json(Held::read(&pool, &["patients", "events"], patient).await?))
}

/// Lists the events of a patient in the order of their versions: at most `rows`, starting behind the event `after`.
///
/// # Errors
/// Fails if the database fails.
pub async fn of_patient(
    db: impl PgExecutor<'_>,
    patient_id: Uuid,
    after: Option<Uuid>,
    rows: i64,
) -> sqlx::Result<Vec<PatientEvent>> {
    sqlx::query_as(
        "select event_id, event_type, patient_id, version, occurred_at from events
         where patient_id = $1 and ($2::uuid is null or (version, occurred_at, event_id) >
             (select version, occurred_at, event_id from events where event_id = $2))
         order by version, occurred_at, event_id limit $3",
    )
    .bind(patient_id)
    .bind(after)
    .bind(rows)
    .fetch_all(db)
    .await
}
