//! Encryption of what is secret in the database: AES-256-GCM under keys derived from generated secrets.

use anyhow::{Context, bail};
use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use secrecy::{ExposeSecret, SecretString};

/// Bytes of the nonce that stands before each ciphertext.
const NONCE: usize = 12;

/// Seals with the present secret and opens with the present or the previous one.
pub struct Seal {
    current: RandomizedNonceKey,
    previous: Option<RandomizedNonceKey>,
}

/// What was opened, and whether it should be sealed again.
pub struct Opened {
    pub plain: Vec<u8>,
    /// It was sealed under the previous secret, which will go away.
    pub stale: bool,
}

impl Seal {
    /// Derives the keys; a secret of fewer than 32 characters is refused.
    pub fn new(current: &SecretString, previous: Option<&SecretString>) -> anyhow::Result<Seal> {
        Ok(Seal {
            current: derive(current).context("AUTH_KEY_ENCRYPTION_KEY")?,
            previous: previous
                .map(derive)
                .transpose()
                .context("AUTH_KEY_ENCRYPTION_KEY_PREVIOUS")?,
        })
    }

    /// Encrypts; `name` is authenticated with it, so that two rows cannot be swapped.
    pub fn seal(&self, name: &str, plain: &[u8]) -> anyhow::Result<Vec<u8>> {
        let mut body = plain.to_vec();
        let nonce = self
            .current
            .seal_in_place_append_tag(Aad::from(name.as_bytes()), &mut body)?;
        Ok([nonce.as_ref().as_slice(), &body].concat())
    }

    /// Decrypts what [`Seal::seal`] made under the same name; None when no secret fits.
    pub fn open(&self, name: &str, sealed: &[u8]) -> Option<Opened> {
        let keys = [(Some(&self.current), false), (self.previous.as_ref(), true)];
        keys.into_iter().find_map(|(key, stale)| {
            Some(Opened {
                plain: open(key?, name, sealed)?,
                stale,
            })
        })
    }
}

fn derive(secret: &SecretString) -> anyhow::Result<RandomizedNonceKey> {
    let secret = secret.expose_secret();
    if secret.len() < 32 {
        bail!(
            "the secret has {} characters, at least 32 random ones are needed",
            secret.len()
        );
    }
    let mut key = [0_u8; 32];
    Salt::new(HKDF_SHA256, b"auth-service")
        .extract(secret.as_bytes())
        .expand(&[b"signing keys, AES-256-GCM, v1"], &AES_256_GCM)?
        .fill(&mut key)?;
    Ok(RandomizedNonceKey::new(&AES_256_GCM, &key)?)
}

fn open(key: &RandomizedNonceKey, name: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, body) = sealed.split_at_checked(NONCE)?;
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

    fn secret(letter: &str) -> SecretString {
        letter.repeat(32).into()
    }

    #[test]
    fn what_is_sealed_opens_under_its_name_only() {
        let seal = Seal::new(&secret("a"), None).unwrap();
        let sealed = seal.seal("key-1", b"private").unwrap();
        assert_eq!(seal.open("key-1", &sealed).unwrap().plain, b"private");
        assert!(seal.open("key-2", &sealed).is_none());
        assert!(seal.open("key-1", &sealed[..5]).is_none());
        assert!(!sealed.windows(7).any(|part| part == b"private"));
    }

    #[test]
    fn the_previous_secret_still_opens_and_says_that_it_is_stale() {
        let sealed = Seal::new(&secret("a"), None).unwrap().seal("key", b"private").unwrap();
        assert!(
            Seal::new(&secret("b"), Some(&secret("a")))
                .unwrap()
                .open("key", &sealed)
                .unwrap()
                .stale
        );
        assert!(Seal::new(&secret("b"), None).unwrap().open("key", &sealed).is_none());
    }

    #[test]
    fn a_short_secret_is_refused_by_the_name_of_its_variable() {
        let error = Seal::new(&"short".to_owned().into(), None).err().unwrap();
        assert_eq!(
            format!("{error:#}"),
            "AUTH_KEY_ENCRYPTION_KEY: the secret has 5 characters, at least 32 random ones are needed"
        );
    }
}
