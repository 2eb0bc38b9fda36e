//! The signing keys in memory: those that can sign, and all that are published.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use kit::database::Pool;
use kit::token::{Claims, Verifier};
use parking_lot::RwLock;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::seal::Seal;
use crate::signing_key::{self, SigningKey, SigningKeyError};

/// Signs access tokens, and publishes the keys that verify them.
pub struct Keyring {
    pool: Pool,
    seal: Seal,
    /// Time for which a key signs until its successor does.
    lifetime: Duration,
    verifier: Verifier,
    keys: RwLock<Arc<Keys>>,
}

/// The keys as they were last read.
struct Keys {
    /// Keys that can sign, the newest first.
    usable: Vec<UsableKey>,
    jwks: Value,
}

#[derive(Clone)]
struct UsableKey {
    kid: String,
    key: EncodingKey,
    signs_from: OffsetDateTime,
}

/// Failure to load the keys, or to sign with them.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The keys could not be read, sealed or created.
    #[error(transparent)]
    SigningKey(#[from] SigningKeyError),
    /// No stored key can be decrypted with the current or the previous secret.
    #[error(
        "AUTH_KEY_ENCRYPTION_KEY decrypts none of the signing keys in the database. Set the former secret as \
         AUTH_KEY_ENCRYPTION_KEY_PREVIOUS, or delete all rows of the table signing_keys to start with new keys (all users \
         must log in again)"
    )]
    NoUsableKey,
    /// The stored public key of this `kid` is malformed.
    #[error("the public key of signing key {0} is not an uncompressed P-256 point")]
    MalformedPublicKey(String),
    /// The keys in memory do not form a document of RFC 7517.
    #[error("the published keys are not a JWK Set: {0}")]
    InvalidJwks(#[from] serde_json::Error),
    /// The claims could not be encoded or signed.
    #[error("cannot sign an access token: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

impl From<sqlx::Error> for KeyringError {
    fn from(error: sqlx::Error) -> Self {
        Self::SigningKey(error.into())
    }
}

impl Keyring {
    /// Creates the first key if there is none, and reads all keys.
    ///
    /// # Errors
    /// Fails if the database fails, or no stored key can be decrypted.
    pub async fn open(
        pool: Pool,
        seal: Seal,
        lifetime: Duration,
        verifier: Verifier,
        now: OffsetDateTime,
    ) -> Result<Self, KeyringError> {
        let empty = Keys {
            usable: Vec::new(),
            jwks: json!({ "keys": [] }),
        };
        let keyring = Self {
            pool,
            seal,
            lifetime,
            verifier,
            keys: RwLock::new(Arc::new(empty)),
        };
        keyring.rotate_keys(now).await?;
        Ok(keyring)
    }

    /// Rotates the keys if that is due, and reads them again; called periodically.
    ///
    /// # Errors
    /// Fails if the database fails, or no stored key can be decrypted.
    pub async fn rotate_keys(&self, now: OffsetDateTime) -> Result<(), KeyringError> {
        signing_key::rotate(&self.pool, &self.seal, self.lifetime, now).await?;
        let stored = signing_key::list(&self.pool).await?;
        let mut usable = Vec::new();
        for key in &stored {
            let Some(opened) = self.seal.open(&key.kid, &key.sealed_private_key) else {
                // A replica with a newer secret has sealed it again: the copy in memory still signs.
                if let Some(cached) = self.cached(&key.kid) {
                    usable.push(cached);
                } else {
                    tracing::warn!(
                        kid = key.kid,
                        "cannot decrypt a signing key; it is published, but does not sign"
                    );
                }
                continue;
            };
            if opened.is_outdated {
                signing_key::reseal(&self.pool, &self.seal, &key.kid, &opened.plaintext).await?;
                tracing::info!(kid = key.kid, "sealed a signing key again, with the current secret");
            }
            usable.push(UsableKey {
                kid: key.kid.clone(),
                key: EncodingKey::from_ec_der(&opened.plaintext),
                signs_from: key.signs_from,
            });
        }
        if !usable.iter().any(|key| key.signs_from <= now) {
            return Err(KeyringError::NoUsableKey);
        }
        let jwks = json!({ "keys": stored.iter().map(jwk).collect::<Result<Vec<_>, _>>()? });
        let set: JwkSet = serde_json::from_value(jwks.clone())?;
        self.verifier.set_keys(&set);
        *self.keys.write() = Arc::new(Keys { usable, jwks });
        Ok(())
    }

    /// Returns the public keys as a JWK Set (RFC 7517).
    pub fn jwks(&self) -> Value {
        self.current().jwks.clone()
    }

    /// Returns a verifier that uses these keys, and follows their rotation.
    pub fn verifier(&self) -> Verifier {
        self.verifier.clone()
    }

    /// Signs with the newest key that may sign at this time.
    ///
    /// # Errors
    /// Fails if there is no such key, or the claims cannot be encoded.
    pub fn sign(&self, claims: &Claims, now: OffsetDateTime) -> Result<String, KeyringError> {
        let keys = self.current();
        let signing = keys
            .usable
            .iter()
            .find(|key| key.signs_from <= now)
            .ok_or(KeyringError::NoUsableKey)?;
        let header = Header {
            kid: Some(signing.kid.clone()),
            ..Header::new(Algorithm::ES256)
        };
        Ok(encode(&header, claims, &signing.key)?)
    }

    fn current(&self) -> Arc<Keys> {
        self.keys.read().clone()
    }

    fn cached(&self, kid: &str) -> Option<UsableKey> {
        self.current().usable.iter().find(|key| key.kid == kid).cloned()
    }
}

/// Returns the public key as a JWK (RFC 7518, 6.2.1).
fn jwk(key: &SigningKey) -> Result<Value, KeyringError> {
    let point = match key.public_key.as_slice() {
        [0x04, point @ ..] => point.split_at_checked(32).filter(|(_, y)| y.len() == 32),
        _ => None,
    };
    let (x, y) = point.ok_or_else(|| KeyringError::MalformedPublicKey(key.kid.clone()))?;
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    Ok(json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": key.kid, "x": x, "y": y }))
}
