//! Rotation of the password: the new one is read from the secret when the server rejects the current one.
//!
//! Amazon RDS changes a password that it manages every seven days (Amazon RDS User Guide, "Password management with Amazon
//! RDS and AWS Secrets Manager"). Open connections stay open; the next one is rejected. ECS sets the secret in a task's
//! environment at its start only.

use std::{io, time::Duration};

use parking_lot::Mutex as SyncMutex;
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};

use super::errors::is_rejected_login;
use crate::aws::secret::{Login, Secret, SecretError};

/// Time for which a connection is tried with the values of the secret. Database and secret are changed one after the other,
/// so for a moment the value of the secret is not that of the database (AWS Secrets Manager User Guide, "Single user
/// rotation strategy").
const TIMEOUT: Duration = Duration::from_secs(10);
/// Pauses between two attempts, if the secret has no new value.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// The secret with the login, and the login that is in use.
pub(super) struct Rotation {
    secret: Secret,
    /// Locked while the secret is read, so that concurrent rejections read it once.
    last: Mutex<Option<LastRead>>,
    current: SyncMutex<Option<SecretString>>,
}

/// The last reading of the secret.
struct LastRead {
    at: Instant,
    result: Result<bool, Failure>,
}

/// A failed reading of the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Failure {
    reason: String,
    is_permanent: bool,
}

/// Reason for which no connection was opened after a rejected login.
#[derive(Debug, thiserror::Error)]
enum RotationError {
    #[error("the database rejected the password, and the secret could not be read: {0}")]
    Secret(String),
    #[error("the database rejected the password, and that of the secret: {0}")]
    Rejected(sqlx::Error),
}

impl std::fmt::Debug for Rotation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rotation").finish_non_exhaustive()
    }
}

impl Rotation {
    /// Takes the secret, and the password that is in use, if there is one.
    pub(super) fn new(secret: Secret, current: Option<SecretString>) -> Self {
        Self {
            secret,
            last: Mutex::default(),
            current: SyncMutex::new(current),
        }
    }

    /// Opens a connection, with the login of the secret if the server rejects the one in use.
    ///
    /// # Errors
    /// Those of `connect`, also if the login was rejected and this process may not read the secret; an I/O error if the login
    /// was rejected and the secret does not help in time.
    pub(super) async fn connecting<T, F>(&self, pool: &PgPool, connect: impl Fn() -> F) -> sqlx::Result<T>
    where
        F: Future<Output = sqlx::Result<T>>,
    {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let attempt = Instant::now();
            let error = match connect().await {
                Err(error) if is_rejected_login(&error) => error,
                other => return other,
            };
            let renewed = self.renew(pool, attempt).await;
            if matches!(&renewed, Err(failure) if failure.is_permanent) {
                return Err(error);
            }
            if started.elapsed() > TIMEOUT {
                let reason = match renewed {
                    Err(failure) => RotationError::Secret(failure.reason),
                    Ok(_) => RotationError::Rejected(error),
                };
                return Err(sqlx::Error::Io(io::Error::other(reason)));
            }
            if renewed != Ok(true) {
                sleep(pause).await;
                pause = (pause * 2).min(MAX_PAUSE);
            }
        }
    }

    /// Reads the secret, unless that was done since the attempt began, and returns whether it has another login.
    async fn renew(&self, pool: &PgPool, attempt: Instant) -> Result<bool, Failure> {
        let mut last = self.last.lock().await;
        if let Some(last) = last.as_ref().filter(|last| last.at >= attempt) {
            return last.result.clone();
        }
        let result = match self.secret.read().await {
            Ok(login) => Ok(self.apply(pool, login)),
            Err(error) => Err(failed(&error)),
        };
        let at = Instant::now();
        last.insert(LastRead { at, result }).result.clone()
    }

    /// Replaces the login of future connections, and returns whether it differs.
    fn apply(&self, pool: &PgPool, login: Login) -> bool {
        let mut current = self.current.lock();
        let is_new = current
            .as_ref()
            .is_none_or(|current| current.expose_secret() != login.password.expose_secret());
        if is_new {
            let options = pool
                .connect_options()
                .as_ref()
                .clone()
                .password(login.password.expose_secret());
            pool.set_connect_options(match &login.username {
                Some(name) => options.username(name),
                None => options,
            });
            *current = Some(login.password);
            tracing::info!("the database's password was rotated; new connections use that of the secret");
            metrics::counter!("database_password_renewals_total", "outcome" => "renewed").increment(1);
        }
        is_new
    }
}

fn failed(error: &SecretError) -> Failure {
    let reason = error.to_string();
    tracing::warn!(
        reason,
        "the database rejected the password, and the secret could not be read"
    );
    metrics::counter!("database_password_renewals_total", "outcome" => "failed").increment(1);
    Failure {
        reason,
        is_permanent: error.is_permanent(),
    }
}
