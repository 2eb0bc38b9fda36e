//! One deployment at a time: an SSM parameter that is written without overwrite, and renewed by a heartbeat.
//!
//! A lock without a heartbeat expires by the clock of SSM alone: the parameter's `LastModifiedDate` is compared with that of another
//! parameter that is written for the comparison. The clocks of the machines do not matter.

mod holder;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::session::Session;
use crate::ssm;
use holder::{Holder, format_time};

/// Lifetime of a lock without a heartbeat.
const LIFETIME: Duration = Duration::from_secs(90);
const HEARTBEAT: Duration = Duration::from_secs(20);
/// Pause before a lock that was taken over is checked: two processes may take it over at once.
const SETTLE: Duration = Duration::from_millis(300);

/// The result of an operation on a lock.
pub type Result<T, E = LockError> = std::result::Result<T, E>;

/// A lock that was not acquired.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// A request to SSM failed.
    #[error(transparent)]
    Request(#[from] crate::Error),
    /// Another process holds it.
    #[error("another deployment is running: {holder} holds the lock since {since}; it expires at {expires}")]
    Held {
        /// The user, host and PID of the process.
        holder: String,
        /// The time of its start.
        since: String,
        /// The time at which it expires without a heartbeat.
        expires: String,
        /// The name of the SSM parameter.
        parameter: String,
    },
    /// The parameter has another content.
    #[error("SSM parameter {parameter} is not a lock")]
    NotALock {
        /// Its name.
        parameter: String,
    },
    /// It expired while this process did not renew it, and another deployment has taken it over.
    #[error("another deployment has taken over the lock; nothing further was started")]
    Lost,
}

/// An event of a lock that is held.
#[derive(Debug)]
pub enum LockEvent {
    /// The process that held it has ended without releasing it.
    TakenOver {
        /// The user, host and PID of the process.
        holder: String,
    },
    /// A heartbeat could not be written.
    NotRenewed(crate::Error),
    /// A heartbeat could not read the lock.
    NotReadable(LockError),
    /// Another deployment has taken it over.
    Lost,
    /// The lock stays until it expires.
    NotReleased {
        /// The name of the SSM parameter.
        parameter: String,
        /// The cause.
        error: LockError,
    },
}

impl LockEvent {
    /// Returns whether it is a problem.
    pub fn is_warning(&self) -> bool {
        !matches!(self, Self::TakenOver { .. })
    }
}

impl fmt::Display for LockEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TakenOver { holder } => write!(f, "taking over the stale lock of {holder}"),
            Self::NotRenewed(error) => write!(f, "cannot renew the lock: {error}"),
            Self::NotReadable(error) => write!(f, "cannot read the lock: {error}"),
            Self::Lost => f.write_str("another deployment has taken over the lock"),
            Self::NotReleased { parameter, error } => {
                write!(f, "cannot release the lock {parameter} ({error}); it expires by itself")
            }
        }
    }
}

/// Receives the events of a lock.
pub type LockReport = Arc<dyn Fn(LockEvent) + Send + Sync>;

/// A held lock: renewed until it is released.
pub struct Lock {
    lease: Lease,
    report: LockReport,
    heartbeat: tokio::task::JoinHandle<()>,
}

/// The right to change an environment, for as long as its lock is held.
#[derive(Clone)]
pub struct Lease {
    aws: Session,
    parameter: String,
    id: String,
    lost: Arc<AtomicBool>,
}

impl Lease {
    /// Requires that the lock is still held. To be called before each operation: a machine that was suspended may have lost it.
    ///
    /// # Errors
    /// Another deployment has taken it over. A request that fails is no error, because the heartbeat reports it.
    pub async fn require(&self) -> Result<()> {
        if !self.lost.load(Ordering::Relaxed)
            && let Ok(found) = read(&self.aws, &self.parameter).await
            && found.is_none_or(|found| found.holder.id != self.id)
        {
            self.lost.store(true, Ordering::Relaxed);
        }
        if self.lost.load(Ordering::Relaxed) {
            Err(LockError::Lost)
        } else {
            Ok(())
        }
    }
}

impl Lock {
    /// Acquires the lock of a project's environment. A lock that has expired, or whose process on this machine has ended, is taken
    /// over.
    ///
    /// # Errors
    /// Another deployment holds the lock, or a request fails.
    pub async fn acquire(aws: &Session, project: &str, environment: &str, report: LockReport) -> Result<Self> {
        let parameter = format!("/deployer/{project}-{environment}/lock");
        let own = Holder::new();
        if !put(aws, &parameter, &own, false).await? {
            match read(aws, &parameter).await? {
                // The response to the first attempt was lost.
                Some(found) if found.holder.id == own.id => {}
                found => take_over(aws, &parameter, &own, found, &report).await?,
            }
        }
        let lease = Lease {
            aws: aws.clone(),
            parameter,
            id: own.id.clone(),
            lost: Arc::default(),
        };
        let heartbeat = tokio::spawn(heartbeat(lease.clone(), report.clone(), own));
        Ok(Self {
            lease,
            report,
            heartbeat,
        })
    }

    /// Returns the right that the lock gives.
    pub fn lease(&self) -> Lease {
        self.lease.clone()
    }

    /// Releases the lock, unless another deployment has taken it over.
    pub async fn release(self) {
        self.heartbeat.abort();
        let Lease { aws, parameter, id, .. } = self.lease;
        let released = async {
            match read(&aws, &parameter).await? {
                Some(found) if found.holder.id == id => Ok(ssm::delete(&aws, &parameter).await?),
                _ => Ok(()),
            }
        };
        if let Err(error) = released.await {
            (self.report)(LockEvent::NotReleased { parameter, error });
        }
    }
}

/// A lock as it was read.
struct Found {
    holder: Holder,
    /// Its last heartbeat in seconds since 1970, by the clock of SSM.
    renewed: f64,
}

impl Found {
    fn held(&self, parameter: &str) -> LockError {
        let lifetime = i64::try_from(LIFETIME.as_secs()).unwrap_or(i64::MAX);
        LockError::Held {
            holder: self.holder.name(),
            since: self.holder.since(),
            expires: format_time(self.renewed, lifetime),
            parameter: parameter.to_owned(),
        }
    }

    /// Returns whether its process has ended, or has not renewed it for its lifetime.
    async fn is_stale(&self, aws: &Session, parameter: &str) -> Result<bool> {
        if self.holder.has_ended() {
            return Ok(true);
        }
        let now = ssm::current_time(aws, &format!("{parameter}-time")).await?;
        Ok(now - self.renewed > LIFETIME.as_secs_f64())
    }
}

async fn take_over(
    aws: &Session,
    parameter: &str,
    own: &Holder,
    found: Option<Found>,
    report: &LockReport,
) -> Result<()> {
    if let Some(other) = found {
        if !other.is_stale(aws, parameter).await? {
            return Err(other.held(parameter));
        }
        report(LockEvent::TakenOver {
            holder: other.holder.name(),
        });
        // Another process may have taken it over in the meantime: only the stale lock is deleted.
        if let Some(now) = read(aws, parameter).await?
            && now.holder.id == other.holder.id
        {
            if now.renewed > other.renewed {
                return Err(now.held(parameter));
            }
            ssm::delete(aws, parameter).await?;
        }
    }
    let written = put(aws, parameter, own, false).await?;
    aws.clock().sleep(SETTLE).await;
    match read(aws, parameter).await? {
        Some(now) if written && now.holder.id == own.id => Ok(()),
        Some(now) => Err(now.held(parameter)),
        None => Err(LockError::Lost),
    }
}

async fn heartbeat(lease: Lease, report: LockReport, own: Holder) {
    let Lease {
        aws, parameter, lost, ..
    } = lease;
    loop {
        aws.clock().sleep(HEARTBEAT).await;
        match read(&aws, &parameter).await {
            Ok(Some(now)) if now.holder.id == own.id => {
                if let Err(error) = put(&aws, &parameter, &own, true).await {
                    report(LockEvent::NotRenewed(error));
                }
            }
            Ok(_) => {
                lost.store(true, Ordering::Relaxed);
                report(LockEvent::Lost);
                return;
            }
            Err(error) => report(LockEvent::NotReadable(error)),
        }
    }
}

/// Writes the parameter; returns false if it exists and must not be overwritten.
async fn put(aws: &Session, parameter: &str, holder: &Holder, overwrite: bool) -> Result<bool, crate::Error> {
    ssm::put(aws, parameter, &serde_json::json!(holder).to_string(), overwrite).await
}

async fn read(aws: &Session, parameter: &str) -> Result<Option<Found>> {
    let Some(found) = ssm::find(aws, parameter).await? else {
        return Ok(None);
    };
    let holder = serde_json::from_str(&found.value).map_err(|_| LockError::NotALock {
        parameter: parameter.to_owned(),
    })?;
    Ok(Some(Found {
        holder,
        renewed: found.modified,
    }))
}
