//! Idempotency-Key: a creation that is sent twice is executed once.
//!
//! The key is claimed in the transaction of the creation, with the id of what was created: a crash leaves neither. A repetition
//! reads the resource as it is now, so that no copy of it is stored; what was deleted is gone.

use http::{HeaderMap, StatusCode};
use kit::{Problem, Result};
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

/// A client's key, valid for one user and one route, with the fingerprint of the request body.
#[derive(Debug)]
pub struct IdempotencyKey {
    user: Uuid,
    route: &'static str,
    /// Digest of the client's key.
    key: String,
    /// Digest of the client's key and the body: without the key, which is not stored, nobody can guess the body.
    fingerprint: Vec<u8>,
}

impl IdempotencyKey {
    /// Reads the header; `None` if the request does not have it.
    ///
    /// # Errors
    /// 400 if it is not 1 to 200 visible ASCII characters.
    pub fn from_headers(
        headers: &HeaderMap,
        user: Uuid,
        route: &'static str,
        body: &impl Serialize,
    ) -> Result<Option<Self>> {
        let Some(value) = headers.get("idempotency-key") else {
            return Ok(None);
        };
        Self::new(value.to_str().unwrap_or_default(), user, route, body).map(Some)
    }

    /// Returns a key with the fingerprint of its body.
    ///
    /// # Errors
    /// 400 if it is not 1 to 200 visible ASCII characters.
    pub fn new(key: &str, user: Uuid, route: &'static str, body: &impl Serialize) -> Result<Self> {
        if !(1..=200).contains(&key.len()) {
            return Err(Problem::bad_request(
                "Idempotency-Key must be 1 to 200 visible ASCII characters",
            ));
        }
        Self::digest(&[key.as_bytes()], user, route, body)
    }

    /// Returns the key of one line of the body of a request with the key `key`.
    ///
    /// # Errors
    /// Fails if the row cannot be written as JSON.
    pub fn of_line(key: &str, line: u64, user: Uuid, route: &'static str, row: &impl Serialize) -> Result<Self> {
        Self::digest(&[key.as_bytes(), b"\0", &line.to_be_bytes()], user, route, row)
    }

    fn digest(key: &[&[u8]], user: Uuid, route: &'static str, body: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(body).map_err(Problem::internal)?;
        let key = key.concat();
        let fingerprint = Sha256::new().chain_update(&key).chain_update([0]).chain_update(body);
        Ok(Self {
            user,
            route,
            key: format!("{:x}", Sha256::digest(&key)),
            fingerprint: fingerprint.finalize().to_vec(),
        })
    }

    /// Claims the key for this transaction; returns the id of what the same request created within the last 24 hours, if any.
    ///
    /// # Errors
    /// 409 while the first request is still running, 422 if the key was used with another body.
    pub async fn claim(&self, transaction: &mut PgConnection) -> Result<Option<Uuid>> {
        let lock = format!("{} {} {}", self.user, self.route, self.key);
        let acquired: bool = sqlx::query_scalar("select pg_try_advisory_xact_lock(hashtextextended($1, 0))")
            .bind(lock)
            .fetch_one(&mut *transaction)
            .await?;
        if !acquired {
            return Err(Problem::conflict(
                "A request with this Idempotency-Key is still running",
            ));
        }
        let stored: Option<(Option<Vec<u8>>, Uuid)> = sqlx::query_as(
            "select fingerprint, resource_id from idempotency_key
             where user_id = $1 and route = $2 and key = $3 and created_at > now() - interval '24 hours'",
        )
        .bind(self.user)
        .bind(self.route)
        .bind(&self.key)
        .fetch_optional(transaction)
        .await?;
        match stored {
            None => Ok(None),
            Some((Some(fingerprint), _)) if fingerprint != self.fingerprint => Err(Problem::unprocessable(
                "This Idempotency-Key was used with another body",
            )),
            Some((_, resource)) => Ok(Some(resource)),
        }
    }

    /// Stores the id of what was created, for repetitions of the request.
    ///
    /// # Errors
    /// Fails if the database fails.
    pub async fn store(&self, transaction: &mut PgConnection, resource: Uuid) -> Result<()> {
        sqlx::query(
            "insert into idempotency_key (user_id, route, key, fingerprint, resource_id) values ($1, $2, $3, $4, $5)
             on conflict (user_id, route, key)
             do update set fingerprint = excluded.fingerprint, resource_id = excluded.resource_id, created_at = now()",
        )
        .bind(self.user)
        .bind(self.route)
        .bind(&self.key)
        .bind(&self.fingerprint)
        .bind(resource)
        .execute(transaction)
        .await?;
        Ok(())
    }
}

/// 410 for the repetition of a request whose resource was deleted.
pub fn gone() -> Problem {
    Problem::new(
        StatusCode::GONE,
        "What the request with this Idempotency-Key created was deleted; use another key to create it again",
    )
}

/// Deletes the fingerprints of requests that created a resource, in the transaction of its deletion.
///
/// # Errors
/// Fails if the database fails.
pub async fn erase(transaction: &mut PgConnection, resource: Uuid) -> sqlx::Result<()> {
    let update = "update idempotency_key set fingerprint = null where resource_id = $1";
    sqlx::query(update).bind(resource).execute(transaction).await.map(drop)
}

/// Counts the keys of requests that created a resource.
///
/// # Errors
/// Fails if the database fails.
pub async fn count(executor: impl PgExecutor<'_>, resource: Uuid) -> sqlx::Result<i64> {
    let count = "select count(*) from idempotency_key where resource_id = $1";
    sqlx::query_scalar(count).bind(resource).fetch_one(executor).await
}

/// Deletes keys that are older than 24 hours.
///
/// # Errors
/// Fails if the database fails.
pub async fn delete_expired(pool: &kit::database::Pool) -> sqlx::Result<()> {
    let delete = "delete from idempotency_key where created_at < now() - interval '24 hours'";
    sqlx::query(delete).execute(pool).await.map(drop)
}
