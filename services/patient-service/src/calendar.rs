//! The current date in the patients' time zone.

use anyhow::Context;
use kit::database::Pool;
use sqlx::PgExecutor;
use time::{Date, OffsetDateTime, UtcOffset, macros::offset};

/// The calendar of a time zone.
///
/// With the date of UTC, a birth date entered in Auckland in the morning would be rejected as being in the future.
#[derive(Debug, Clone, Default)]
pub struct Calendar {
    /// `None` for UTC; PostgreSQL knows the other zones, and their daylight saving times.
    zone: Option<String>,
}

/// Offset of the time zone that is ahead of all others (Pacific/Kiritimati).
const FIRST_ZONE: UtcOffset = offset!(+14);

/// The current date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Today {
    /// In the patients' time zone.
    pub date: Date,
    /// In the time zone that is ahead of all others, where a client may be.
    pub latest: Date,
}

/// Rejection of a time zone that PostgreSQL does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("TIME_ZONE `{0}` is not a time zone of the database; use an IANA name such as Europe/Paris")]
pub struct UnknownTimeZone(pub String);

impl Calendar {
    /// Returns the calendar of an IANA zone, such as `Pacific/Auckland`.
    ///
    /// # Errors
    /// [`UnknownTimeZone`] if the database does not know the zone; otherwise fails if the database fails.
    pub async fn new(zone: &str, pool: &Pool) -> anyhow::Result<Self> {
        if zone == "UTC" {
            return Ok(Self::default());
        }
        let is_known = sqlx::query_scalar("select exists (select from pg_timezone_names where name = $1)");
        let is_known: bool = is_known
            .bind(zone)
            .fetch_one(pool)
            .await
            .context("cannot read the time zones of the database")?;
        if !is_known {
            return Err(UnknownTimeZone(zone.to_owned()).into());
        }
        Ok(Self {
            zone: Some(zone.to_owned()),
        })
    }

    /// Returns the current date.
    ///
    /// # Errors
    /// Fails if the database fails.
    pub async fn today(&self, executor: impl PgExecutor<'_>) -> sqlx::Result<Today> {
        let now = OffsetDateTime::now_utc();
        let date = match &self.zone {
            None => now.date(),
            Some(zone) => {
                let today = sqlx::query_scalar("select (now() at time zone $1)::date").bind(zone);
                today.fetch_one(executor).await?
            }
        };
        let latest = now.to_offset(FIRST_ZONE).date();
        Ok(Today { date, latest })
    }
}
