//! Authenticators and recovery codes in the database.

use kit::database::Pool;
use sqlx::{FromRow, PgConnection, PgExecutor};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Secret;
use super::code::base32;
use crate::refresh_token::fingerprint;
use crate::seal::{Seal, SealError};

/// Number of recovery codes.
const RECOVERY_CODES: usize = 10;

/// Failure to read or to store an authenticator.
#[derive(Debug, thiserror::Error)]
pub enum TotpError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The secret could not be encrypted.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The secret of this user was encrypted with another `AUTH_KEY_ENCRYPTION_KEY`.
    #[error("the secret of the authenticator of user {0} cannot be decrypted; an administrator can remove it")]
    Unreadable(Uuid),
}

impl From<TotpError> for kit::Problem {
    fn from(error: TotpError) -> Self {
        match error {
            TotpError::Database(error) => error.into(),
            error => Self::internal(error),
        }
    }
}

/// The authenticator of a user.
#[derive(FromRow)]
pub struct Enrolment {
    /// True once a code was entered: logins ask for it.
    pub is_confirmed: bool,
    /// Number of unused recovery codes.
    pub recovery_codes: i64,
}

fn sealed_name(user: Uuid) -> String {
    format!("totp {user}")
}

/// Returns the authenticator of a user, if there is one.
///
/// # Errors
/// Fails if the database fails.
pub async fn find(db: impl PgExecutor<'_>, user: Uuid) -> sqlx::Result<Option<Enrolment>> {
    sqlx::query_as(
        "select is_confirmed, (select count(*) from totp_recovery_codes as codes where codes.user_id = totp.user_id)
             as recovery_codes
         from totp where user_id = $1",
    )
    .bind(user)
    .fetch_optional(db)
    .await
}

/// Stores a new secret that waits for its confirmation; returns `None` if the user has a confirmed one.
///
/// # Errors
/// Fails if the database or the encryption fails.
pub async fn enrol(db: impl PgExecutor<'_>, seal: &Seal, user: Uuid) -> Result<Option<Secret>, TotpError> {
    let secret = Secret::random();
    let stored = sqlx::query(
        "insert into totp as t (user_id, sealed_secret) values ($1, $2)
         on conflict (user_id) do update set sealed_secret = $2, last_step = 0 where not t.is_confirmed",
    )
    .bind(user)
    .bind(seal.seal(&sealed_name(user), secret.as_bytes())?)
    .execute(db)
    .await?;
    Ok((stored.rows_affected() > 0).then_some(secret))
}

/// Confirms the secret of a user with its first code, and returns the recovery codes; `None` if the code is not valid, or
/// nothing waits for a confirmation.
///
/// # Errors
/// Fails if the database fails, or the secret cannot be decrypted.
pub async fn confirm(
    db: &mut PgConnection,
    seal: &Seal,
    user: Uuid,
    code: &str,
    now: OffsetDateTime,
) -> Result<Option<Vec<String>>, TotpError> {
    if !accept_code(&mut *db, seal, user, code, false, now).await? {
        return Ok(None);
    }
    sqlx::query("update totp set is_confirmed = true where user_id = $1")
        .bind(user)
        .execute(&mut *db)
        .await?;
    // 80 random bits each: a digest suffices.
    let codes: Vec<String> = (0..RECOVERY_CODES)
        .map(|_| base32(&rand::random::<[u8; 10]>()))
        .collect();
    for code in &codes {
        sqlx::query("insert into totp_recovery_codes (digest, user_id) values ($1, $2)")
            .bind(recovery_digest(user, code))
            .bind(user)
            .execute(&mut *db)
            .await?;
    }
    Ok(Some(codes))
}

fn recovery_digest(user: Uuid, code: &str) -> Vec<u8> {
    fingerprint(&format!("{user}\n{code}"))
}

/// Accepts a code of the confirmed authenticator, or a recovery code, each once; returns false if it is not valid.
///
/// # Errors
/// Fails if the database fails, or the secret cannot be decrypted.
pub async fn accept(
    db: &mut PgConnection,
    seal: &Seal,
    user: Uuid,
    code: &str,
    now: OffsetDateTime,
) -> Result<bool, TotpError> {
    let deleted = sqlx::query("delete from totp_recovery_codes where digest = $1 and user_id = $2")
        .bind(recovery_digest(user, code))
        .bind(user)
        .execute(&mut *db)
        .await?;
    if deleted.rows_affected() > 0 {
        tracing::warn!(user.id = %user, "a recovery code was used");
        return Ok(true);
    }
    accept_code(db, seal, user, code, true, now).await
}

async fn accept_code(
    db: &mut PgConnection,
    seal: &Seal,
    user: Uuid,
    code: &str,
    is_confirmed: bool,
    now: OffsetDateTime,
) -> Result<bool, TotpError> {
    let sealed: Option<Vec<u8>> =
        sqlx::query_scalar("select sealed_secret from totp where user_id = $1 and is_confirmed = $2 for update")
            .bind(user)
            .bind(is_confirmed)
            .fetch_optional(&mut *db)
            .await?;
    let Some(sealed) = sealed else { return Ok(false) };
    let opened = seal.open(&sealed_name(user), &sealed);
    let secret = opened.ok_or(TotpError::Unreadable(user))?.plaintext;
    let Some(step) = Secret::from_bytes(secret).step_of(code, now) else {
        return Ok(false);
    };
    // Of concurrent uses of a code one passes.
    let updated = sqlx::query("update totp set last_step = $2 where user_id = $1 and last_step < $2")
        .bind(user)
        .bind(step)
        .execute(db)
        .await?;
    Ok(updated.rows_affected() > 0)
}

/// Removes the authenticator and the recovery codes of a user; returns false if there are none.
///
/// # Errors
/// Fails if the database fails.
pub async fn remove(db: impl PgExecutor<'_>, user: Uuid) -> sqlx::Result<bool> {
    let deleted = sqlx::query("delete from totp where user_id = $1")
        .bind(user)
        .execute(db)
        .await?;
    Ok(deleted.rows_affected() > 0)
}

/// Encrypts secrets again that were encrypted with the former `AUTH_KEY_ENCRYPTION_KEY`.
///
/// # Errors
/// Fails if the database or the encryption fails.
pub async fn reseal_all(pool: &Pool, seal: &Seal) -> Result<(), TotpError> {
    let rows: Vec<(Uuid, Vec<u8>)> = sqlx::query_as("select user_id, sealed_secret from totp")
        .fetch_all(pool)
        .await?;
    for (user, sealed) in rows {
        let name = sealed_name(user);
        if let Some(opened) = seal.open(&name, &sealed).filter(|opened| opened.is_outdated) {
            sqlx::query("update totp set sealed_secret = $3 where user_id = $1 and sealed_secret = $2")
                .bind(user)
                .bind(sealed)
                .bind(seal.seal(&name, &opened.plaintext)?)
                .execute(pool)
                .await?;
        }
    }
    Ok(())
}
