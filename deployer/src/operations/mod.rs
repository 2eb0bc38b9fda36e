//! Operations on stacks and services, from their start to their end: merges the events of CloudFormation and ECS, shows them, and
//! decides what to do.

mod apply;
mod delete;
mod protection;
mod readiness;
mod recover;
mod report;
mod rollout;
mod secrets;
#[cfg(test)]
mod tests;
mod wait;

use std::sync::Arc;
use std::time::Duration;

use aws::cloudformation::{self, StackFailure};
use aws::ecs::{self, StoppedTask, Unplaced};
use aws::lock::LockReport;
use aws::retry::OutageEvent;
use ui::Ui;

pub use apply::apply;
pub use delete::delete;
pub use protection::{disable_protections, resource_protections};
pub use readiness::wait_until_ready;
pub use recover::ensure_updatable;
pub use report::traffic;
pub use rollout::wait_for_rollouts;
pub use secrets::{outdated_secrets, restart_outdated};
pub use wait::wait_for_operation;

/// Longest outage of the endpoint that an operation tolerates.
const MAX_OUTAGE: Duration = Duration::from_mins(3);

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    CloudFormation(#[from] cloudformation::Error),
    #[error(transparent)]
    Ecs(#[from] ecs::Error),
    #[error("{failure}{}", task.as_ref().map(|task| format!("\n{task}")).unwrap_or_default())]
    Failed {
        failure: Box<StackFailure>,
        /// The last stopped task of the stack's service.
        task: Option<Box<StoppedTask>>,
    },
    /// The creation of a stack whose service cannot start, and has no circuit breaker that would end it.
    #[error("{evidence}; stack {stack} is still being created, but deployer stopped waiting\n{task}")]
    CrashLoop {
        stack: String,
        evidence: String,
        task: Box<StoppedTask>,
    },
    /// The creation of a stack whose service waits for a quota of the account.
    #[error("ECS cannot place tasks of {}: {}; stack {stack} is still being created, but deployer stopped waiting", .unplaced.service, .unplaced.reason)]
    Unplaced { stack: String, unplaced: Unplaced },
}

impl From<aws::Error> for Error {
    fn from(error: aws::Error) -> Self {
        Self::CloudFormation(cloudformation::Error::Request(error))
    }
}

impl From<aws::TimedOut> for Error {
    fn from(error: aws::TimedOut) -> Self {
        Self::CloudFormation(cloudformation::Error::TimedOut(error))
    }
}

/// Returns a session that tolerates short outages, which are reported: an operation continues while its endpoint is unreachable.
pub fn tolerating_outages(aws: &aws::Session, ui: &Ui) -> aws::Session {
    let ui = ui.clone();
    let report = move |event: OutageEvent| match event {
        OutageEvent::Started { .. } => ui.warn(event.to_string()),
        OutageEvent::Ended { .. } => ui.info(event.to_string()),
    };
    aws.tolerating_outages(MAX_OUTAGE, Arc::new(report))
}

/// Returns a report of a lock's events.
pub fn lock_report(ui: &Ui) -> LockReport {
    let ui = ui.clone();
    Arc::new(move |event| {
        if event.is_warning() {
            ui.warn(event.to_string());
        } else {
            ui.info(event.to_string());
        }
    })
}
