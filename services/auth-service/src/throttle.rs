//! Throttling of failed logins, by account and client address.
//!
//! Repeated failures slow down one pair of account and address. An account is never slowed down for all addresses:
//! otherwise an attacker could lock out its owner by guessing. An address that fails on many accounts is slowed down too,
//! except for accounts that have logged in from it before, the familiar ones: a whole hospital may share one address. The
//! counts are in PostgreSQL, so that all replicas share them.
//!
//! None of this tells a stranger who has an account. Failures count alike for all accounts, known or not, and no success
//! resets them. While an address is slowed down, a familiar account differs only for the right password: a wrong one is
//! refused as for an unknown account, after the same time, and it counts where only familiar accounts are looked up.

use aws_lc_rs::digest::{SHA256, digest};
use kit::database::Pool;
use sqlx::PgExecutor;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

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
    // The maximum pause: a client that waits for it gets one attempt each time.
    decay: Duration::minutes(5),
};
const ADDRESS: Limits = Limits {
    free_failures: 100,
    max_pause: Duration::seconds(30),
    decay: Duration::seconds(9),
};

/// Requests for a new password of one account from one address.
const RESET_PAIR: Limits = Limits {
    free_failures: 3,
    max_pause: Duration::minutes(15),
    decay: Duration::minutes(5),
};
/// Requests for a new password from one address.
const RESET_ADDRESS: Limits = Limits {
    free_failures: 20,
    max_pause: Duration::minutes(1),
    decay: Duration::seconds(30),
};
/// Requests for a new password of one account, from all addresses.
const RESET_ACCOUNT: Limits = Limits {
    free_failures: 5,
    max_pause: Duration::minutes(15),
    decay: Duration::minutes(5),
};

/// Limits of a request for a new password.
pub struct ResetPause {
    /// Time until the next allowed request; zero if this one is allowed.
    pub visible: Duration,
    /// True if the account has got enough mail for now. The request is ignored without saying so: otherwise anyone could
    /// keep the owner from a new password.
    pub is_account_exhausted: bool,
}

/// One account, and the address that tries to log in.
pub struct Attempt {
    pair: Vec<u8>,
    /// Guesses at a familiar account while its address is slowed down.
    familiar: Vec<u8>,
    /// `None` if the address is not known.
    address: Option<Vec<u8>>,
}

impl Attempt {
    /// Returns the keys of the counts, as digests: neither account nor address is readable in the database.
    pub fn new(email: &str, address: &ClientAddress) -> Self {
        let pair = format!("{email}\n{}", address.as_str());
        Self {
            familiar: key(&format!("familiar\n{pair}")),
            pair: key(&pair),
            address: address.known().map(|address| key(&format!("\n{address}"))),
        }
    }
}

/// Times until the next allowed attempt; zero if it is allowed now.
pub struct Pauses {
    /// For the pair of account and address.
    pub pair: Duration,
    /// For the address.
    pub address: Duration,
    /// True if the address is slowed down, and its pause does not apply to the right password: the account has logged in from
    /// the address, and was not guessed at too often since then.
    pub is_familiar: bool,
}

fn key(text: &str) -> Vec<u8> {
    digest(&SHA256, text.as_bytes()).as_ref().to_vec()
}

/// Returns the times until the next allowed attempt.
///
/// # Errors
/// Fails if the database fails.
pub async fn pauses(pool: &Pool, attempt: &Attempt, now: OffsetDateTime) -> sqlx::Result<Pauses> {
    let address = match &attempt.address {
        Some(address) => remaining_pause_of(pool, address, &ADDRESS, now).await?,
        None => Duration::ZERO,
    };
    Ok(Pauses {
        pair: remaining_pause_of(pool, &attempt.pair, &PAIR, now).await?,
        address,
        // Not looked up otherwise, so that it takes no time that could be measured.
        is_familiar: address > Duration::ZERO
            && has_logged_in(pool, attempt, now).await?
            && remaining_pause_of(pool, &attempt.familiar, &PAIR, now).await? == Duration::ZERO,
    })
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

/// Counts a failed attempt at a familiar account from an address that is slowed down.
///
/// # Errors
/// Fails if the database fails.
pub async fn record_familiar_failure(pool: &Pool, attempt: &Attempt, now: OffsetDateTime) -> sqlx::Result<()> {
    increment(pool, &attempt.familiar, &PAIR, now).await
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

/// Records that an account has logged in from an address. The failures stay: a stranger could see that they were reset.
///
/// # Errors
/// Fails if the database fails.
pub async fn record_success(pool: &Pool, attempt: &Attempt, now: OffsetDateTime) -> sqlx::Result<()> {
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

/// Counts a request for a new password, and returns the time until the next allowed one; zero if this one is allowed.
///
/// # Errors
/// Fails if the database fails.
pub async fn count_reset_request(
    pool: &Pool,
    email: &str,
    address: &ClientAddress,
    now: OffsetDateTime,
) -> sqlx::Result<ResetPause> {
    let pair = key(&format!("reset\n{email}\n{}", address.as_str()));
    let account = key(&format!("reset\n{email}"));
    let network = address.known().map(|address| key(&format!("reset\n\n{address}")));
    let mut visible = remaining_pause_of(pool, &pair, &RESET_PAIR, now).await?;
    if let Some(network) = &network {
        visible = visible.max(remaining_pause_of(pool, network, &RESET_ADDRESS, now).await?);
    }
    let is_account_exhausted = remaining_pause_of(pool, &account, &RESET_ACCOUNT, now).await? > Duration::ZERO;
    if visible == Duration::ZERO {
        increment(pool, &pair, &RESET_PAIR, now).await?;
        increment(pool, &account, &RESET_ACCOUNT, now).await?;
        if let Some(network) = &network {
            increment(pool, network, &RESET_ADDRESS, now).await?;
        }
    }
    Ok(ResetPause {
        visible,
        is_account_exhausted,
    })
}

/// Returns the time until the next allowed code of an authenticator; zero if it is allowed now.
///
/// Codes are short, so they are counted for the account, whatever the address: only who has the password gets this far, so
/// strangers cannot keep the owner out.
///
/// # Errors
/// Fails if the database fails.
pub async fn code_pause(pool: &Pool, user: Uuid, now: OffsetDateTime) -> sqlx::Result<Duration> {
    remaining_pause_of(pool, &code_key(user), &PAIR, now).await
}

/// Counts a wrong code of an authenticator.
///
/// # Errors
/// Fails if the database fails.
pub async fn record_wrong_code(pool: &Pool, user: Uuid, now: OffsetDateTime) -> sqlx::Result<()> {
    increment(pool, &code_key(user), &PAIR, now).await
}

fn code_key(user: Uuid) -> Vec<u8> {
    key(&format!("code\n{user}"))
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
