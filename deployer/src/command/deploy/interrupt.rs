//! Ctrl-C during a deployment: the first one offers a rollback, the second one ends the command.

use std::sync::Arc;

use aws::cloudformation;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Deployment, StackOperation};
use crate::error::{Error, Result};

/// A stream of SIGINT and SIGTERM.
pub struct Interrupts {
    int: Signal,
    term: Signal,
}

impl Interrupts {
    /// Starts to listen for the signals.
    ///
    /// # Errors
    /// The operating system cannot register them.
    pub fn new() -> Result<Self> {
        let listen = |kind| signal(kind).map_err(Error::io("cannot listen for signals"));
        Ok(Self {
            int: listen(SignalKind::interrupt())?,
            term: listen(SignalKind::terminate())?,
        })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.int.recv() => {}
            _ = self.term.recv() => {}
        }
    }
}

/// Returns the error of a command that ends while CloudFormation continues the deployment.
pub fn detached() -> Error {
    let hint = "CloudFormation continues the operations that it has started; `deployer status` shows them, `deployer up` continues from there";
    Error::Interrupted { hint: hint.to_owned() }
}

/// Starts no further operation, and offers to roll back the running ones.
pub async fn on_first_interrupt(deployment: Arc<Deployment>) {
    let ui = &deployment.ui;
    deployment.stop.cancel();
    let running = deployment.running().clone();
    if running.is_empty() {
        ui.info("interrupted: no further stacks will be started");
        return;
    }
    let list: Vec<String> = running
        .iter()
        .map(|(name, operation)| {
            if operation.creates {
                format!("{name} (delete the new stack)")
            } else {
                format!("{name} (cancel the update)")
            }
        })
        .collect();
    ui.info(format!(
        "interrupted. Can be rolled back: {}. Press Ctrl-C again to detach.",
        list.join(", ")
    ));
    if ui.ask("Roll back?").await != Some(true) {
        ui.info("waiting for the running operations (Ctrl-C again to detach)");
        return;
    }
    for (name, operation) in running {
        if let Err(error) = roll_back(&deployment, &operation).await {
            ui.warn(format!("cannot roll back {name}: {error}"));
        }
    }
}

async fn roll_back(deployment: &Deployment, operation: &StackOperation) -> Result<()> {
    let aws = &deployment.aws;
    if operation.creates {
        cloudformation::delete_stack(aws, &operation.id).await?;
    } else {
        cloudformation::cancel_update(aws, &operation.id).await?;
    }
    Ok(())
}
