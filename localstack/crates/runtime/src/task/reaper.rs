//! A container's first process where the task definition asks for one (`initProcessEnabled`): it passes signals on to the
//! command and waits for what nobody else waits for.
//!
//! Without it the command itself is process 1, which the kernel spares every signal that it has no handler for.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, WaitOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// What is passed on.
const PASSED: [(SignalKind, Signal); 6] = [
    (SignalKind::terminate(), Signal::TERM),
    (SignalKind::interrupt(), Signal::INT),
    (SignalKind::hangup(), Signal::HUP),
    (SignalKind::quit(), Signal::QUIT),
    (SignalKind::user_defined1(), Signal::USR1),
    (SignalKind::user_defined2(), Signal::USR2),
];

/// Runs the command to its end, and gives its exit code: 128 and the signal's number when a signal ended it.
pub fn run(command: Command) -> anyhow::Result<i32> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .context("cannot start the container's init process")?;
    runtime.block_on(watch(command))
}

async fn watch(mut command: Command) -> anyhow::Result<i32> {
    // Listened for before there is a child: neither a signal nor its end can be missed.
    let mut ended = signal(SignalKind::child())?;
    let (passes, mut passed) = mpsc::unbounded_channel();
    for (kind, name) in PASSED {
        let (mut heard, passes) = (signal(kind)?, passes.clone());
        tokio::spawn(async move { while heard.recv().await.is_some() && passes.send(name).is_ok() {} });
    }
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command.spawn().with_context(|| format!("exec {program}"))?;
    let child = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let child = child.context("the command has no pid")?;
    loop {
        // Everything in this namespace that loses its parent becomes a child of this process.
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if pid == child {
                let status = ExitStatus::from_raw(status.as_raw());
                return Ok(status.code().or_else(|| status.signal().map(|s| 128 + s)).unwrap_or(1));
            }
        }
        tokio::select! {
            _ = ended.recv() => {}
            Some(name) = passed.recv() => {
                // It may have ended just now.
                let _ = rustix::process::kill_process(child, name);
            }
        }
    }
}
