//! Refresh tokens: random, stored as digests, each good for one use.
//!
//! A login starts a family; each use replaces the token by its successor. A token that comes a second time has been
//! copied, and nobody can say by whom: the whole family ends, and its user logs in again (RFC 9700, 4.14.2).
//!
//! There is no grace for a token that comes again at once: a thief would use it, too. So a client refreshes one at a
//! time, and the gateway never sends a refresh twice.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sqlx::{PgConnection, PgExecutor};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// A token that is not used for so long is good no more.
const IDLE: Duration = Duration::days(7);
/// A login is good for so long, however often it is refreshed.
const FAMILY: Duration = Duration::days(30);

/// What came of presenting a token.
pub enum Rotation {
    /// It was good; this is its successor.
    Fresh { user: Uuid, token: String },
    /// It was used before: its family is revoked.
    Reused { user: Uuid },
    /// It is not known, or too old.
    Unknown,
}

/// Starts a family for a user who has just logged in.
pub async fn start(db: impl PgExecutor<'_>, user: Uuid, now: OffsetDateTime) -> sqlx::Result<String> {
    let (token, digest) = generate();
    insert(db, &digest, Uuid::now_v7(), user, now, now + FAMILY).await?;
    Ok(token)
}

/// Replaces a token by its successor; to be committed whatever the outcome.
pub async fn rotate(db: &mut PgConnection, token: &str, now: OffsetDateTime) -> sqlx::Result<Rotation> {
    type Row = (Uuid, Uuid, OffsetDateTime, OffsetDateTime, Option<OffsetDateTime>);
    let digest = fingerprint(token);
    // The user first, then the token, as whoever disables a user does: otherwise each could wait for the other, and a
    // successor could be born after the sessions were ended.
    let lock = "select from users where id = (select user_id from refresh_tokens where digest = $1) for share";
    sqlx::query(lock).bind(&digest).execute(&mut *db).await?;
    let row: Option<Row> = sqlx::query_as(
        "select family, user_id, expires_at, family_expires_at, used_at from refresh_tokens where digest = $1 for update",
    )
    .bind(&digest)
    .fetch_optional(&mut *db)
    .await?;
    let Some((family, user, expires_at, family_expires_at, used_at)) = row else {
        return Ok(Rotation::Unknown);
    };
    if used_at.is_some() {
        revoke_family(&mut *db, family).await?;
        return Ok(Rotation::Reused { user });
    }
    if expires_at <= now {
        return Ok(Rotation::Unknown);
    }
    sqlx::query("update refresh_tokens set used_at = $2 where digest = $1")
        .bind(&digest)
        .bind(now)
        .execute(&mut *db)
        .await?;
    let (token, digest) = generate();
    insert(&mut *db, &digest, family, user, now, family_expires_at).await?;
    Ok(Rotation::Fresh { user, token })
}

/// Ends the family of a token; not knowing it is fine, too.
pub async fn end(db: impl PgExecutor<'_>, token: &str) -> sqlx::Result<()> {
    sqlx::query("delete from refresh_tokens where family = (select family from refresh_tokens where digest = $1)")
        .bind(fingerprint(token))
        .execute(db)
        .await?;
    Ok(())
}

/// Ends all families of a user.
pub async fn end_all(db: impl PgExecutor<'_>, user: Uuid) -> sqlx::Result<()> {
    sqlx::query("delete from refresh_tokens where user_id = $1")
        .bind(user)
        .execute(db)
        .await?;
    Ok(())
}

/// Removes the tokens of families that are over.
pub async fn prune(db: impl PgExecutor<'_>, now: OffsetDateTime) -> sqlx::Result<()> {
    sqlx::query("delete from refresh_tokens where expires_at < $1")
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

async fn revoke_family(db: impl PgExecutor<'_>, family: Uuid) -> sqlx::Result<()> {
    sqlx::query("delete from refresh_tokens where family = $1")
        .bind(family)
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
        "insert into refresh_tokens (digest, family, user_id, expires_at, family_expires_at) values ($1, $2, $3, $4, $5)",
    )
    .bind(digest)
    .bind(family)
    .bind(user)
    .bind((now + IDLE).min(family_expires_at))
    .bind(family_expires_at)
    .execute(db)
    .await?;
    Ok(())
}

/// A new token and its digest.
fn generate() -> (String, Vec<u8>) {
    let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let digest = fingerprint(&token);
    (token, digest)
}

/// 256 random bits need no slow hash.
fn fingerprint(token: &str) -> Vec<u8> {
    digest(&SHA256, token.as_bytes()).as_ref().to_vec()
}
