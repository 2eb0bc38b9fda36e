//! Throttling of failed logins, by account and client address.
//!
//! Repeated failures slow down one pair of account and address. An account is never slowed down for all addresses:
//! otherwise an attacker could lock out its owner by guessing. An address that fails on many accounts is slowed down too,
//! except for accounts that have logged in from it before: a whole hospital may share one address. The counts are in
//! PostgreSQL, so that all replicas share them.

use aws_lc_rs::digest::{SHA256, digest};
use kit::Email;
use kit::database::Pool;
use sqlx::PgExecutor;
use time::{Duration, OffsetDateTime};

use crate::client_address::ClientAddress;

/// Time without a failure after which the count starts again.
const FAILURE_RETENTION: Duration = Duration::minutes(15);
/// Time without a login after which an address is no longer known to an account.
const LOGIN_RETENTION: Duration = Duration::days(30);

/// Limits of one kind of count.
struct Limits {
    /// Failures without a pause, because people mistype.
    free_failures: u32,
    /// Maximum pause between two attempts.
    max_pause: Duration,
    /// Time after which one failure is subtracted.
    decay: Duration,
}

const PAIR: Limits = Limits {
    free_failures: 8,
    max_pause: Duration::minutes(5),
    // In effect, only a successful login or a pause of FAILURE_RETENTION resets the count.
    decay: Duration::days(1),
};
const ADDRESS: Limits = Limits {
    free_failures: 100,
    max_pause: Duration::seconds(30),
    decay: Duration::seconds(9),
};

/// One account, and the address that tries to log in.
pub struct Attempt {
    pair: Vec<u8>,
    /// `None` if the address is not known.
    address: Option<Vec<u8>>,
}

impl Attempt {
    /// Returns the keys of the counts, as digests: neither account nor address is readable in the database.
    pub fn new(email: &Email, address: &ClientAddress) -> Self {
        Self {
            pair: key(&format!("{}\n{}", email.as_str(), address.as_str())),
            address: address.known().map(|address| key(&format!("\n{address}"))),
        }
    }
}

fn key(text: &str) -> Vec<u8> {
    digest(&SHA256, text.as_bytes()).as_ref().to_vec()
}

/// Returns the time until the next allowed attempt; zero if it is allowed now.
///
/// # Errors
/// Fails if the database fails.
pub async fn remaining_pause(pool: &Pool, attempt: &Attempt, now: OffsetDateTime) -> sqlx::Result<Duration> {
    let pair = remaining_pause_of(pool, &attempt.pair, &PAIR, now).await?;
    let Some(address) = &attempt.address else {
        return Ok(pair);
    };
    let address = remaining_pause_of(pool, address, &ADDRESS, now).await?;
    if address <= pair || has_logged_in(pool, attempt, now).await? {
        return Ok(pair);
    }
    Ok(address)
}

async fn remaining_pause_of(
    db: impl PgExecutor<'_>,
    key: &[u8],
    limits: &Limits,
    now: OffsetDateTime,
) -> sqlx::Result<Duration> {
    let row: Option<(i32, OffsetDateTime)> =
        sqlx::query_as("select failures, last_failed_at from login_failures where pair = $1")
            .bind(key)
            .fetch_optional(db)
            .await?;
    let Some((failures, last_failed_at)) = row else {
        return Ok(Duration::ZERO);
    };
    let elapsed = now - last_failed_at;
    if elapsed >= FAILURE_RETENTION {
        return Ok(Duration::ZERO);
    }
    Ok((limits.pause(failures.unsigned_abs()) - elapsed).max(Duration::ZERO))
}

async fn has_logged_in(db: impl PgExecutor<'_>, attempt: &Attempt, now: OffsetDateTime) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select from login_successes where pair = $1 and last_seen_at > $2)")
        .bind(&attempt.pair)
        .bind(now - LOGIN_RETENTION)
        .fetch_one(db)
        .await
}

/// Counts a failed attempt.
///
/// # Errors
/// Fails if the database fails.
pub async fn record_failure(pool: &Pool, attempt: &Attempt, now: OffsetDateTime) -> sqlx::Result<()> {
    increment(pool, &attempt.pair, &PAIR, now).await?;
    if let Some(address) = &attempt.address {
        increment(pool, address, &ADDRESS, now).await?;
    }
    Ok(())
}

async fn increment(db: impl PgExecutor<'_>, key: &[u8], limits: &Limits, now: OffsetDateTime) -> sqlx::Result<()> {
    sqlx::query(
        "insert into login_failures as f (pair, failures, last_failed_at) values ($1, 1, $2)
         on conflict (pair) do update set last_failed_at = $2,
             failures = case when f.last_failed_at < $3 then 1 else least(1000, 1 + greatest(0,
                 f.failures - floor(extract(epoch from $2 - f.last_failed_at) / $4::double precision)::integer)) end",
    )
    .bind(key)
    .bind(now)
    .bind(now - FAILURE_RETENTION)
    .bind(limits.decay.as_seconds_f64())
    .execute(db)
    .await?;
    Ok(())
}

/// Resets the failures of a pair that has logged in, and records the pair as known.
///
/// # Errors
/// Fails if the database fails.
pub async fn record_success(pool: &Pool, attempt: &Attempt, now: OffsetDateTime) -> sqlx::Result<()> {
    sqlx::query("delete from login_failures where pair = $1")
        .bind(&attempt.pair)
        .execute(pool)
        .await?;
    // One update per day is enough, and avoids a write at each login.
    sqlx::query(
        "insert into login_successes as s (pair, last_seen_at) values ($1, $2)
         on conflict (pair) do update set last_seen_at = $2 where s.last_seen_at < $3",
    )
    .bind(&attempt.pair)
    .bind(now)
    .bind(now - Duration::days(1))
    .execute(pool)
    .await?;
    Ok(())
}

/// Deletes expired counts and known pairs.
///
/// # Errors
/// Fails if the database fails.
pub async fn delete_expired(pool: &Pool, now: OffsetDateTime) -> sqlx::Result<()> {
    sqlx::query("delete from login_failures where last_failed_at < $1")
        .bind(now - FAILURE_RETENTION)
        .execute(pool)
        .await?;
    sqlx::query("delete from login_successes where last_seen_at < $1")
        .bind(now - LOGIN_RETENTION)
        .execute(pool)
        .await?;
    Ok(())
}

impl Limits {
    /// Returns the pause after this number of failures: none at first, then 1 s, doubled by each further failure.
    fn pause(&self, failures: u32) -> Duration {
        match failures.checked_sub(self.free_failures) {
            None => Duration::ZERO,
            Some(excess) => Duration::seconds(1_i64 << excess.min(20)).min(self.max_pause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_starts_after_some_failures_and_doubles_up_to_its_maximum() {
        assert_eq!(PAIR.pause(7), Duration::ZERO);
        assert_eq!(PAIR.pause(8), Duration::seconds(1));
        assert_eq!(PAIR.pause(11), Duration::seconds(8));
        assert_eq!(PAIR.pause(1000), Duration::minutes(5));
        assert_eq!(ADDRESS.pause(99), Duration::ZERO);
        assert_eq!(ADDRESS.pause(1000), Duration::seconds(30));
    }
}
