//! `GET /analytics/timeline`: events counted by hour, day, week or month.

use std::collections::BTreeMap;

use axum::extract::State;
use kit::{Admin, Json, Problem, Query, Result};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgPool};
use time::{
    Date, Duration, OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339, macros::format_description,
};
use utoipa::{IntoParams, ToSchema};

/// At most so many points are answered; more make a chart nobody can read and a query that costs.
const MAX_POINTS: i64 = 1000;

/// The events of one bucket.
#[derive(Debug, PartialEq, Eq, FromRow, Serialize, ToSchema)]
pub struct Point {
    /// When the bucket begins (UTC; a week on Monday).
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub start: OffsetDateTime,
    pub created: i64,
    pub updated: i64,
    pub deleted: i64,
}

/// How wide a bucket is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Bucket {
    Hour,
    #[default]
    Day,
    Week,
    Month,
}

impl Bucket {
    /// PostgreSQL's name of the unit, for `date_trunc` and as an interval.
    fn unit(self) -> &'static str {
        match self {
            Bucket::Hour => "hour",
            Bucket::Day => "day",
            Bucket::Week => "week",
            Bucket::Month => "month",
        }
    }

    /// The shortest that a bucket can be.
    fn width(self) -> Duration {
        match self {
            Bucket::Hour => Duration::HOUR,
            Bucket::Day => Duration::DAY,
            Bucket::Week => Duration::WEEK,
            Bucket::Month => Duration::days(28),
        }
    }

    /// How far back a timeline goes when nobody says.
    fn default_range(self) -> Duration {
        match self {
            Bucket::Hour => Duration::days(2),
            Bucket::Day => Duration::days(30),
            Bucket::Week => Duration::weeks(26),
            Bucket::Month => Duration::days(365),
        }
    }
}

/// Which time, and how finely.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TimelineQuery {
    /// From this date or RFC 3339 time on (UTC); 2 days, 30 days, 26 weeks or a year before `to` when not given.
    #[param(example = "2026-01-01")]
    from: Option<String>,
    /// Up to this date or time, which is not included; now when not given.
    to: Option<String>,
    /// `hour`, `day`, `week` or `month`; `day` when not given.
    #[param(value_type = Option<Bucket>)]
    bucket: Option<Bucket>,
}

/// Count events over time, oldest bucket first, buckets without events included
#[utoipa::path(
    get,
    path = "/analytics/timeline",
    operation_id = "readTimeline",
    tag = "Analytics",
    params(TimelineQuery),
    responses(
        (status = 200, description = "The points", body = [Point]),
        (status = 400, description = "A parameter is malformed, or the range holds more than 1000 buckets", body = Problem),
    ),
    security(("bearer" = ["ADMIN"]))
)]
pub async fn timeline(
    State(pool): State<PgPool>,
    _: Admin,
    Query(query): Query<TimelineQuery>,
) -> Result<Json<Vec<Point>>> {
    let range = Range::from_query(&query, OffsetDateTime::now_utc()).map_err(Problem::validation)?;
    Ok(Json(range.points(&pool).await?))
}

/// A checked [`TimelineQuery`]: `from` is included, `to` is not.
#[derive(Debug, PartialEq, Eq)]
pub struct Range {
    pub from: OffsetDateTime,
    pub to: OffsetDateTime,
    pub bucket: Bucket,
}

impl Range {
    /// Fills in what is not given and refuses what makes no sense, field by field.
    fn from_query(query: &TimelineQuery, now: OffsetDateTime) -> std::result::Result<Self, BTreeMap<String, String>> {
        let refuse = |field: &str, message: String| BTreeMap::from([(field.to_owned(), message)]);
        let malformed = |field| {
            refuse(
                field,
                format!("{field} must be a date or an RFC 3339 time, from 1970 to 9998"),
            )
        };
        let bucket = query.bucket.unwrap_or_default();
        let to = query
            .to
            .as_deref()
            .map_or(Some(now), instant)
            .ok_or_else(|| malformed("to"))?;
        let from = match &query.from {
            Some(text) => instant(text).ok_or_else(|| malformed("from"))?,
            None => to.checked_sub(bucket.default_range()).ok_or_else(|| malformed("to"))?,
        };
        if from >= to {
            return Err(refuse("from", "from must be before to".to_owned()));
        }
        if (to - from).whole_seconds() / bucket.width().whole_seconds() >= MAX_POINTS {
            let unit = bucket.unit();
            return Err(refuse(
                "bucket",
                format!("the range holds more than {MAX_POINTS} buckets of one {unit}: shorten it"),
            ));
        }
        Ok(Self { from, to, bucket })
    }

    /// Counts the events of each bucket.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn points(&self, pool: &PgPool) -> sqlx::Result<Vec<Point>> {
        sqlx::query_as(
            "with counted as (
                 select date_trunc($3, occurred_at at time zone 'UTC') as bucket,
                        count(*) filter (where event_type = 'PATIENT_CREATED') as created,
                        count(*) filter (where event_type = 'PATIENT_UPDATED') as updated,
                        count(*) filter (where event_type = 'PATIENT_DELETED') as deleted
                 from events where occurred_at >= $1 and occurred_at < $2 group by 1
             )
             select bucket at time zone 'UTC' as start,
                    coalesce(created, 0) as created, coalesce(updated, 0) as updated, coalesce(deleted, 0) as deleted
             from generate_series(date_trunc($3, $1 at time zone 'UTC'),
                                  $2 at time zone 'UTC' - interval '1 microsecond', ('1 ' || $3)::interval) as bucket
             left join counted using (bucket)
             order by bucket",
        )
        .bind(self.from)
        .bind(self.to)
        .bind(self.bucket.unit())
        .fetch_all(pool)
        .await
    }
}

/// Reads `2026-01-31` (its midnight, UTC) or an RFC 3339 time, from 1970 on: earlier there is nothing to count. In UTC, and a
/// year before the last that can be told, so that the bucket around it can be, too.
fn instant(text: &str) -> Option<OffsetDateTime> {
    let date = Date::parse(text, format_description!("[year]-[month]-[day]")).map(|date| date.midnight().assume_utc());
    date.or_else(|_| OffsetDateTime::parse(text, &Rfc3339))
        .ok()?
        .checked_to_offset(UtcOffset::UTC)
        .filter(|at| (1970..9999).contains(&at.year()))
}
