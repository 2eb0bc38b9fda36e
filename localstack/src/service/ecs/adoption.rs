//! The tasks of an earlier endpoint process: those that the state has are adopted, what else runs is ended.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::model::{self, Task};
use super::task_lifecycle::spawn;
use crate::Context;
use crate::runtime::task::process::Container;

/// Adopts the tasks that an earlier endpoint process started, and ends what runs in folders that belong to no task. The scheduler
/// replaces the tasks that have ended since.
pub async fn adopt(cx: &Context) -> anyhow::Result<()> {
    let live: Vec<Task> = model::tasks(cx)?.into_iter().filter(Task::is_live).collect();
    for folder in folders(&cx.state_dir().join("tasks")) {
        if live.iter().any(|task| folder.ends_with(&task.id)) {
            continue;
        }
        for folder in folders(&folder) {
            if let Some(supervisor) = Container::supervisor_in(&folder) {
                tracing::warn!(folder = %folder.display(), "ending a container that belongs to no task");
                Container { folder, supervisor }.stop(Duration::ZERO).await;
            }
        }
        std::fs::remove_dir_all(&folder)?;
    }
    for task in live {
        spawn(cx, &task.id);
    }
    Ok(())
}

/// Returns the folders in a folder, which may not exist.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}
