//! Signing keys in the database: created, sealed, rotated, and deleted when no token needs them.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kit::database::Pool;
use sqlx::{FromRow, PgExecutor};
use time::{Duration, OffsetDateTime};

use crate::access_token;
use crate::seal::{Seal, SealError};

/// Interval in which each replica reads the keys from the database.
pub const RELOAD_INTERVAL: std::time::Duration = std::time::Duration::from_secs(30);
/// Time for which a new key is published before it signs; longer than any verifier caches a key set.
const PUBLISH_BEFORE_SIGNING: Duration = Duration::hours(1);
/// Time for which a key stays published after its successor signs; longer than a token lives.
const PUBLISH_AFTER_SIGNING: Duration = Duration::hours(1);
const _: () = {
    // A replica reads the keys after one interval, and a verifier after its own; both twice, to allow for one failed attempt.
    let propagation = 2 * (kit::token::REFRESH_INTERVAL.as_secs() + RELOAD_INTERVAL.as_secs()).cast_signed();
    assert!(PUBLISH_BEFORE_SIGNING.whole_seconds() > propagation);
    assert!(PUBLISH_AFTER_SIGNING.whole_seconds() > access_token::LIFETIME.whole_seconds() + propagation);
};
/// Advisory lock that lets one replica at a time create a key; an arbitrary number that this service alone uses.
const ADVISORY_LOCK: i64 = 0x6175_7468_6b65_7973;

/// A key as it is stored.
#[derive(FromRow)]
pub struct SigningKey {
    pub kid: String,
    /// The uncompressed point: 0x04, x, y.
    pub public_key: Vec<u8>,
    pub sealed_private_key: Vec<u8>,
    pub signs_from: OffsetDateTime,
}

/// Failure to create, seal or store a key.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("cannot generate a signing key")]
    Generate,
}

impl From<Unspecified> for SigningKeyError {
    fn from(_: Unspecified) -> Self {
        Self::Generate
    }
}

impl From<KeyRejected> for SigningKeyError {
    fn from(_: KeyRejected) -> Self {
        Self::Generate
    }
}

/// Lists all published keys, the newest first.
///
/// # Errors
/// Fails if the database fails.
pub async fn list(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<SigningKey>> {
    sqlx::query_as("select * from signing_keys order by signs_from desc, kid")
        .fetch_all(db)
        .await
}

/// Creates the next key if it is due, and deletes the keys that no token needs.
///
/// All replicas may call this at the same time: an advisory lock lets one of them act.
///
/// # Errors
/// Fails if the database or the generation of a key fails.
pub async fn rotate(pool: &Pool, seal: &Seal, lifetime: Duration, now: OffsetDateTime) -> Result<(), SigningKeyError> {
    let mut transaction = pool.begin().await?;
    sqlx::query("select pg_advisory_xact_lock($1)")
        .bind(ADVISORY_LOCK)
        .execute(&mut *transaction)
        .await?;
    let newest: Option<OffsetDateTime> = sqlx::query_scalar("select max(signs_from) from signing_keys")
        .fetch_one(&mut *transaction)
        .await?;
    let next = now + PUBLISH_BEFORE_SIGNING;
    let signs_from = match newest {
        None => Some(now),
        Some(newest) if newest + lifetime <= next => Some(next),
        Some(_) => None,
    };
    if let Some(signs_from) = signs_from {
        let key = generate(seal, signs_from)?;
        sqlx::query(
            "insert into signing_keys (kid, public_key, sealed_private_key, signs_from) values ($1, $2, $3, $4)",
        )
        .bind(&key.kid)
        .bind(&key.public_key)
        .bind(&key.sealed_private_key)
        .bind(key.signs_from)
        .execute(&mut *transaction)
        .await?;
        tracing::info!(kid = key.kid, signs_from = %key.signs_from, "created a signing key");
    }
    sqlx::query(
        "delete from signing_keys as old
         where exists (select from signing_keys as new where new.signs_from > old.signs_from and new.signs_from < $1)",
    )
    .bind(now - PUBLISH_AFTER_SIGNING)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}

/// Seals a private key again, with the current secret.
///
/// # Errors
/// Fails if the database or the encryption fails.
pub async fn reseal(
    db: impl PgExecutor<'_>,
    seal: &Seal,
    kid: &str,
    private_key: &[u8],
) -> Result<(), SigningKeyError> {
    sqlx::query("update signing_keys set sealed_private_key = $2 where kid = $1")
        .bind(kid)
        .bind(seal.seal(kid, private_key)?)
        .execute(db)
        .await?;
    Ok(())
}

fn generate(seal: &Seal, signs_from: OffsetDateTime) -> Result<SigningKey, SigningKeyError> {
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let private_key = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new())?;
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, private_key.as_ref())?;
    let public_key = pair.public_key().as_ref().to_vec();
    let kid = URL_SAFE_NO_PAD.encode(digest(&SHA256, &public_key));
    let sealed_private_key = seal.seal(&kid, private_key.as_ref())?;
    Ok(SigningKey {
        kid,
        public_key,
        sealed_private_key,
        signs_from,
    })
}
