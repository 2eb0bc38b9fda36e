//! The embedded endpoint goes with the last stack in it.

use embedded_endpoint::service::rds::retained_snapshots;

use crate::cloudformation::stack;
use crate::command::consent;
use crate::error::Result;
use crate::target::{Aws, Session, embedded};

/// Ends the endpoint when it is the embedded one of this state directory and holds no stack; removes its state unless there
/// are snapshots in it. `stays` says that something was left on purpose, which goes with the state.
pub async fn end(session: &Session, aws: &Aws, stays: bool) -> Result<bool> {
    if !session.is_local() || session.common.endpoint_url.is_some() || !embedded::probe(session).await?.is_embedded() {
        return Ok(false);
    }
    let state_dir = session.state_dir();
    if embedded::pid(&state_dir).is_none() {
        return Ok(false);
    }
    let others = stack::all(aws, "").await?;
    if !others.is_empty() {
        let names: Vec<&str> = others.keys().map(String::as_str).collect();
        session.ui.info(format!(
            "the embedded endpoint goes on: it also holds {}",
            names.join(", ")
        ));
        return Ok(false);
    }
    embedded::stop(session).await?;
    let snapshots = retained_snapshots(&state_dir);
    if !snapshots.is_empty() {
        session.ui.info(format!(
            "the embedded endpoint is stopped; its state stays in {}, {}",
            state_dir.display(),
            because(&snapshots)
        ));
        return Ok(true);
    }
    embedded::remove_state(&state_dir)?;
    let also = if stays {
        ", and with it what was left on purpose"
    } else {
        ""
    };
    session
        .ui
        .info(format!("the embedded endpoint is stopped and its state removed{also}"));
    Ok(true)
}

/// Why a state is not removed, and what it takes.
fn because(snapshots: &[String]) -> String {
    format!(
        "since these snapshots of databases are in it: {}; `deployer endpoint start` makes it answer again, and when they are \
         deleted (`aws rds delete-db-snapshot`), `deployer destroy` removes it",
        snapshots.join(", ")
    )
}

/// With no endpoint there is nothing to delete; the state of one that was stopped is, when the person agrees.
pub async fn nothing_listens(session: &Session, dry_run: bool) -> Result<()> {
    let state_dir = session.state_dir();
    if !state_dir.join("state.redb").exists() {
        session
            .ui
            .info("nothing to do: no endpoint is running, and it left no state");
        return Ok(());
    }
    let snapshots = retained_snapshots(&state_dir);
    if !snapshots.is_empty() {
        session.ui.info(format!(
            "nothing was deleted: the embedded endpoint is stopped, and its state stays in {}, {}",
            state_dir.display(),
            because(&snapshots)
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
    consent::asked(&session.ui, "Delete it?", "nothing was deleted").await?;
    embedded::remove_state(&state_dir)?;
    session.ui.info("deleted");
    Ok(())
}
