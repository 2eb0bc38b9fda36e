//! Ctrl-C during a deployment: first what CloudFormation can undo, then out.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Deployment;
use crate::error::{Error, Result};

/// SIGINT and SIGTERM, as they come.
pub struct Interrupts {
    int: Signal,
    term: Signal,
}

impl Interrupts {
    pub fn new() -> Result<Self> {
        let listen = |kind| signal(kind).map_err(Error::io("cannot listen for signals"));
        Ok(Self {
            int: listen(SignalKind::interrupt())?,
            term: listen(SignalKind::terminate())?,
        })
    }

    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.int.recv() => {}
            _ = self.term.recv() => {}
        }
    }
}

/// What a person reads who has left a deployment running.
pub fn left_running() -> Error {
    let hint =
        "what CloudFormation has begun goes on; `deployer status` shows it, `deployer up` takes it up again".to_owned();
    Error::Interrupted { hint }
}

/// Begins nothing further, and offers to undo what is under way.
pub async fn first(deployment: Arc<Deployment>) {
    deployment.stop.cancel();
    let running = deployment.running().clone();
    if running.is_empty() {
        deployment.ui.info("interrupted: nothing further is begun");
        return;
    }
    let list: Vec<String> = running
        .iter()
        .map(|(name, operation)| {
            format!(
                "{name} ({})",
                if operation.creates {
                    "delete what is being created"
                } else {
                    "cancel its update"
                }
            )
        })
        .collect();
    deployment.ui.info(format!(
        "interrupted; what can be undone: {}. Ctrl-C again leaves it running.",
        list.join(", ")
    ));
    if deployment.ui.ask("Undo it?").await != Some(true) {
        deployment
            .ui
            .info("waiting for what is under way; Ctrl-C again leaves it running");
        return;
    }
    for (name, operation) in running {
        let cloudformation = &deployment.aws.cloudformation;
        let undone = if operation.creates {
            cloudformation
                .delete_stack()
                .stack_name(&operation.id)
                .send()
                .await
                .map(|_| ())
                .map_err(Error::from)
        } else {
            cloudformation
                .cancel_update_stack()
                .stack_name(&operation.id)
                .send()
                .await
                .map(|_| ())
                .map_err(Error::from)
        };
        if let Err(error) = undone {
            deployment.ui.warn(format!("{name} cannot be undone now: {error}"));
        }
    }
}
