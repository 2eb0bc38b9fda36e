//! Signing keys in the database: made here, sealed, rotated, and removed when no token needs them.

use anyhow::Context;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sqlx::{FromRow, PgExecutor, PgPool};
use time::{Duration, OffsetDateTime};

use crate::seal::Seal;
use crate::session::ACCESS;
use crate::upkeep;

/// A new key is published for so long before it signs: longer than any verifier keeps a key set.
const LEAD: Duration = Duration::hours(1);
/// A key stays published for so long after its successor signs: longer than a token lives.
const AFTERLIFE: Duration = Duration::hours(1);
const _: () = {
    // A replica here reads the keys at each upkeep, and a verifier some time after that; twice, for one try that fails.
    let known = 2 * (kit::token::REFRESH_INTERVAL.as_secs() + upkeep::PAUSE.as_secs()) as i64;
    assert!(LEAD.whole_seconds() > known && AFTERLIFE.whole_seconds() > ACCESS.whole_seconds() + known);
};
/// Only one replica makes a key. The number is this service's own; it means nothing else.
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

/// All keys that are published, the newest first.
pub async fn list(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<SigningKey>> {
    sqlx::query_as("select * from signing_keys order by signs_from desc, kid")
        .fetch_all(db)
        .await
}

/// Makes the key that is due, if any, and removes those that no token needs.
///
/// Replicas may all call this at once: an advisory lock lets one of them look and act at a time.
pub async fn rotate(pool: &PgPool, seal: &Seal, lifetime: Duration, now: OffsetDateTime) -> anyhow::Result<()> {
    let mut transaction = pool.begin().await?;
    sqlx::query("select pg_advisory_xact_lock($1)")
        .bind(ADVISORY_LOCK)
        .execute(&mut *transaction)
        .await?;
    let newest: Option<OffsetDateTime> = sqlx::query_scalar("select max(signs_from) from signing_keys")
        .fetch_one(&mut *transaction)
        .await?;
    let signs_from = match newest {
        None => Some(now),
        Some(newest) if newest + lifetime <= now + LEAD => Some(now + LEAD),
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
        tracing::info!(kid = key.kid, signs_from = %key.signs_from, "a signing key was made");
    }
    sqlx::query(
        "delete from signing_keys as old
         where exists (select from signing_keys as new where new.signs_from > old.signs_from and new.signs_from < $1)",
    )
    .bind(now - AFTERLIFE)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}

/// Seals a private key again, under the present secret.
pub async fn reseal(db: impl PgExecutor<'_>, seal: &Seal, kid: &str, private_key: &[u8]) -> anyhow::Result<()> {
    sqlx::query("update signing_keys set sealed_private_key = $2 where kid = $1")
        .bind(kid)
        .bind(seal.seal(kid, private_key)?)
        .execute(db)
        .await?;
    Ok(())
}

fn generate(seal: &Seal, signs_from: OffsetDateTime) -> anyhow::Result<SigningKey> {
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let private_key = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).context("making a key")?;
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, private_key.as_ref()).context("reading the key just made")?;
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
