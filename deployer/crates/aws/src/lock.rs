//! One deployment at a time: an SSM parameter that is written without overwrite, with an expiry and a heartbeat.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::session::Session;
use crate::ssm;

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

/// The holder of a lock; the parameter's value in JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Holder {
    id: String,
    user: String,
    host: String,
    pid: u32,
    /// Start of the process in clock ticks since the machine booted: a PID may be reused, but not with the same start.
    #[serde(default, rename = "born")]
    process_start: Option<u64>,
    /// Seconds since 1970.
    started: i64,
    expires: i64,
}

/// A held lock: renewed until it is released.
pub struct Lock {
    aws: Session,
    report: LockReport,
    parameter: String,
    id: String,
    heartbeat: tokio::task::JoinHandle<()>,
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
                Some(holder) if holder.id == own.id => {}
                holder => take_over(aws, &parameter, &own, holder, &report).await?,
            }
        }
        let heartbeat = tokio::spawn(heartbeat(aws.clone(), report.clone(), parameter.clone(), own.clone()));
        Ok(Self {
            aws: aws.clone(),
            report,
            parameter,
            id: own.id,
            heartbeat,
        })
    }

    /// Releases the lock, unless another deployment has taken it over.
    pub async fn release(self) {
        self.heartbeat.abort();
        let released = async {
            match read(&self.aws, &self.parameter).await? {
                Some(holder) if holder.id == self.id => Ok(ssm::delete(&self.aws, &self.parameter).await?),
                _ => Ok(()),
            }
        };
        if let Err(error) = released.await {
            (self.report)(LockEvent::NotReleased {
                parameter: self.parameter,
                error,
            });
        }
    }
}

async fn take_over(
    aws: &Session,
    parameter: &str,
    own: &Holder,
    holder: Option<Holder>,
    report: &LockReport,
) -> Result<()> {
    if let Some(other) = holder {
        if other.is_alive() {
            return Err(other.held(parameter));
        }
        report(LockEvent::TakenOver { holder: other.name() });
        // Another process may have taken it over in the meantime: only the stale lock is deleted.
        if read(aws, parameter).await?.is_some_and(|now| now.id == other.id) {
            ssm::delete(aws, parameter).await?;
        }
    }
    let written = put(aws, parameter, own, false).await?;
    aws.clock().sleep(SETTLE).await;
    match read(aws, parameter).await? {
        Some(now) if written && now.id == own.id => Ok(()),
        Some(now) => Err(now.held(parameter)),
        None => Err(own.held(parameter)),
    }
}

impl Holder {
    fn new() -> Self {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        Self {
            id: Uuid::new_v4().to_string(),
            user: std::env::var("USER")
                .or_else(|_| std::env::var("LOGNAME"))
                .unwrap_or_else(|_| "unknown".into()),
            host: host_name(),
            pid: std::process::id(),
            process_start: process_start(std::process::id()),
            started: now,
            expires: now + LIFETIME.as_secs().cast_signed(),
        }
    }

    fn name(&self) -> String {
        format!("{}@{} (pid {})", self.user, self.host, self.pid)
    }

    fn is_alive(&self) -> bool {
        let ended = || {
            i32::try_from(self.pid)
                .ok()
                .and_then(rustix::process::Pid::from_raw)
                .is_none_or(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
        };
        // Without /proc the PID alone decides.
        let reused = || {
            let start = self.process_start;
            start.is_some_and(|start| process_start(self.pid).is_some_and(|now| now != start))
        };
        !(self.host == host_name() && (ended() || reused()))
            && self.expires > OffsetDateTime::now_utc().unix_timestamp()
    }

    fn held(&self, parameter: &str) -> LockError {
        LockError::Held {
            holder: self.name(),
            since: format_time(self.started),
            expires: format_time(self.expires),
            parameter: parameter.to_owned(),
        }
    }
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Returns the field `starttime` of /proc/PID/stat (`proc_pid_stat(5)`); `None` if there is no such file. A zombie counts as ended.
fn process_start(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may contain blanks and parentheses; the state and the numbers follow it.
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    if matches!(fields.first(), Some(&"Z" | &"X")) {
        return Some(0);
    }
    fields.get(19)?.parse().ok()
}

async fn heartbeat(aws: Session, report: LockReport, parameter: String, mut own: Holder) {
    loop {
        aws.clock().sleep(HEARTBEAT).await;
        match read(&aws, &parameter).await {
            Ok(Some(now)) if now.id == own.id => {
                own.expires = OffsetDateTime::now_utc().unix_timestamp() + LIFETIME.as_secs().cast_signed();
                if let Err(error) = put(&aws, &parameter, &own, true).await {
                    report(LockEvent::NotRenewed(error));
                }
            }
            Ok(_) => {
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

async fn read(aws: &Session, parameter: &str) -> Result<Option<Holder>> {
    let Some(value) = ssm::get(aws, parameter).await? else {
        return Ok(None);
    };
    let holder = serde_json::from_str(&value).map_err(|_| LockError::NotALock {
        parameter: parameter.to_owned(),
    })?;
    Ok(Some(holder))
}

fn format_time(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_stale_when_it_has_expired_or_its_process_on_this_machine_has_ended() {
        let mut holder = Holder::new();
        assert!(holder.is_alive());
        holder.expires = 0;
        assert!(!holder.is_alive());
        let mut ended = Holder::new();
        ended.pid = u32::MAX;
        assert!(!ended.is_alive());
        let mut reused = Holder::new();
        reused.process_start = reused.process_start.map(|start| start - 1);
        assert!(!reused.is_alive(), "another process has the same PID");
        ended.host = "elsewhere".into();
        assert!(ended.is_alive(), "processes on other machines cannot be checked");
    }
}
