//! The sessions that ended, for the verifiers of access tokens.

use std::time::{Duration, Instant};

use kit::database::Pool;
use kit::token::{LEEWAY, REVOCATION_WINDOW, RevokedSessions};
use sqlx::PgExecutor;
use time::OffsetDateTime;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::access_token;

/// Time for which the sessions in memory are returned without a query, however many verifiers ask.
const MAX_AGE: Duration = Duration::from_millis(250);
const _: () = {
    // The last access token of a session may be signed a moment after its end, by a replica with another clock.
    let accepted = access_token::LIFETIME.whole_seconds() + LEEWAY.cast_signed();
    assert!(REVOCATION_WINDOW.as_secs().cast_signed() > accepted + 120);
};

/// Returns the sessions that ended, from memory if they were read a moment ago.
pub struct RevocationFeed {
    pool: Pool,
    last: Mutex<Option<Snapshot>>,
}

struct Snapshot {
    read_at: Instant,
    /// Time of the read, in seconds since 1970 by the clock of the database.
    until: i64,
    /// Each session with the time of its end.
    sessions: Vec<(Uuid, i64)>,
}

impl RevocationFeed {
    /// Creates the feed of a database.
    pub fn new(pool: Pool) -> Self {
        Self {
            pool,
            last: Mutex::default(),
        }
    }

    /// Returns the sessions that ended at this time or later, in seconds since 1970; by default all whose tokens may be valid.
    ///
    /// # Errors
    /// Fails if the database fails: memory alone would hide that the list is old.
    pub async fn since(&self, since: Option<i64>) -> sqlx::Result<RevokedSessions> {
        // Concurrent requests wait for one query.
        let mut last = self.last.lock().await;
        let snapshot = match last.take_if(|snapshot| snapshot.read_at.elapsed() < MAX_AGE) {
            Some(fresh) => fresh,
            None => read(&self.pool).await?,
        };
        let is_new = |(session, at): &(Uuid, i64)| since.is_none_or(|since| *at >= since).then_some(*session);
        let response = RevokedSessions {
            until: snapshot.until,
            sessions: snapshot.sessions.iter().filter_map(is_new).collect(),
        };
        *last = Some(snapshot);
        Ok(response)
    }
}

async fn read(pool: &Pool) -> sqlx::Result<Snapshot> {
    let read_at = Instant::now();
    // The clock is read first: a session that ends between the two queries is in this response and in the next one.
    let until = sqlx::query_scalar("select floor(extract(epoch from clock_timestamp()))::bigint")
        .fetch_one(pool)
        .await?;
    let sessions = sqlx::query_as(
        "select session, floor(extract(epoch from revoked_at))::bigint from revoked_sessions
         where revoked_at > now() - make_interval(secs => $1)",
    )
    .bind(REVOCATION_WINDOW.as_secs_f64())
    .fetch_all(pool)
    .await?;
    Ok(Snapshot {
        read_at,
        until,
        sessions,
    })
}

/// Deletes the sessions whose tokens have expired.
///
/// # Errors
/// Fails if the database fails.
pub async fn delete_expired(db: impl PgExecutor<'_>, now: OffsetDateTime) -> sqlx::Result<()> {
    sqlx::query("delete from revoked_sessions where revoked_at < $1")
        .bind(now - 2 * REVOCATION_WINDOW)
        .execute(db)
        .await?;
    Ok(())
}
