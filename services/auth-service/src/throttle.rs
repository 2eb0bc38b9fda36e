//! Repeated failures slow down a pair of account and address, and an address that tries many accounts.
//!
//! An account is never slowed down for everybody: whoever wants to lock somebody else out would only have to guess. An
//! address that fails on many accounts waits, too, but not for accounts that have logged in from there before: a
//! hospital may be one address. The counts are in PostgreSQL, so that they hold for all replicas together.

use aws_lc_rs::digest::{SHA256, digest};
use sqlx::{PgExecutor, PgPool};
use time::{Duration, OffsetDateTime};

use crate::address::ClientAddress;
use crate::email::Email;

/// After so long without a failure the count is forgotten.
pub const MEMORY: Duration = Duration::minutes(15);
/// After so long without a login an address is no longer known to an account.
const ACQUAINTANCE: Duration = Duration::days(30);

/// How failures of one kind are counted.
struct Rule {
    /// Failures that cost nothing but themselves: people mistype.
    free: u32,
    /// The longest wait between two attempts.
    longest: Duration,
    /// Time that undoes one failure.
    leak: Duration,
}

const PAIR: Rule = Rule {
    free: 8,
    longest: Duration::minutes(5),
    // Only a success or a long rest does.
    leak: Duration::days(1),
};
const ADDRESS: Rule = Rule {
    free: 100,
    longest: Duration::seconds(30),
    leak: Duration::seconds(9),
};

/// One account as tried from one address.
pub struct Attempt {
    pair: Vec<u8>,
    /// None where the address is not known.
    address: Option<Vec<u8>>,
}

impl Attempt {
    pub fn new(email: &Email, address: &ClientAddress) -> Attempt {
        Attempt {
            pair: name(&format!("{}\n{}", email.as_str(), address.as_str())),
            address: address.known().map(|address| name(&format!("\n{address}"))),
        }
    }
}

fn name(text: &str) -> Vec<u8> {
    digest(&SHA256, text.as_bytes()).as_ref().to_vec()
}

/// How long to wait before the next try; zero when it may be made now.
pub async fn wait(pool: &PgPool, attempt: &Attempt, now: OffsetDateTime) -> sqlx::Result<Duration> {
    let pair = rest(pool, &attempt.pair, &PAIR, now).await?;
    let Some(address) = &attempt.address else {
        return Ok(pair);
    };
    let address = rest(pool, address, &ADDRESS, now).await?;
    if address <= pair || is_known(pool, attempt, now).await? {
        return Ok(pair);
    }
    Ok(address)
}

async fn rest(db: impl PgExecutor<'_>, name: &[u8], rule: &Rule, now: OffsetDateTime) -> sqlx::Result<Duration> {
    let row: Option<(i32, OffsetDateTime)> =
        sqlx::query_as("select failures, last_failed_at from login_failures where pair = $1")
            .bind(name)
            .fetch_optional(db)
            .await?;
    let Some((failures, last)) = row else {
        return Ok(Duration::ZERO);
    };
    let since = now - last;
    if since >= MEMORY {
        return Ok(Duration::ZERO);
    }
    Ok((rule.pause(failures.unsigned_abs()) - since).max(Duration::ZERO))
}

async fn is_known(db: impl PgExecutor<'_>, attempt: &Attempt, now: OffsetDateTime) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select from login_successes where pair = $1 and last_seen_at > $2)")
        .bind(&attempt.pair)
        .bind(now - ACQUAINTANCE)
        .fetch_one(db)
        .await
}

/// Counts a failure.
pub async fn failed(pool: &PgPool, attempt: &Attempt, now: OffsetDateTime) -> sqlx::Result<()> {
    count(pool, &attempt.pair, &PAIR, now).await?;
    if let Some(address) = &attempt.address {
        count(pool, address, &ADDRESS, now).await?;
    }
    Ok(())
}

async fn count(db: impl PgExecutor<'_>, name: &[u8], rule: &Rule, now: OffsetDateTime) -> sqlx::Result<()> {
    sqlx::query(
        "insert into login_failures as f (pair, failures, last_failed_at) values ($1, 1, $2)
         on conflict (pair) do update set last_failed_at = $2,
             failures = case when f.last_failed_at < $3 then 1 else least(1000, 1 + greatest(0,
                 f.failures - floor(extract(epoch from $2 - f.last_failed_at) / $4::double precision)::integer)) end",
    )
    .bind(name)
    .bind(now)
    .bind(now - MEMORY)
    .bind(rule.leak.as_seconds_f64())
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets the failures of a pair that has shown the right password, and remembers the pair.
pub async fn succeeded(pool: &PgPool, attempt: &Attempt, now: OffsetDateTime) -> sqlx::Result<()> {
    sqlx::query("delete from login_failures where pair = $1")
        .bind(&attempt.pair)
        .execute(pool)
        .await?;
    // Once a day is enough to know.
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

/// Removes what is remembered no more.
pub async fn prune(pool: &PgPool, now: OffsetDateTime) -> sqlx::Result<()> {
    for (delete, before) in [
        ("delete from login_failures where last_failed_at < $1", now - MEMORY),
        (
            "delete from login_successes where last_seen_at < $1",
            now - ACQUAINTANCE,
        ),
    ] {
        sqlx::query(delete).bind(before).execute(pool).await?;
    }
    Ok(())
}

impl Rule {
    /// The pause after so many failures: none at first, then one second, doubled by each further one.
    fn pause(&self, failures: u32) -> Duration {
        match failures.checked_sub(self.free) {
            None => Duration::ZERO,
            Some(beyond) => Duration::seconds(1_i64 << beyond.min(20)).min(self.longest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_starts_after_some_failures_and_doubles_up_to_its_limit() {
        assert_eq!(PAIR.pause(7), Duration::ZERO);
        assert_eq!(PAIR.pause(8), Duration::seconds(1));
        assert_eq!(PAIR.pause(11), Duration::seconds(8));
        assert_eq!(PAIR.pause(1000), Duration::minutes(5));
        assert_eq!(ADDRESS.pause(99), Duration::ZERO);
        assert_eq!(ADDRESS.pause(1000), Duration::seconds(30));
    }
}
