//! Encryption of secrets in the database: AES-256-GCM with keys derived from generated secrets.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use secrecy::{ExposeSecret, SecretString};

/// Length of the nonce that precedes each ciphertext, in bytes.
const NONCE_BYTES: usize = 12;
/// Minimum length of a secret, in bytes.
const MIN_SECRET_BYTES: usize = 32;

/// Seals with the current secret, and opens with the current or the previous one.
pub struct Seal {
    current: RandomizedNonceKey,
    previous: Option<RandomizedNonceKey>,
}

/// A decrypted value.
pub struct Opened {
    /// The value as it was sealed.
    pub plaintext: Vec<u8>,
    /// True if it was sealed with the previous secret, which will be removed: seal it again.
    pub is_outdated: bool,
}

/// Failure to set up or to use the encryption.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The secret in this environment variable is too short.
    #[error("{variable} has {length} characters; at least {MIN_SECRET_BYTES} random ones are required")]
    SecretTooShort {
        /// Environment variable with the secret.
        variable: &'static str,
        /// Its length in bytes.
        length: usize,
    },
    /// The cryptographic library reports no details.
    #[error("the encryption of signing keys failed")]
    Crypto,
}

impl From<Unspecified> for SealError {
    fn from(_: Unspecified) -> Self {
        Self::Crypto
    }
}

impl Seal {
    /// Derives the keys from the secrets.
    ///
    /// # Errors
    /// [`SealError::SecretTooShort`] if a secret has fewer than 32 characters.
    pub fn new(current: &SecretString, previous: Option<&SecretString>) -> Result<Self, SealError> {
        Ok(Self {
            current: derive("AUTH_KEY_ENCRYPTION_KEY", current)?,
            previous: previous
                .map(|secret| derive("AUTH_KEY_ENCRYPTION_KEY_PREVIOUS", secret))
                .transpose()?,
        })
    }

    /// Encrypts a value; `name` is authenticated with it, so that the values of two rows cannot be exchanged.
    ///
    /// # Errors
    /// [`SealError::Crypto`].
    pub fn seal(&self, name: &str, plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut body = plaintext.to_vec();
        let nonce = self
            .current
            .seal_in_place_append_tag(Aad::from(name.as_bytes()), &mut body)?;
        Ok([nonce.as_ref().as_slice(), &body].concat())
    }

    /// Decrypts a value that [`Seal::seal`] encrypted under the same name; `None` if neither secret fits.
    pub fn open(&self, name: &str, sealed: &[u8]) -> Option<Opened> {
        let keys = [(Some(&self.current), false), (self.previous.as_ref(), true)];
        keys.into_iter().find_map(|(key, is_outdated)| {
            Some(Opened {
                plaintext: open(key?, name, sealed)?,
                is_outdated,
            })
        })
    }
}

fn derive(variable: &'static str, secret: &SecretString) -> Result<RandomizedNonceKey, SealError> {
    let secret = secret.expose_secret();
    if secret.len() < MIN_SECRET_BYTES {
        let length = secret.len();
        return Err(SealError::SecretTooShort { variable, length });
    }
    let mut key = [0_u8; 32];
    Salt::new(HKDF_SHA256, b"auth-service")
        .extract(secret.as_bytes())
        .expand(&[b"signing keys, AES-256-GCM, v1"], &AES_256_GCM)?
        .fill(&mut key)?;
    Ok(RandomizedNonceKey::new(&AES_256_GCM, &key)?)
}

fn open(key: &RandomizedNonceKey, name: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, body) = sealed.split_at_checked(NONCE_BYTES)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut body = body.to_vec();
    let length = key
        .open_in_place(nonce, Aad::from(name.as_bytes()), &mut body)
        .ok()?
        .len();
    body.truncate(length);
    Some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(character: &str) -> SecretString {
        character.repeat(32).into()
    }

    #[test]
    fn a_sealed_value_opens_under_its_own_name_only() {
        let seal = Seal::new(&secret("a"), None).unwrap();
        let sealed = seal.seal("key-1", b"private").unwrap();
        assert_eq!(seal.open("key-1", &sealed).unwrap().plaintext, b"private");
        assert!(seal.open("key-2", &sealed).is_none());
        assert!(seal.open("key-1", &sealed[..5]).is_none());
        assert!(!sealed.windows(7).any(|part| part == b"private"));
    }

    #[test]
    fn the_previous_secret_still_opens_a_value_and_marks_it_as_outdated() {
        let sealed = Seal::new(&secret("a"), None).unwrap().seal("key", b"private").unwrap();
        let rotated = Seal::new(&secret("b"), Some(&secret("a"))).unwrap();
        assert!(rotated.open("key", &sealed).unwrap().is_outdated);
        assert!(Seal::new(&secret("b"), None).unwrap().open("key", &sealed).is_none());
    }

    #[test]
    fn a_short_secret_is_rejected_with_the_name_of_its_variable() {
        let (short, long) = ("short".to_owned().into(), secret("a"));
        let error = Seal::new(&short, None).err().unwrap();
        assert_eq!(
            error.to_string(),
            "AUTH_KEY_ENCRYPTION_KEY has 5 characters; at least 32 random ones are required"
        );
        let expected = SealError::SecretTooShort {
            variable: "AUTH_KEY_ENCRYPTION_KEY_PREVIOUS",
            length: 5,
        };
        assert_eq!(Seal::new(&long, Some(&short)).err(), Some(expected));
    }
}
