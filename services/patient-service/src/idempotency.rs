//! Idempotency-Key: a creation that is sent twice is executed once.
//!
//! The key is claimed, and the response stored, in the transaction of the creation: a crash leaves neither.

use http::HeaderMap;
use kit::{Problem, Result};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

/// A client's key, valid for one user and one route, with the fingerprint of the request body.
#[derive(Debug)]
pub struct IdempotencyKey {
    user: Uuid,
    route: &'static str,
    key: String,
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
        let key = value.to_str().ok().filter(|key| (1..=200).contains(&key.len()));
        let key =
            key.ok_or_else(|| Problem::bad_request("Idempotency-Key must be 1 to 200 visible ASCII characters"))?;
        let body = serde_json::to_vec(body).map_err(Problem::internal)?;
        Ok(Some(Self {
            user,
            route,
            key: key.to_owned(),
            fingerprint: Sha256::digest(body).to_vec(),
        }))
    }

    /// Claims the key for this transaction; returns the response to the same request within the last 24 hours, if any.
    ///
    /// # Errors
    /// 409 while the first request is still running, 422 if the key was used with another body.
    pub async fn claim<T: DeserializeOwned>(&self, transaction: &mut PgConnection) -> Result<Option<T>> {
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
        let stored: Option<(Vec<u8>, serde_json::Value)> = sqlx::query_as(
            "select fingerprint, answer from idempotency_key
             where user_id = $1 and route = $2 and key = $3 and created_at > now() - interval '24 hours'",
        )
        .bind(self.user)
        .bind(self.route)
        .bind(&self.key)
        .fetch_optional(transaction)
        .await?;
        match stored {
            None => Ok(None),
            Some((fingerprint, _)) if fingerprint != self.fingerprint => Err(Problem::unprocessable(
                "This Idempotency-Key was used with another body",
            )),
            Some((_, response)) => serde_json::from_value(response).map(Some).map_err(Problem::internal),
        }
    }

    /// Stores the response, for repetitions of the request.
    ///
    /// # Errors
    /// Fails if the database fails.
    pub async fn store(&self, transaction: &mut PgConnection, response: &impl Serialize) -> Result<()> {
        let response = serde_json::to_value(response).map_err(Problem::internal)?;
        sqlx::query(
            "insert into idempotency_key (user_id, route, key, fingerprint, answer) values ($1, $2, $3, $4, $5)
             on conflict (user_id, route, key)
             do update set fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = now()",
        )
        .bind(self.user)
        .bind(self.route)
        .bind(&self.key)
        .bind(&self.fingerprint)
        .bind(response)
        .execute(transaction)
        .await?;
        Ok(())
    }
}

/// Deletes keys that are older than 24 hours.
///
/// # Errors
/// Fails if the database fails.
pub async fn delete_expired(pool: &kit::database::Pool) -> sqlx::Result<()> {
    let delete = "delete from idempotency_key where created_at < now() - interval '24 hours'";
    sqlx::query(delete).execute(pool).await.map(drop)
}
