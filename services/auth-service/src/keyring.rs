//! The signing keys in memory: one that signs, all that are published.

use std::sync::{Arc, RwLock};

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use kit::token::{Claims, Verifier};
use serde_json::{Value, json};
use sqlx::PgPool;
use time::{Duration, OffsetDateTime};

use crate::seal::Seal;
use crate::signing_key::{self, SigningKey};

/// Signs access tokens, and tells everybody how to check them.
pub struct Keyring {
    pool: PgPool,
    seal: Seal,
    /// How long a key signs before its successor does.
    lifetime: Duration,
    verifier: Verifier,
    keys: RwLock<Arc<Keys>>,
}

/// The keys as they were last read.
struct Keys {
    /// Keys that can sign, the newest first.
    usable: Vec<Usable>,
    jwks: Value,
}

struct Usable {
    kid: String,
    key: EncodingKey,
    signs_from: OffsetDateTime,
}

impl Keyring {
    /// Makes the first key when there is none, and reads all of them.
    ///
    /// # Errors
    /// When the database fails, or none of the stored keys can be decrypted.
    pub async fn open(
        pool: PgPool,
        seal: Seal,
        lifetime: Duration,
        verifier: Verifier,
        now: OffsetDateTime,
    ) -> anyhow::Result<Keyring> {
        let none = Keys {
            usable: Vec::new(),
            jwks: json!({ "keys": [] }),
        };
        let keyring = Keyring {
            pool,
            seal,
            lifetime,
            verifier,
            keys: RwLock::new(Arc::new(none)),
        };
        keyring.turn(now).await?;
        Ok(keyring)
    }

    /// Rotates when that is due, and reads the keys again; to be called now and then.
    pub async fn turn(&self, now: OffsetDateTime) -> anyhow::Result<()> {
        signing_key::rotate(&self.pool, &self.seal, self.lifetime, now).await?;
        let stored = signing_key::list(&self.pool).await?;
        let mut usable = Vec::new();
        for key in &stored {
            match self.seal.open(&key.kid, &key.sealed_private_key) {
                Some(opened) => {
                    if opened.stale {
                        signing_key::reseal(&self.pool, &self.seal, &key.kid, &opened.plain).await?;
                        tracing::info!(
                            kid = key.kid,
                            "a signing key was sealed again, under the present secret"
                        );
                    }
                    usable.push(Usable {
                        kid: key.kid.clone(),
                        key: EncodingKey::from_ec_der(&opened.plain),
                        signs_from: key.signs_from,
                    });
                }
                // A replica with a newer secret has sealed it again: what was read before still signs.
                None => match self.remembered(&key.kid) {
                    Some(known) => usable.push(known),
                    None => tracing::warn!(kid = key.kid, "a signing key cannot be decrypted; it is published only"),
                },
            }
        }
        if !usable.iter().any(|key| key.signs_from <= now) {
            bail!(
                "no signing key in the database can be decrypted with AUTH_KEY_ENCRYPTION_KEY; \
                 give the former secret as AUTH_KEY_ENCRYPTION_KEY_PREVIOUS, or delete all rows of table signing_keys \
                 to start with new keys (everybody logs in again)"
            );
        }
        let jwks = json!({ "keys": stored.iter().map(public).collect::<anyhow::Result<Vec<_>>>()? });
        let set: JwkSet = serde_json::from_value(jwks.clone()).context("the published keys are no JWKS")?;
        self.verifier.set_keys(&set);
        *self.keys.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = Arc::new(Keys { usable, jwks });
        Ok(())
    }

    /// The public keys (RFC 7517).
    pub fn jwks(&self) -> Value {
        self.current().jwks.clone()
    }

    /// A verifier that knows these keys, and follows them.
    pub fn verifier(&self) -> Verifier {
        self.verifier.clone()
    }

    /// Signs with the newest key whose time has come.
    pub fn sign(&self, claims: &Claims, now: OffsetDateTime) -> anyhow::Result<String> {
        let keys = self.current();
        let signing = keys
            .usable
            .iter()
            .find(|key| key.signs_from <= now)
            .context("no key signs yet")?;
        let header = Header {
            kid: Some(signing.kid.clone()),
            ..Header::new(Algorithm::ES256)
        };
        encode(&header, claims, &signing.key).context("a token could not be signed")
    }

    fn current(&self) -> Arc<Keys> {
        self.keys
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .clone()
    }

    fn remembered(&self, kid: &str) -> Option<Usable> {
        let keys = self.current();
        let known = keys.usable.iter().find(|key| key.kid == kid)?;
        Some(Usable {
            kid: known.kid.clone(),
            key: known.key.clone(),
            signs_from: known.signs_from,
        })
    }
}

/// The public half as a JWK (RFC 7518, 6.2.1).
fn public(key: &SigningKey) -> anyhow::Result<Value> {
    let [0x04, point @ ..] = key.public_key.as_slice() else {
        bail!("key {} has no uncompressed point", key.kid)
    };
    let (x, y) = point
        .split_at_checked(32)
        .filter(|(_, y)| y.len() == 32)
        .with_context(|| format!("key {}", key.kid))?;
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    Ok(json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": key.kid, "x": x, "y": y }))
}
