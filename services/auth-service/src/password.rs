//! Password hashes: argon2id, off the async threads, a bounded number at once.
//!
//! The cost is a setting. Its default is OWASP's recommendation (Password Storage Cheat Sheet, "Argon2id": 19 MiB of
//! memory, 2 passes, 1 lane). A hash carries its own cost, so a raised one takes effect account by account, at the
//! next login of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// The hash that a password is checked against when there is no user at all.
    nobody: Arc<str>,
    /// Hashes that were computed, for the test that no kind of failure saves one.
    work: Arc<AtomicU64>,
}

/// What came of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is not the stored one, or none is stored.
    Wrong,
    /// It is.
    Right,
    /// It is, and its hash is cheaper than present ones: hash it again.
    Outdated,
}

/// The right to use a core and the memory of one hash.
pub struct Turn {
    argon2: Argon2<'static>,
    nobody: Arc<str>,
    work: Arc<AtomicU64>,
    permit: Arc<OwnedSemaphorePermit>,
}

impl Passwords {
    /// Hashes at this cost, as many at once as there are cores.
    pub fn new(params: Params) -> anyhow::Result<Passwords> {
        let cores = std::thread::available_parallelism().map_or(2, |n| n.get());
        Self::with(params, cores)
    }

    /// Hashes at this cost, so many at once.
    pub fn with(params: Params, at_once: usize) -> anyhow::Result<Passwords> {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobody = hash(&argon2, "the password of nobody")?.into();
        Ok(Passwords {
            argon2,
            turns: Arc::new(Semaphore::new(at_once)),
            nobody,
            work: Arc::default(),
        })
    }

    /// How many hashes were computed so far.
    pub fn work(&self) -> u64 {
        self.work.load(Ordering::Relaxed)
    }

    /// Waits for a turn; 503 when too many are waiting already.
    pub async fn turn(&self) -> Result<Turn> {
        match tokio::time::timeout(PATIENCE, self.turns.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Turn {
                argon2: self.argon2.clone(),
                nobody: self.nobody.clone(),
                work: self.work.clone(),
                permit: Arc::new(permit),
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
        self.work.fetch_add(1, Ordering::Relaxed);
        blocking(move || {
            let hashed = hash(&self.argon2, password.expose_secret());
            drop(self.permit);
            hashed
        })
        .await
    }

    /// Whether the password is the stored one; without a stored one it costs the same and is wrong.
    pub async fn matches(&self, password: SecretString, stored: Option<String>) -> Result<Verdict> {
        let argon2 = self.argon2.clone();
        let nobody = self.nobody.clone();
        // A hash that has begun goes on, also when its client leaves: it keeps the turn until it is done. Otherwise whoever
        // connects and leaves would have any number computed at once, each with its memory.
        let permit = self.permit.clone();
        self.work.fetch_add(1, Ordering::Relaxed);
        blocking(move || {
            let against = PasswordHash::new(stored.as_deref().unwrap_or(&nobody)).map_err(anyhow::Error::msg)?;
            // The hash brings the cost at which it was made.
            let same = argon2
                .verify_password(password.expose_secret().as_bytes(), &against)
                .is_ok();
            drop(permit);
            Ok(match same && stored.is_some() {
                false => Verdict::Wrong,
                true if is_cheaper(&against, argon2.params()) => Verdict::Outdated,
                true => Verdict::Right,
            })
        })
        .await
    }
}

/// Whether a hash was made with less memory or fewer passes than present ones, or in another way.
fn is_cheaper(hash: &PasswordHash<'_>, present: &Params) -> bool {
    let same_kind = hash.algorithm == Algorithm::Argon2id.ident() && hash.version == Some(Version::V0x13.into());
    !same_kind
        || Params::try_from(hash).map_or(true, |made| {
            made.m_cost() < present.m_cost() || made.t_cost() < present.t_cost()
        })
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
        for (password, verdict) in [("correct horse", Verdict::Right), ("Correct horse", Verdict::Wrong)] {
            let found = turn.matches(password.into(), Some(hash.clone())).await.ok();
            assert_eq!(found, Some(verdict), "{password}");
        }
    }

    #[tokio::test]
    async fn a_hash_of_a_lower_cost_still_matches_and_says_that_it_is_outdated() {
        let hash = hash(&cheap().argon2, "correct horse").unwrap();
        for (memory, passes, verdict) in [
            (8, 1, Verdict::Right),
            (16, 1, Verdict::Outdated),
            (8, 2, Verdict::Outdated),
        ] {
            let present = Passwords::with(Params::new(memory, passes, 1, None).unwrap(), 1).unwrap();
            let turn = present.turn().await.ok().unwrap();
            let found = turn.matches("correct horse".into(), Some(hash.clone())).await.ok();
            assert_eq!(found, Some(verdict), "{memory} KiB, {passes} passes");
        }
    }

    #[tokio::test]
    async fn who_leaves_while_a_password_is_checked_does_not_give_the_turn_to_another_one() {
        // 64 MiB take some ten milliseconds at the least.
        let passwords = Passwords::with(Params::new(65_536, 1, 1, None).unwrap(), 1).unwrap();
        let turn = passwords.turn().await.ok().unwrap();
        tokio::select! {
            biased;
            _ = turn.matches("a guess".into(), None) => panic!("it cannot be done at once"),
            () = std::future::ready(()) => {}
        }
        drop(turn);
        assert_eq!(passwords.turns.available_permits(), 0, "the hash is still computed");
        let _next = passwords.turn().await.ok().unwrap();
    }

    #[tokio::test]
    async fn nobody_has_no_password_not_even_the_one_that_is_hashed_for_the_time_it_takes() {
        let turn = cheap().turn().await.ok().unwrap();
        let found = turn.matches("the password of nobody".into(), None).await.ok();
        assert_eq!(found, Some(Verdict::Wrong));
    }
}
