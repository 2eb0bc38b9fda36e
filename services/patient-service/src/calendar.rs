//! Which day it is where the patients are.

use anyhow::Context;
use sqlx::{PgExecutor, PgPool};
use time::{Date, OffsetDateTime};

/// The calendar of a time zone: a child that is born today must not be of tomorrow because the clocks here show UTC.
#[derive(Debug, Clone, Default)]
pub struct Calendar {
    /// None for UTC, which needs nobody's help; PostgreSQL knows the others, and their summer times.
    zone: Option<String>,
}

impl Calendar {
    /// The calendar of an IANA zone, such as `Pacific/Auckland`.
    ///
    /// # Errors
    /// When the database does not know the zone.
    pub async fn of(zone: &str, pool: &PgPool) -> anyhow::Result<Self> {
        if zone == "UTC" {
            return Ok(Self::default());
        }
        let known = sqlx::query_scalar("select exists (select from pg_timezone_names where name = $1)");
        let known: bool = known
            .bind(zone)
            .fetch_one(pool)
            .await
            .context("the time zones could not be read")?;
        anyhow::ensure!(
            known,
            "TIME_ZONE `{zone}` is not a zone that the database knows; give its IANA name, such as Europe/Paris"
        );
        Ok(Self {
            zone: Some(zone.to_owned()),
        })
    }

    /// The date of now.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn today(&self, executor: impl PgExecutor<'_>) -> sqlx::Result<Date> {
        let Some(zone) = &self.zone else {
            return Ok(OffsetDateTime::now_utc().date());
        };
        sqlx::query_scalar("select (now() at time zone $1)::date")
            .bind(zone)
            .fetch_one(executor)
            .await
    }
}
