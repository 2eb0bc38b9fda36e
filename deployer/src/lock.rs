//! One deployment at a time: an SSM parameter written without overwrite, with expiry and heartbeat.

use std::time::Duration;

use aws_sdk_ssm::types::ParameterType;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::target::Aws;
use ui::Ui;

/// How long a lock lives without a heartbeat.
const LIFETIME: Duration = Duration::from_secs(90);
const HEARTBEAT: Duration = Duration::from_secs(20);

/// Who holds the lock; the parameter's value as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Holder {
    id: String,
    user: String,
    host: String,
    pid: u32,
    /// When the process was started, in clock ticks since this machine booted: a pid is used again, both are not.
    #[serde(default)]
    born: Option<u64>,
    /// Seconds since 1970.
    started: i64,
    expires: i64,
}

/// A held lock: kept alive until it is released.
pub struct Lock {
    aws: Aws,
    parameter: String,
    id: String,
    heart: tokio::task::JoinHandle<()>,
}

impl Lock {
    /// Takes the lock of a project's environment, or says who holds it. An expired one, or one whose process on this
    /// machine is gone, is taken over.
    pub async fn take(aws: &Aws, ui: &Ui, project: &str, environment: &str) -> Result<Self> {
        let parameter = format!("/deployer/{project}-{environment}/lock");
        let own = Holder::new();
        if !put(aws, &parameter, &own, false).await? {
            if let Some(other) = read(aws, &parameter).await? {
                if other.lives() {
                    return Err(other.refusal(parameter));
                }
                ui.info(format!("taking over the lock that {} left behind", other.name()));
                // Somebody else may have taken it over meanwhile: only the dead holder's own lock is removed.
                if read(aws, &parameter).await?.is_some_and(|now| now.id == other.id) {
                    remove(aws, &parameter).await?;
                }
            }
            // Two may take over at once: only what is still there after a moment counts.
            let won = put(aws, &parameter, &own, false).await?;
            aws.clock.sleep(Duration::from_millis(300)).await;
            match read(aws, &parameter).await? {
                Some(now) if won && now.id == own.id => {}
                Some(now) => return Err(now.refusal(parameter)),
                None => return Err(own.refusal(parameter)),
            }
        }
        let heart = tokio::spawn(beat(aws.clone(), ui.clone(), parameter.clone(), own.clone()));
        Ok(Self {
            aws: aws.clone(),
            parameter,
            id: own.id,
            heart,
        })
    }

    /// Gives the lock back, if it is still ours.
    pub async fn release(self, ui: &Ui) {
        self.heart.abort();
        let given_back = async {
            match read(&self.aws, &self.parameter).await? {
                Some(holder) if holder.id == self.id => remove(&self.aws, &self.parameter).await,
                _ => Ok(()),
            }
        };
        if let Err(error) = given_back.await {
            ui.warn(format!(
                "the lock {} could not be given back ({error}); it expires by itself",
                self.parameter
            ));
        }
    }
}

impl Holder {
    fn new() -> Self {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self {
            id: Uuid::new_v4().to_string(),
            user: std::env::var("USER")
                .or_else(|_| std::env::var("LOGNAME"))
                .unwrap_or_else(|_| "somebody".into()),
            host,
            pid: std::process::id(),
            born: born(std::process::id()),
            started: now,
            expires: now + LIFETIME.as_secs() as i64,
        }
    }

    fn name(&self) -> String {
        format!("{}@{} (pid {})", self.user, self.host, self.pid)
    }

    fn lives(&self) -> bool {
        let here = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let gone = || {
            i32::try_from(self.pid)
                .ok()
                .and_then(rustix::process::Pid::from_raw)
                .is_none_or(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
        };
        // Where the system does not tell when a process was started, the pid alone has to do.
        let another = || {
            self.born
                .is_some_and(|then| born(self.pid).is_some_and(|now| now != then))
        };
        !(self.host == here && (gone() || another())) && self.expires > OffsetDateTime::now_utc().unix_timestamp()
    }

    fn refusal(&self, parameter: String) -> Error {
        Error::Locked {
            holder: self.name(),
            since: clock(self.started),
            expires: clock(self.expires),
            parameter,
        }
    }
}

/// The field `starttime` of /proc/PID/stat (proc_pid_stat(5)); none where there is no such file. A process that has ended
/// and that nobody has waited for yet counts as gone.
fn born(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold blanks and parentheses; after it come the state and the numbers.
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    if matches!(fields.first(), Some(&"Z" | &"X")) {
        return Some(0);
    }
    fields.get(19)?.parse().ok()
}

async fn beat(aws: Aws, ui: Ui, parameter: String, mut own: Holder) {
    loop {
        aws.clock.sleep(HEARTBEAT).await;
        match read(&aws, &parameter).await {
            Ok(Some(now)) if now.id == own.id => {
                own.expires = OffsetDateTime::now_utc().unix_timestamp() + LIFETIME.as_secs() as i64;
                if let Err(error) = put(&aws, &parameter, &own, true).await {
                    ui.warn(format!("the lock could not be renewed: {error}"));
                }
            }
            Ok(_) => {
                ui.warn("the deployment's lock was taken by another one");
                return;
            }
            Err(error) => ui.warn(format!("the lock could not be read: {error}")),
        }
    }
}

/// Writes the parameter; false when it is there and may not be overwritten.
async fn put(aws: &Aws, parameter: &str, holder: &Holder, overwrite: bool) -> Result<bool> {
    let value = serde_json::to_string(holder).map_err(anyhow::Error::from)?;
    let request = aws
        .ssm
        .put_parameter()
        .name(parameter)
        .value(value)
        .r#type(ParameterType::String)
        .overwrite(overwrite);
    match request.send().await.map_err(Error::from) {
        Ok(_) => Ok(true),
        Err(error) if error.code() == "ParameterAlreadyExists" => Ok(false),
        Err(error) => Err(error),
    }
}

async fn read(aws: &Aws, parameter: &str) -> Result<Option<Holder>> {
    match aws
        .ssm
        .get_parameter()
        .name(parameter)
        .send()
        .await
        .map_err(Error::from)
    {
        Ok(answer) => {
            let value = answer.parameter().and_then(|p| p.value()).unwrap_or_default();
            serde_json::from_str(value)
                .map(Some)
                .map_err(|_| Error::Other(anyhow::anyhow!("the SSM parameter {parameter} holds no lock")))
        }
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

async fn remove(aws: &Aws, parameter: &str) -> Result<()> {
    match aws
        .ssm
        .delete_parameter()
        .name(parameter)
        .send()
        .await
        .map_err(Error::from)
    {
        Err(error) if !error.is_missing() => Err(error),
        _ => Ok(()),
    }
}

fn clock(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_dead_when_it_expired_or_its_process_here_is_gone() {
        let mut holder = Holder::new();
        assert!(holder.lives());
        holder.expires = 0;
        assert!(!holder.lives());
        let mut gone = Holder::new();
        gone.pid = u32::MAX;
        assert!(!gone.lives());
        let mut reused = Holder::new();
        reused.born = reused.born.map(|then| then - 1);
        assert!(!reused.lives(), "another process has got the pid since");
        gone.host = "elsewhere".into();
        assert!(gone.lives(), "another machine's processes cannot be seen from here");
    }
}
