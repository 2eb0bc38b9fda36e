//! A container's init process (`initProcessEnabled`): forwards signals to the command and reaps orphaned processes.
//!
//! Without it the command itself is process 1, to which the kernel delivers only signals that it has a handler for.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, WaitOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// The signals that are forwarded.
const FORWARDED: [(SignalKind, Signal); 6] = [
    (SignalKind::terminate(), Signal::TERM),
    (SignalKind::interrupt(), Signal::INT),
    (SignalKind::hangup(), Signal::HUP),
    (SignalKind::quit(), Signal::QUIT),
    (SignalKind::user_defined1(), Signal::USR1),
    (SignalKind::user_defined2(), Signal::USR2),
];

/// Runs the command until it ends, and returns its exit code: 128 and the signal's number if a signal ended it.
///
/// # Errors
/// When the command cannot be started.
pub fn run(command: Command) -> anyhow::Result<i32> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .context("cannot start the container's init process")?;
    runtime.block_on(run_and_reap(command))
}

async fn run_and_reap(mut command: Command) -> anyhow::Result<i32> {
    // Registered before the child is started, so that no signal is missed.
    let mut child_ended = signal(SignalKind::child())?;
    let (sender, mut receiver) = mpsc::unbounded_channel();
    for (kind, name) in FORWARDED {
        let (mut received, sender) = (signal(kind)?, sender.clone());
        tokio::spawn(async move { while received.recv().await.is_some() && sender.send(name).is_ok() {} });
    }
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command.spawn().with_context(|| format!("exec {program}"))?;
    let child = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let child = child.context("the command has no pid")?;
    loop {
        // Every process of this namespace that loses its parent becomes a child of this one.
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if pid == child {
                let status = ExitStatus::from_raw(status.as_raw());
                return Ok(status.code().or_else(|| status.signal().map(|s| 128 + s)).unwrap_or(1));
            }
        }
        tokio::select! {
            _ = child_ended.recv() => {}
            Some(name) = receiver.recv() => {
                // Fails if the command has just ended.
                let _ = rustix::process::kill_process(child, name);
            }
        }
    }
}
