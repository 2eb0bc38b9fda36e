//! Password hashes: argon2id, off the async threads, a bounded number at once.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use kit::problem::{Problem, Result};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The fewest characters that a new password may have.
pub const MIN_CHARACTERS: usize = 8;
/// The most bytes that are taken: hashing must not become a way to burn our time.
pub const MAX_BYTES: usize = 1024;
/// How long a login waits for its turn before it is told to come back.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes and checks password hashes.
#[derive(Clone)]
pub struct Passwords {
    argon2: Argon2<'static>,
    turns: Arc<Semaphore>,
    /// The hash that a password is checked against when there is no such user.
    nobody: Arc<str>,
}

/// The right to use a core and the memory of one hash.
pub struct Turn {
    argon2: Argon2<'static>,
    nobody: Arc<str>,
    permit: OwnedSemaphorePermit,
}

impl Passwords {
    /// Hashes with OWASP's first recommendation for argon2id (19 MiB, 2 passes), as many at once as there are cores.
    pub fn new() -> anyhow::Result<Passwords> {
        let cores = std::thread::available_parallelism().map_or(2, |n| n.get());
        Self::with(Params::default(), cores)
    }

    /// Hashes with other costs, for tests.
    pub fn with(params: Params, at_once: usize) -> anyhow::Result<Passwords> {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobody = hash(&argon2, "the password of nobody")?.into();
        Ok(Passwords {
            argon2,
            turns: Arc::new(Semaphore::new(at_once)),
            nobody,
        })
    }

    /// Waits for a turn; 503 when too many are waiting already.
    pub async fn turn(&self) -> Result<Turn> {
        match tokio::time::timeout(PATIENCE, self.turns.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Turn {
                argon2: self.argon2.clone(),
                nobody: self.nobody.clone(),
                permit,
            }),
            _ => Err(Problem::unavailable(
                "Too many logins are under way; try again in a few seconds",
            )),
        }
    }
}

impl Turn {
    /// Hashes a new password.
    pub async fn hash(self, password: SecretString) -> Result<String> {
        blocking(move || {
            let hashed = hash(&self.argon2, password.expose_secret());
            drop(self.permit);
            hashed
        })
        .await
    }

    /// Whether the password is the stored one; without a stored one it costs the same and is false.
    pub async fn matches(&self, password: SecretString, stored: Option<String>) -> Result<bool> {
        let argon2 = self.argon2.clone();
        let nobody = self.nobody.clone();
        blocking(move || {
            let against = PasswordHash::new(stored.as_deref().unwrap_or(&nobody)).map_err(anyhow::Error::msg)?;
            let same = argon2
                .verify_password(password.expose_secret().as_bytes(), &against)
                .is_ok();
            Ok(same && stored.is_some())
        })
        .await
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

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(Problem::internal),
        Err(stopped) => Err(Problem::internal(stopped)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap() -> Passwords {
        Passwords::with(Params::new(8, 1, 1, None).unwrap(), 1).unwrap()
    }

    #[tokio::test]
    async fn a_hash_matches_its_own_password_only() {
        let passwords = cheap();
        let hash = passwords
            .turn()
            .await
            .ok()
            .unwrap()
            .hash("correct horse".into())
            .await
            .ok()
            .unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        let turn = passwords.turn().await.ok().unwrap();
        assert!(
            turn.matches("correct horse".into(), Some(hash.clone()))
                .await
                .ok()
                .unwrap()
        );
        assert!(!turn.matches("Correct horse".into(), Some(hash)).await.ok().unwrap());
    }

    #[tokio::test]
    async fn nobody_has_no_password_not_even_the_one_that_is_hashed_for_the_time_it_takes() {
        let turn = cheap().turn().await.ok().unwrap();
        assert!(!turn.matches("the password of nobody".into(), None).await.ok().unwrap());
    }
}
