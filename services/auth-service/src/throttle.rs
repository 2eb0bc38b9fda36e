//! Repeated failures slow down a pair of account and address, and nobody else.

use aws_lc_rs::digest::{SHA256, digest};
use sqlx::PgExecutor;
use time::{Duration, OffsetDateTime};

use crate::email::Email;

/// Failures that cost nothing but themselves: people mistype.
const FREE: u32 = 8;
/// The longest wait between two attempts.
const LONGEST: Duration = Duration::minutes(5);
/// After so long without a failure the pair is forgotten.
pub const MEMORY: Duration = Duration::minutes(15);

/// One account as tried from one address.
pub struct Pair([u8; 32]);

impl Pair {
    pub fn new(email: &Email, address: &str) -> Pair {
        let text = format!("{}\n{address}", email.as_str());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        Pair(bytes)
    }
}

/// How long the pair has yet to wait before it may try again; zero when it may.
pub async fn wait(db: impl PgExecutor<'_>, pair: &Pair, now: OffsetDateTime) -> sqlx::Result<Duration> {
    let row: Option<(i32, OffsetDateTime)> =
        sqlx::query_as("select failures, last_failed_at from login_failures where pair = $1")
            .bind(pair.0.as_slice())
            .fetch_optional(db)
            .await?;
    let Some((failures, last)) = row else {
        return Ok(Duration::ZERO);
    };
    let since = now - last;
    if since >= MEMORY {
        return Ok(Duration::ZERO);
    }
    Ok((pause(failures.unsigned_abs()) - since).max(Duration::ZERO))
}

/// Counts a failure.
pub async fn failed(db: impl PgExecutor<'_>, pair: &Pair, now: OffsetDateTime) -> sqlx::Result<()> {
    sqlx::query(
        "insert into login_failures as f (pair, failures, last_failed_at) values ($1, 1, $2)
         on conflict (pair) do update set last_failed_at = $2,
             failures = case when f.last_failed_at < $3 then 1 else least(f.failures + 1, 1000) end",
    )
    .bind(pair.0.as_slice())
    .bind(now)
    .bind(now - MEMORY)
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets the failures of a pair that has shown the right password.
pub async fn succeeded(db: impl PgExecutor<'_>, pair: &Pair) -> sqlx::Result<()> {
    sqlx::query("delete from login_failures where pair = $1")
        .bind(pair.0.as_slice())
        .execute(db)
        .await?;
    Ok(())
}

/// Removes what is remembered no more.
pub async fn prune(db: impl PgExecutor<'_>, now: OffsetDateTime) -> sqlx::Result<()> {
    sqlx::query("delete from login_failures where last_failed_at < $1")
        .bind(now - MEMORY)
        .execute(db)
        .await?;
    Ok(())
}

/// The pause after so many failures: none at first, then one second, doubled by each further one.
fn pause(failures: u32) -> Duration {
    match failures.checked_sub(FREE) {
        None => Duration::ZERO,
        Some(beyond) => Duration::seconds(1_i64 << beyond.min(20)).min(LONGEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_starts_after_some_failures_and_doubles_up_to_its_limit() {
        assert_eq!(pause(FREE - 1), Duration::ZERO);
        assert_eq!(pause(FREE), Duration::seconds(1));
        assert_eq!(pause(FREE + 3), Duration::seconds(8));
        assert_eq!(pause(1000), LONGEST);
    }
}
