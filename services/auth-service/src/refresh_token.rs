//! Refresh tokens: random, stored as digests, each valid for one use.
//!
//! A login starts a family; each use replaces the token with its successor. A token that is used a second time was
//! copied, and it is unknown which user is the thief: the whole family is revoked, and its user logs in again (RFC 9700,
//! 4.14.2).
//!
//! There is no grace period for a token that is repeated at once, because a thief would use it too. So a client refreshes
//! once at a time, and the gateway never sends a refresh twice.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sqlx::{FromRow, PgConnection, PgExecutor};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Lifetime of a token that is not used.
const TOKEN_LIFETIME: Duration = Duration::days(7);
/// Lifetime of a login with a password, regardless of how often it is refreshed.
pub const FAMILY_LIFETIME: Duration = Duration::days(30);

/// Result of presenting a token.
pub enum Rotation {
    /// The token was valid; `token` is its successor.
    Rotated {
        /// Owner of the token.
        user: Uuid,
        /// The family, which is the session.
        session: Uuid,
        /// The successor.
        token: String,
    },
    /// The token was used before: its family is revoked.
    Reused {
        /// Owner of the family.
        user: Uuid,
    },
    /// The token is unknown or expired.
    Invalid,
}

/// A session that has not ended: a family with a token that is neither used nor expired.
#[derive(FromRow)]
pub struct LiveSession {
    /// The family, which is the `sid` of access tokens.
    pub id: Uuid,
    /// Time of the last refresh, or of the login.
    pub last_used_at: OffsetDateTime,
}

impl LiveSession {
    /// Returns the time of the login, which is part of the id (UUID version 7).
    pub fn created_at(&self) -> OffsetDateTime {
        let (seconds, nanos) = self.id.get_timestamp().map_or((0, 0), |time| time.to_unix());
        OffsetDateTime::UNIX_EPOCH + Duration::new(seconds.cast_signed(), nanos.cast_signed())
    }
}

#[derive(FromRow)]
struct Row {
    family: Uuid,
    user_id: Uuid,
    expires_at: OffsetDateTime,
    family_expires_at: OffsetDateTime,
    used_at: Option<OffsetDateTime>,
}

/// Starts a family of a user who has logged in, and returns it with its first token; it ends after `lifetime`.
///
/// # Errors
/// Fails if the database fails.
pub async fn issue(
    db: impl PgExecutor<'_>,
    user: Uuid,
    lifetime: Duration,
    now: OffsetDateTime,
) -> sqlx::Result<(Uuid, String)> {
    let (token, digest) = generate();
    let family = Uuid::now_v7();
    insert(db, &digest, family, user, now, now + lifetime).await?;
    Ok((family, token))
}

/// Replaces a token with its successor; commit the transaction whatever the result.
///
/// # Errors
/// Fails if the database fails.
pub async fn rotate(db: &mut PgConnection, token: &str, now: OffsetDateTime) -> sqlx::Result<Rotation> {
    let digest = fingerprint(token);
    lock_owner(&mut *db, &digest).await?;
    let row: Option<Row> = sqlx::query_as(
        "select family, user_id, expires_at, family_expires_at, used_at from refresh_tokens where digest = $1 for update",
    )
    .bind(&digest)
    .fetch_optional(&mut *db)
    .await?;
    let Some(row) = row else {
        return Ok(Rotation::Invalid);
    };
    let user = row.user_id;
    if row.used_at.is_some() {
        sqlx::query("delete from refresh_tokens where family = $1")
            .bind(row.family)
            .execute(&mut *db)
            .await?;
        return Ok(Rotation::Reused { user });
    }
    if row.expires_at <= now {
        return Ok(Rotation::Invalid);
    }
    sqlx::query("update refresh_tokens set used_at = $2 where digest = $1")
        .bind(&digest)
        .bind(now)
        .execute(&mut *db)
        .await?;
    let (token, digest) = generate();
    insert(&mut *db, &digest, row.family, user, now, row.family_expires_at).await?;
    let session = row.family;
    Ok(Rotation::Rotated { user, session, token })
}

/// Locks the owner of a token before the token, as every transaction does that ends sessions: otherwise a successor could be
/// inserted after the tokens of its family were deleted, and the session would live on.
async fn lock_owner(db: impl PgExecutor<'_>, digest: &[u8]) -> sqlx::Result<()> {
    sqlx::query(
        "select from users where id = (select user_id from refresh_tokens where digest = $1) for no key update",
    )
    .bind(digest)
    .execute(db)
    .await?;
    Ok(())
}

/// Lists the live sessions of a user, the newest first, starting behind the session `after`.
///
/// # Errors
/// Fails if the database fails.
pub async fn list_sessions(
    db: impl PgExecutor<'_>,
    user: Uuid,
    after: Option<Uuid>,
    limit: i64,
    now: OffsetDateTime,
) -> sqlx::Result<Vec<LiveSession>> {
    sqlx::query_as(
        "select family as id, issued_at as last_used_at
         from refresh_tokens
         where user_id = $1 and used_at is null and expires_at > $2 and ($3::uuid is null or family < $3)
         order by family desc limit $4",
    )
    .bind(user)
    .bind(now)
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// Counts the live sessions of a user.
///
/// # Errors
/// Fails if the database fails.
pub async fn count_sessions(db: impl PgExecutor<'_>, user: Uuid, now: OffsetDateTime) -> sqlx::Result<i64> {
    sqlx::query_scalar("select count(*) from refresh_tokens where user_id = $1 and used_at is null and expires_at > $2")
        .bind(user)
        .bind(now)
        .fetch_one(db)
        .await
}

/// Revokes the family of a token; an unknown token is ignored.
///
/// # Errors
/// Fails if the database fails.
pub async fn revoke_family(db: &mut PgConnection, token: &str) -> sqlx::Result<()> {
    let digest = fingerprint(token);
    lock_owner(&mut *db, &digest).await?;
    sqlx::query("delete from refresh_tokens where family = (select family from refresh_tokens where digest = $1)")
        .bind(digest)
        .execute(db)
        .await?;
    Ok(())
}

/// Revokes one family of a user; returns false if the user has no such family.
///
/// # Errors
/// Fails if the database fails.
pub async fn revoke(db: &mut PgConnection, user: Uuid, session: Uuid) -> sqlx::Result<bool> {
    sqlx::query("select from users where id = $1 for no key update")
        .bind(user)
        .execute(&mut *db)
        .await?;
    let deleted = sqlx::query("delete from refresh_tokens where user_id = $1 and family = $2")
        .bind(user)
        .bind(session)
        .execute(db)
        .await?;
    Ok(deleted.rows_affected() > 0)
}

/// Revokes all families of a user, whom the transaction has locked.
///
/// # Errors
/// Fails if the database fails.
pub async fn revoke_all(db: impl PgExecutor<'_>, user: Uuid) -> sqlx::Result<()> {
    sqlx::query("delete from refresh_tokens where user_id = $1")
        .bind(user)
        .execute(db)
        .await?;
    Ok(())
}

/// Revokes all families of a user except one; the transaction has locked the user.
///
/// # Errors
/// Fails if the database fails.
pub async fn revoke_others(db: impl PgExecutor<'_>, user: Uuid, kept: Uuid) -> sqlx::Result<()> {
    sqlx::query("delete from refresh_tokens where user_id = $1 and family <> $2")
        .bind(user)
        .bind(kept)
        .execute(db)
        .await?;
    Ok(())
}

/// Deletes expired tokens.
///
/// # Errors
/// Fails if the database fails.
pub async fn delete_expired(db: impl PgExecutor<'_>, now: OffsetDateTime) -> sqlx::Result<()> {
    sqlx::query("delete from refresh_tokens where expires_at < $1")
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

async fn insert(
    db: impl PgExecutor<'_>,
    digest: &[u8],
    family: Uuid,
    user: Uuid,
    now: OffsetDateTime,
    family_expires_at: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into refresh_tokens (digest, family, user_id, expires_at, family_expires_at, issued_at)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(digest)
    .bind(family)
    .bind(user)
    .bind((now + TOKEN_LIFETIME).min(family_expires_at))
    .bind(family_expires_at)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// Returns a new token and its digest.
pub(crate) fn generate() -> (String, Vec<u8>) {
    let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let digest = fingerprint(&token);
    (token, digest)
}

/// Returns the digest of a token; 256 random bits do not need a slow hash.
pub(crate) fn fingerprint(token: &str) -> Vec<u8> {
    digest(&SHA256, token.as_bytes()).as_ref().to_vec()
}
