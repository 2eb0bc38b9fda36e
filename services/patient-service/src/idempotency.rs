//! Idempotency-Key: a creation that is sent twice happens once.
//!
//! The key is claimed, and the answer kept, in the transaction of the creation itself: a crash leaves neither.

use http::HeaderMap;
use kit::{Problem, Result};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

/// A client's key, good for one user and one route, with the fingerprint of what was sent under it.
#[derive(Debug)]
pub struct Key {
    user: Uuid,
    route: &'static str,
    key: String,
    fingerprint: Vec<u8>,
}

impl Key {
    /// Reads the header, if the request has it.
    ///
    /// # Errors
    /// 400 when it is not 1 to 200 visible ASCII characters.
    pub fn read(headers: &HeaderMap, user: Uuid, route: &'static str, body: &impl Serialize) -> Result<Option<Self>> {
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

    /// Claims the key for this transaction; gives the answer that the same request had within the last 24 hours.
    ///
    /// # Errors
    /// 409 while the first request is still running, 422 when the key was used with another body.
    pub async fn claim<T: DeserializeOwned>(&self, transaction: &mut PgConnection) -> Result<Option<T>> {
        let name = format!("{} {} {}", self.user, self.route, self.key);
        let free: bool = sqlx::query_scalar("select pg_try_advisory_xact_lock(hashtextextended($1, 0))")
            .bind(name)
            .fetch_one(&mut *transaction)
            .await?;
        if !free {
            return Err(Problem::conflict(
                "A request with this Idempotency-Key is still running",
            ));
        }
        let found: Option<(Vec<u8>, serde_json::Value)> = sqlx::query_as(
            "select fingerprint, answer from idempotency_key
             where user_id = $1 and route = $2 and key = $3 and created_at > now() - interval '24 hours'",
        )
        .bind(self.user)
        .bind(self.route)
        .bind(&self.key)
        .fetch_optional(transaction)
        .await?;
        match found {
            None => Ok(None),
            Some((fingerprint, _)) if fingerprint != self.fingerprint => Err(Problem::unprocessable(
                "This Idempotency-Key was used with another body",
            )),
            Some((_, answer)) => serde_json::from_value(answer).map(Some).map_err(Problem::internal),
        }
    }

    /// Keeps the answer for those who send the same again.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep(&self, transaction: &mut PgConnection, answer: &impl Serialize) -> Result<()> {
        let answer = serde_json::to_value(answer).map_err(Problem::internal)?;
        sqlx::query(
            "insert into idempotency_key (user_id, route, key, fingerprint, answer) values ($1, $2, $3, $4, $5)
             on conflict (user_id, route, key)
             do update set fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = now()",
        )
        .bind(self.user)
        .bind(self.route)
        .bind(&self.key)
        .bind(&self.fingerprint)
        .bind(answer)
        .execute(transaction)
        .await?;
        Ok(())
    }
}

/// Forgets keys that are older than a day.
///
/// # Errors
/// When the database fails.
pub async fn forget_old(pool: &sqlx::PgPool) -> sqlx::Result<()> {
    let delete = "delete from idempotency_key where created_at < now() - interval '24 hours'";
    sqlx::query(delete).execute(pool).await.map(drop)
}
