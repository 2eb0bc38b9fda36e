//! `GET /analytics/timeline`: events counted by hour, day, week or month.

use axum::extract::State;
use kit::audit::Trail;
use kit::database::Pool;
use kit::instant::parse_instant;
use kit::{Admin, Json, Problem, Query, Result};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use time::{Duration, OffsetDateTime};
use utoipa::{
    IntoParams, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, OneOf, Schema, SchemaFormat, Type},
};

/// Maximum number of points; more would be unreadable in a chart, and expensive to query.
const MAX_POINTS: i64 = 1000;

/// The events of one bucket.
#[derive(Debug, PartialEq, Eq, FromRow, Serialize, ToSchema)]
pub struct Point {
    /// Start of the bucket (UTC; a week starts on Monday).
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub start: OffsetDateTime,
    pub created: i64,
    pub updated: i64,
    pub deleted: i64,
}

/// Width of a bucket.
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
    /// Returns PostgreSQL's name of the unit, for `date_trunc` and for an interval.
    fn unit(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// Returns the minimum width of a bucket.
    fn min_width(self) -> Duration {
        match self {
            Self::Hour => Duration::HOUR,
            Self::Day => Duration::DAY,
            Self::Week => Duration::WEEK,
            Self::Month => Duration::days(28),
        }
    }

    /// Returns the default range of a timeline.
    fn default_range(self) -> Duration {
        match self {
            Self::Hour => Duration::days(2),
            Self::Day => Duration::days(30),
            Self::Week => Duration::weeks(26),
            Self::Month => Duration::days(365),
        }
    }
}

/// Range and resolution of the timeline.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TimelineQuery {
    /// Start as a date or an RFC 3339 time (UTC); by default 2 days, 30 days, 26 weeks or one year before `to`, depending on `bucket`.
    #[param(schema_with = from_schema)]
    from: Option<String>,
    /// End as a date or time, exclusive; by default now.
    #[param(schema_with = to_schema)]
    to: Option<String>,
    /// `hour`, `day`, `week` or `month`; by default `day`.
    #[param(value_type = Option<Bucket>)]
    bucket: Option<Bucket>,
}

fn from_schema() -> Schema {
    instant("2026-01-01")
}

fn to_schema() -> Schema {
    instant("2026-01-31")
}

/// Returns the schema of a date or time, as [`parse_instant`] reads it.
fn instant(example: &str) -> Schema {
    let text = |format| {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(format)))
    };
    let formats = OneOf::builder()
        .item(text(KnownFormat::Date).pattern(Some(YEARS)))
        .item(text(KnownFormat::DateTime).pattern(Some(YEARS)))
        .examples([example])
        .build();
    Schema::OneOf(formats)
}

/// Years from 1970 to 9998, as a pattern.
const YEARS: &str = "^(19[7-9][0-9]|[2-8][0-9]{3}|9[0-8][0-9]{2}|99[0-8][0-9]|999[0-8])-";

/// Count events over time, oldest bucket first, including buckets without events
///
/// A range has at most 1000 buckets: 41 days of hours, or more than two years of days.
#[utoipa::path(
    get,
    path = "/analytics/timeline",
    operation_id = "readTimeline",
    tag = "Analytics",
    params(TimelineQuery),
    responses(
        (status = 200, description = "The points", body = [Point]),
        (status = 400, description = "A parameter is malformed, or the range contains more than 1000 buckets", body = Problem),
    ),
    security(("bearer" = ["ADMIN"]))
)]
pub async fn timeline(
    State(pool): State<Pool>,
    _: Admin,
    trail: Trail,
    Query(query): Query<TimelineQuery>,
) -> Result<Json<Vec<Point>>> {
    // Numbers show nobody.
    trail.shown([]);
    let range = Range::from_query(&query, OffsetDateTime::now_utc())?;
    Ok(Json(range.points(&pool).await?))
}

/// A valid [`TimelineQuery`]: `from` is inclusive, `to` is exclusive.
#[derive(Debug, PartialEq, Eq)]
pub struct Range {
    pub from: OffsetDateTime,
    pub to: OffsetDateTime,
    pub bucket: Bucket,
}

impl Range {
    /// Validates the query, and fills in the defaults.
    fn from_query(query: &TimelineQuery, now: OffsetDateTime) -> std::result::Result<Self, RangeError> {
        let bucket = query.bucket.unwrap_or_default();
        let to = query.to.as_deref().map_or(Some(now), parse_instant);
        let to = to.ok_or(RangeError::Malformed { parameter: "to" })?;
        let from = match &query.from {
            Some(text) => parse_instant(text).ok_or(RangeError::Malformed { parameter: "from" })?,
            None => to
                .checked_sub(bucket.default_range())
                .ok_or(RangeError::Malformed { parameter: "to" })?,
        };
        if from >= to {
            return Err(RangeError::Empty);
        }
        if (to - from).whole_seconds() / bucket.min_width().whole_seconds() >= MAX_POINTS {
            return Err(RangeError::TooManyBuckets(bucket));
        }
        Ok(Self { from, to, bucket })
    }

    /// Counts the events of each bucket.
    ///
    /// # Errors
    /// Fails if the database fails.
    pub async fn points(&self, pool: &Pool) -> sqlx::Result<Vec<Point>> {
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

/// Rejection of a [`TimelineQuery`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum RangeError {
    #[error("{parameter} must be a date or an RFC 3339 time, from 1970 to 9998")]
    Malformed { parameter: &'static str },
    #[error("from must be before to")]
    Empty,
    #[error("the range contains more than {MAX_POINTS} buckets of one {}: shorten it", .0.unit())]
    TooManyBuckets(Bucket),
}

impl From<RangeError> for Problem {
    fn from(error: RangeError) -> Self {
        let parameter = match error {
            RangeError::Malformed { parameter } => parameter,
            RangeError::Empty => "from",
            RangeError::TooManyBuckets(_) => "bucket",
        };
        Self::field(parameter, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_example_is_valid_for_every_bucket() {
        let document = serde_json::to_value(crate::openapi()).expect("JSON");
        let parameters = &document["paths"]["/analytics/timeline"]["get"]["parameters"];
        let example = |name: &str| {
            let all = parameters.as_array().expect("parameters");
            let parameter = all.iter().find(|parameter| parameter["name"] == name).expect(name);
            parameter["schema"]["examples"][0].as_str().map(str::to_owned)
        };
        for bucket in [Bucket::Hour, Bucket::Day, Bucket::Week, Bucket::Month] {
            let query = TimelineQuery {
                from: example("from"),
                to: example("to"),
                bucket: Some(bucket),
            };
            assert!(query.from.is_some() && query.to.is_some());
            assert!(
                Range::from_query(&query, OffsetDateTime::now_utc()).is_ok(),
                "{bucket:?}"
            );
        }
    }
}
