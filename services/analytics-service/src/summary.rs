//! `GET /analytics/summary`: numbers of patients, by day and by age.

use axum::extract::State;
use kit::audit::Trail;
use kit::database::Pool;
use kit::{Admin, Json, Result};
use serde::Serialize;
use sqlx::FromRow;
use time::{Date, OffsetDateTime};
use utoipa::ToSchema;

/// Number of days in [`Summary::by_day`], including today.
const DAYS: i32 = 30;

/// Summary statistics.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Numbers over all time.
    pub totals: Totals,
    /// The last 30 days (UTC), oldest first, including days without events.
    pub by_day: Vec<Day>,
    /// Patients that are not deleted, by age, youngest first.
    pub age_bands: Vec<AgeBand>,
}

/// Numbers of all events.
#[derive(Debug, PartialEq, Eq, FromRow, Serialize, ToSchema)]
pub struct Totals {
    /// Patients that are not deleted.
    pub patients: i64,
    /// Creations.
    pub created: i64,
    /// Changes.
    pub updated: i64,
    /// Deletions.
    pub deleted: i64,
}

/// Numbers of the events of one day.
#[derive(Debug, PartialEq, Eq, FromRow, Serialize, ToSchema)]
pub struct Day {
    /// The day in UTC.
    #[serde(serialize_with = "iso_date")]
    #[schema(value_type = String, format = Date)]
    pub day: Date,
    /// Creations.
    pub created: i64,
    /// Changes.
    pub updated: i64,
    /// Deletions.
    pub deleted: i64,
}

/// Number of patients of an age.
#[derive(Debug, PartialEq, Eq, FromRow, Serialize, ToSchema)]
pub struct AgeBand {
    /// `0-17`, `18-39`, `40-64`, `65+` or `unknown`; derived from the year of birth alone, so inexact by up to one year.
    pub band: String,
    /// Patients that are not deleted.
    pub patients: i64,
}

/// Summarise all patients
///
/// The numbers belong to one moment; a change is in them about one second after it was made.
#[utoipa::path(
    get,
    path = "/analytics/summary",
    operation_id = "summarize",
    tag = "Analytics",
    responses((status = 200, description = "The summary", body = Summary)),
    security(("bearer" = ["ADMIN"]))
)]
pub(crate) async fn summary(State(pool): State<Pool>, _: Admin, trail: Trail) -> Result<Json<Summary>> {
    // Numbers show nobody.
    trail.shown([]);
    Ok(Json(summarise(&pool, OffsetDateTime::now_utc()).await?))
}

/// Counts patients and events as of `now`, all in one snapshot, so that the numbers are consistent.
///
/// # Errors
/// Fails if the database fails.
pub async fn summarise(pool: &Pool, now: OffsetDateTime) -> sqlx::Result<Summary> {
    let today = now.to_offset(time::UtcOffset::UTC).date();
    let mut snapshot = pool
        .begin_with("begin isolation level repeatable read read only")
        .await?;
    let totals = sqlx::query_as(
        "select (select count(*) from patients where not deleted) as patients,
                count(*) filter (where event_type = 'PATIENT_CREATED') as created,
                count(*) filter (where event_type = 'PATIENT_UPDATED') as updated,
                count(*) filter (where event_type = 'PATIENT_DELETED') as deleted
         from events",
    )
    .fetch_one(&mut *snapshot)
    .await?;
    let by_day = sqlx::query_as(
        // Events are counted before the join: otherwise the planner reads all events for each day.
        "with counted as (
             select (occurred_at at time zone 'UTC')::date as day,
                    count(*) filter (where event_type = 'PATIENT_CREATED') as created,
                    count(*) filter (where event_type = 'PATIENT_UPDATED') as updated,
                    count(*) filter (where event_type = 'PATIENT_DELETED') as deleted
             from events where occurred_at >= ($1::date - ($2::int - 1))::timestamp at time zone 'UTC'
                           and occurred_at < ($1::date + 1)::timestamp at time zone 'UTC' group by 1
         )
         select days.day::date as day,
                coalesce(created, 0) as created, coalesce(updated, 0) as updated, coalesce(deleted, 0) as deleted
         from generate_series(($1::date - ($2::int - 1))::timestamp, $1::date::timestamp, interval '1 day') as days (day)
         left join counted on counted.day = days.day::date
         order by days.day",
    )
    .bind(today)
    .bind(DAYS)
    .fetch_all(&mut *snapshot)
    .await?;
    let age_bands = sqlx::query_as(
        "select band, coalesce(sum(living.patients), 0)::bigint as patients
         from (values (1, '0-17', 0, 17), (2, '18-39', 18, 39), (3, '40-64', 40, 64), (4, '65+', 65, null),
                      (5, 'unknown', null, null)) as bands (place, band, youngest, oldest)
         left join (
             select birth_year, count(*) as patients from patients where not deleted group by birth_year
         ) as living on case
             when birth_year is null then band = 'unknown'
             -- A year of birth after the current year counts as age 0, so that the sum is complete.
             else greatest($1 - birth_year, 0) between youngest and coalesce(oldest, $1)
         end
         group by place, band order by place",
    )
    .bind(today.year())
    .fetch_all(&mut *snapshot)
    .await?;
    snapshot.commit().await?;
    Ok(Summary {
        totals,
        by_day,
        age_bands,
    })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn iso_date<S: serde::Serializer>(date: &Date, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(date)
}
