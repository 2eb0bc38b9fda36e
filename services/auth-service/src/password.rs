//! Password hashes: argon2id, outside the async threads, a limited number at once.
//!
//! The cost is a setting. Its default is OWASP's recommendation (Password Storage Cheat Sheet, "Argon2id": 19 MiB of
//! memory, 2 passes, 1 lane). A hash contains its own cost, so a raised cost takes effect for each account at its next
//! login.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use argon2::password_hash::{PasswordHasher, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kit::problem::{Problem, Result};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use unicode_normalization::UnicodeNormalization;

use crate::stored_hash::StoredHash;
pub use crate::stored_hash::Verification;

/// Minimum number of characters of a new password.
pub const MIN_CHARACTERS: usize = 8;
/// Maximum number of bytes of a password; without a limit, hashing long ones would exhaust the CPU.
pub const MAX_BYTES: usize = 1024;
/// Time for which a login waits for a permit; after that it gets 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Password of the hash that is verified if there is no user at all.
const PLACEHOLDER: &str = "placeholder";

/// Minimum time of the refusal of a login that does not always compute a hash.
const MIN_REFUSAL_TIME: Duration = Duration::from_millis(300);

/// A password in Unicode's normal form C, in which it is hashed: keyboards send the same character in different forms.
#[derive(Clone)]
pub struct Password {
    normalized: SecretString,
    /// The text as it was sent, if it is not in that form: earlier hashes were made of it.
    raw: Option<SecretString>,
}

impl Password {
    /// Normalizes a text.
    pub fn new(text: String) -> Self {
        let normalized: String = text.nfc().collect();
        let raw = (normalized != text).then(|| text.into());
        Self {
            normalized: normalized.into(),
            raw,
        }
    }

    /// Returns a password that nobody knows.
    pub fn random() -> Self {
        Self::new(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
    }

    /// Returns the number of characters.
    pub fn characters(&self) -> usize {
        self.normalized.expose_secret().chars().count()
    }

    /// Returns the number of bytes.
    pub fn bytes(&self) -> usize {
        self.normalized.expose_secret().len()
    }
}

impl From<&str> for Password {
    fn from(text: &str) -> Self {
        Self::new(text.to_owned())
    }
}

/// Computes and verifies password hashes.
#[derive(Clone)]
pub struct Passwords {
    hasher: Hasher,
    refusal_time: Duration,
    permits: Arc<Semaphore>,
}

#[derive(Clone)]
struct Hasher {
    argon2: Argon2<'static>,
    /// The hash of [`PLACEHOLDER`].
    placeholder: Arc<str>,
    /// Number of computed hashes, for the test that every kind of failed login computes one.
    computed: Arc<AtomicU64>,
}

/// The right to use one core and the memory of one hash.
pub struct HashPermit {
    hasher: Hasher,
    permit: Arc<OwnedSemaphorePermit>,
}

impl Passwords {
    /// Computes hashes of this cost, as many at once as there are cores.
    ///
    /// # Errors
    /// Fails if a hash cannot be computed.
    pub fn new(cost: Params) -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self::with_concurrency(cost, cores)
    }

    /// Computes hashes of this cost, at most `concurrency` at once.
    ///
    /// # Errors
    /// Fails if a hash cannot be computed.
    pub fn with_concurrency(cost: Params, concurrency: usize) -> anyhow::Result<Self> {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost);
        let started = Instant::now();
        let placeholder = hash(&argon2, PLACEHOLDER)?.into();
        Ok(Self {
            refusal_time: MIN_REFUSAL_TIME.max(started.elapsed() * 8),
            hasher: Hasher {
                argon2,
                placeholder,
                computed: Arc::default(),
            },
            permits: Arc::new(Semaphore::new(concurrency)),
        })
    }

    /// Returns the number of hashes that were computed.
    pub fn hashes_computed(&self) -> u64 {
        self.hasher.computed.load(Ordering::Relaxed)
    }

    /// Returns the time that the refusal of a login takes, whether or not it computes a hash: several times that of a hash.
    pub fn refusal_time(&self) -> Duration {
        self.refusal_time
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// 503 if too many logins are waiting.
    pub async fn acquire(&self) -> Result<HashPermit> {
        match tokio::time::timeout(ACQUIRE_TIMEOUT, self.permits.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(HashPermit {
                hasher: self.hasher.clone(),
                permit: Arc::new(permit),
            }),
            _ => Err(Problem::unavailable(
                "Too many logins are in progress; try again in a few seconds",
            )),
        }
    }
}

impl HashPermit {
    /// Hashes a new password.
    ///
    /// # Errors
    /// 500 if the hash cannot be computed.
    pub async fn hash(self, password: Password) -> Result<String> {
        let Self { hasher, permit } = self;
        hasher.computed.fetch_add(1, Ordering::Relaxed);
        run_blocking(move || {
            let hashed = hash(&hasher.argon2, password.normalized.expose_secret());
            drop(permit);
            hashed
        })
        .await
    }

    /// Verifies a password; without a stored hash, or with one that cannot be read, it takes the same time and fails.
    ///
    /// # Errors
    /// 500 if the computation panics.
    pub async fn verify(&self, password: Password, stored: Option<String>) -> Result<Verification> {
        let hasher = self.hasher.clone();
        // A hash continues when its client disconnects, so it holds the permit until it is done. Otherwise a client that
        // connects and disconnects could have any number computed at once, each with its memory.
        let permit = self.permit.clone();
        hasher.computed.fetch_add(1, Ordering::Relaxed);
        run_blocking(move || {
            let verification = hasher.verify(&password, stored.as_deref());
            drop(permit);
            Ok(verification)
        })
        .await
    }
}

impl Hasher {
    fn verify(&self, password: &Password, stored: Option<&str>) -> Verification {
        let verify = |hash: &StoredHash<'_>| {
            let verification = hash.verify(password.normalized.expose_secret(), &self.argon2);
            match (verification, &password.raw) {
                (Verification::Mismatch, Some(raw)) => match hash.verify(raw.expose_secret(), &self.argon2) {
                    // The hash is not of the normal form.
                    Verification::Match if matches!(hash, StoredHash::Argon2(_)) => Verification::OutdatedMatch,
                    other => other,
                },
                (verification, _) => verification,
            }
        };
        if let Some(hash) = stored.and_then(StoredHash::parse) {
            return verify(&hash);
        }
        if let Some(placeholder) = StoredHash::parse(&self.placeholder) {
            verify(&placeholder);
        }
        match stored {
            Some(_) => Verification::Unreadable,
            None => Verification::Mismatch,
        }
    }
}

fn hash(argon2: &Argon2<'_>, password: &str) -> anyhow::Result<String> {
    let mut salt = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut salt)?;
    let salt = SaltString::encode_b64(&salt).map_err(anyhow::Error::msg)?;
    Ok(argon2
        .hash_password(password.as_bytes(), &salt)
        .map_err(anyhow::Error::msg)?
        .to_string())
}

async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(Problem::internal),
        Err(panicked) => Err(Problem::internal(panicked)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passwords(memory_kib: u32, passes: u32) -> Passwords {
        Passwords::with_concurrency(Params::new(memory_kib, passes, 1, None).unwrap(), 1).unwrap()
    }

    #[tokio::test]
    async fn a_hash_matches_its_own_password_only() {
        let passwords = passwords(8, 1);
        let permit = passwords.acquire().await.ok().unwrap();
        let hash = permit.hash("correct horse".into()).await.ok().unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        let permit = passwords.acquire().await.ok().unwrap();
        for (password, expected) in [
            ("correct horse", Verification::Match),
            ("Correct horse", Verification::Mismatch),
        ] {
            let verification = permit.verify(password.into(), Some(hash.clone())).await.ok();
            assert_eq!(verification, Some(expected), "{password}");
        }
    }

    #[tokio::test]
    async fn a_hash_of_a_lower_cost_matches_and_is_outdated() {
        let hash = hash(&passwords(8, 1).hasher.argon2, "correct horse").unwrap();
        for (memory_kib, passes, expected) in [
            (8, 1, Verification::Match),
            (16, 1, Verification::OutdatedMatch),
            (8, 2, Verification::OutdatedMatch),
        ] {
            let permit = passwords(memory_kib, passes).acquire().await.ok().unwrap();
            let verification = permit.verify("correct horse".into(), Some(hash.clone())).await.ok();
            assert_eq!(verification, Some(expected), "{memory_kib} KiB, {passes} passes");
        }
    }

    #[tokio::test]
    async fn a_client_that_disconnects_during_a_verification_does_not_release_the_permit() {
        // 64 MiB take at least some ten milliseconds.
        let passwords = passwords(65_536, 1);
        let permit = passwords.acquire().await.ok().unwrap();
        tokio::select! {
            biased;
            _ = permit.verify("a guess".into(), None) => panic!("the hash cannot be ready at once"),
            () = std::future::ready(()) => {}
        }
        drop(permit);
        assert_eq!(passwords.permits.available_permits(), 0, "the hash is still computed");
        let _next = passwords.acquire().await.ok().unwrap();
    }

    #[tokio::test]
    async fn a_password_matches_in_both_normal_forms_and_a_hash_of_the_other_form_is_outdated() {
        let (composed, decomposed) = ("Jos\u{e9} wartet", "Jose\u{301} wartet");
        assert_eq!(
            Password::from(decomposed).characters(),
            Password::from(composed).characters()
        );
        let passwords = passwords(8, 1);
        let permit = passwords.acquire().await.ok().unwrap();
        let hash_of_decomposed = hash(&passwords.hasher.argon2, decomposed).unwrap();
        let hash = permit.hash(decomposed.into()).await.ok().unwrap();
        let permit = passwords.acquire().await.ok().unwrap();
        for (typed, stored, expected) in [
            (composed, &hash, Verification::Match),
            (decomposed, &hash, Verification::Match),
            (decomposed, &hash_of_decomposed, Verification::OutdatedMatch),
            (composed, &hash_of_decomposed, Verification::Mismatch),
            ("Jose wartet", &hash, Verification::Mismatch),
        ] {
            let verification = permit.verify(typed.into(), Some(stored.clone())).await.ok();
            assert_eq!(verification, Some(expected), "{typed:?}");
        }
        let unreadable = permit.verify(composed.into(), Some("!".to_owned())).await.ok();
        assert_eq!(unreadable, Some(Verification::Unreadable));
    }

    #[tokio::test]
    async fn the_placeholder_matches_no_password() {
        let permit = passwords(8, 1).acquire().await.ok().unwrap();
        let verification = permit.verify(PLACEHOLDER.into(), None).await.ok();
        assert_eq!(verification, Some(Verification::Mismatch));
    }
}
