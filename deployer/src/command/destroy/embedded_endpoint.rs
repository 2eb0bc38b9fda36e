//! The end of the embedded endpoint, with the last stack in it.

use std::path::Path;

use aws::cloudformation;
use serde_json::Value;

use crate::command::confirm::Confirmation;
use crate::context::Session;
use crate::embedded::{self, retained_snapshots};
use crate::error::Result;

/// Stops the endpoint if it is the embedded one of this state directory and has no stack, and removes its state unless it
/// contains snapshots. Returns whether it was stopped. `retained` says that the state contains retained resources.
///
/// # Errors
/// The endpoint does not answer, or its state cannot be removed.
pub async fn stop_if_unused(session: &Session, aws: &aws::Session, retained: bool) -> Result<bool> {
    if !session.is_local() || session.common.endpoint_url.is_some() {
        return Ok(false);
    }
    let Some(health) = session.probe().await?.embedded() else {
        return Ok(false);
    };
    let state_dir = session.state_dir();
    if embedded::pid(&state_dir).is_none() {
        return Ok(false);
    }
    let others = cloudformation::list_stacks(aws, "").await?;
    let mut names: Vec<String> = others.into_keys().collect();
    let regions = health["stacks"].as_object().into_iter().flatten();
    for (region, stacks) in regions.filter(|(region, _)| *region != aws.region()) {
        let stacks = stacks.as_array().into_iter().flatten().filter_map(Value::as_str);
        names.extend(stacks.map(|stack| format!("{stack} in {region}")));
    }
    if !names.is_empty() {
        session.ui.info(format!(
            "the embedded endpoint keeps running: it has other stacks ({})",
            names.join(", ")
        ));
        return Ok(false);
    }
    embedded::stop(&session.embedded_options()).await?;
    let snapshots = retained_snapshots(&state_dir);
    if !snapshots.is_empty() {
        session.ui.info(format!(
            "the embedded endpoint is stopped; {}",
            state_with_snapshots(&state_dir, &snapshots)
        ));
        return Ok(true);
    }
    embedded::remove_state(&state_dir)?;
    let also = if retained {
        ", with the resources retained in it"
    } else {
        ""
    };
    session
        .ui
        .info(format!("the embedded endpoint is stopped and its state removed{also}"));
    Ok(true)
}

/// Returns why a state directory is not removed, and how to remove it.
fn state_with_snapshots(state_dir: &Path, snapshots: &[String]) -> String {
    format!(
        "its state in {} is kept because it contains snapshots of databases: {}; to remove it, run `deployer endpoint start`, delete \
         them with `aws rds delete-db-snapshot`, then run `deployer destroy`",
        state_dir.display(),
        snapshots.join(", ")
    )
}

/// Removes the state of a stopped endpoint, after asking. Without a running endpoint there are no stacks to delete.
///
/// # Errors
/// The removal is not confirmed, or the state cannot be removed.
pub async fn remove_stopped(session: &Session, dry_run: bool) -> Result<()> {
    let state_dir = session.state_dir();
    if !state_dir.join("state.redb").exists() {
        session
            .ui
            .info("nothing to do: no endpoint is running, and there is no state of one");
        return Ok(());
    }
    let snapshots = retained_snapshots(&state_dir);
    if !snapshots.is_empty() {
        session.ui.info(format!(
            "nothing was deleted: the embedded endpoint is stopped, and {}",
            state_with_snapshots(&state_dir, &snapshots)
        ));
        return Ok(());
    }
    session.ui.info(format!(
        "the embedded endpoint is stopped; its state, with all databases, is in {}",
        state_dir.display()
    ));
    if dry_run {
        return Ok(());
    }
    let confirmation = Confirmation::Yes { question: "Delete it?" };
    confirmation.ask(&session.ui, super::UNCHANGED).await?;
    embedded::remove_state(&state_dir)?;
    session.ui.info("deleted");
    Ok(())
}
