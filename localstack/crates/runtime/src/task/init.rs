//! The process that starts a container: what this binary is when its first argument is `__task`.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio, exit};

use anyhow::{Context as _, bail};
use rustix::thread::{CapabilitySet, LinkNameSpaceType, UnshareFlags};

use super::{Exec, Identity, Order, Outcome, Run, order, reaper, root, user};

/// The first argument that makes a program call [`init_main`].
pub const ARGUMENT: &str = "__task";
const INNER: &str = "inner";

/// Does what an [`Order`] on standard input says, and never returns. To be called before any thread is started.
pub fn init_main() -> ! {
    let inner = std::env::args().nth(2).as_deref() == Some(INNER);
    let done = read_order().and_then(|order| match order {
        Order::Run(run) if inner => become_container(&run),
        Order::Run(run) => supervise(run),
        Order::Exec(exec) => run_beside(&exec),
    });
    match done {
        Ok(code) => exit(code),
        Err(error) => {
            eprintln!("{error:#}");
            exit(125)
        }
    }
}

fn read_order() -> anyhow::Result<Order> {
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text)?;
    serde_json::from_slice(&text).context("this is a part of the endpoint, not a command to type")
}

/// The outer process: makes the namespaces, starts the inner one in them, and writes down how it ended.
fn supervise(mut run: Run) -> anyhow::Result<i32> {
    // Fails when this process leads its group already, as it does under some shells.
    let _ = rustix::process::setsid();
    let outcome = match start_inner(&mut run) {
        Ok(mut child) => {
            let status = child.wait()?;
            let reason = std::fs::read_to_string(run.folder.join("failure"))
                .ok()
                .filter(|r| !r.is_empty());
            let code = status.code().or_else(|| status.signal().map(|s| 128 + s));
            Outcome {
                code: if reason.is_some() { None } else { code },
                reason,
            }
        }
        Err(error) => Outcome {
            code: None,
            reason: Some(format!("{error:#}")),
        },
    };
    let path = run.folder.join("outcome");
    let draft = run.folder.join("outcome.new");
    std::fs::write(&draft, serde_json::to_vec(&outcome)?)?;
    std::fs::rename(draft, path)?;
    Ok(0)
}

fn start_inner(run: &mut Run) -> anyhow::Result<std::process::Child> {
    let mut flags = UnshareFlags::NEWPID | UnshareFlags::NEWIPC;
    run.own_users = !rustix::process::geteuid().is_root();
    if run.own_users {
        flags |= UnshareFlags::NEWUSER;
    }
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    unshare(flags)?;
    if run.own_users {
        map_ids((0, uid), (0, gid))?;
    }
    let mut child = Command::new("/proc/self/exe")
        .arg0("localstack-task")
        .args([ARGUMENT, INNER])
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot start the container's first process")?;
    let identity = Identity::of(child.id()).context("the container's first process is gone")?;
    std::fs::write(run.folder.join("pid"), serde_json::to_vec(&identity)?)?;
    let text = serde_json::to_vec(&Order::Run(run.clone()))?;
    child
        .stdin
        .take()
        .context("no pipe to the container's first process")?
        .write_all(&text)?;
    Ok(child)
}

/// The inner process: builds the root, drops what it may, and becomes the image's command, or the init above it, whose exit
/// code it gives then.
fn become_container(run: &Run) -> anyhow::Result<i32> {
    let mut failure = File::create(run.folder.join("failure")).context("cannot write to the task's folder")?;
    let done = (|| {
        let (uid, gid) = user::resolve(&run.rootfs, &run.command.user)?;
        unshare(UnshareFlags::NEWNS)?;
        root::enter(&run.rootfs, &run.folder)?;
        hand_over(run, uid, gid)
    })();
    done.inspect_err(|error| {
        let _ = write!(failure, "{error:#}");
    })
}

/// Joins a running container's namespaces and runs one command there.
fn run_beside(exec: &Exec) -> anyhow::Result<i32> {
    let (uid, gid) = user::resolve(&exec.rootfs, &exec.command.user)?;
    let open = |pid: u32, name: &str| File::open(Path::new("/proc").join(pid.to_string()).join("ns").join(name));
    let as_root = rustix::process::geteuid().is_root();
    let mut spaces = Vec::new();
    if !as_root {
        spaces.push((open(exec.supervisor, "user")?, LinkNameSpaceType::User));
    }
    spaces.push((open(exec.pid, "mnt")?, LinkNameSpaceType::Mount));
    for (space, kind) in &spaces {
        rustix::thread::move_into_link_name_space(space.as_fd(), Some(*kind)).context("cannot join the container")?;
    }
    rustix::process::chdir("/")?;
    rustix::thread::set_no_new_privs(true)?;
    let mut command = prepared(&exec.command);
    if as_root {
        limit_capabilities();
        command.uid(uid).gid(gid);
    }
    let status = command
        .stdout(Stdio::null())
        .status()
        .with_context(|| format!("cannot run {}", exec.command.argv.first().map_or("", String::as_str)))?;
    Ok(status.code().or_else(|| status.signal().map(|s| 128 + s)).unwrap_or(1))
}

fn hand_over(run: &Run, uid: u32, gid: u32) -> anyhow::Result<i32> {
    let Some(program) = run.command.argv.first() else {
        bail!("the image and the task definition name no command to run");
    };
    rustix::thread::set_no_new_privs(true)?;
    let mut command = prepared(&run.command);
    if run.own_users {
        if uid != 0 || gid != 0 {
            unshare(UnshareFlags::NEWUSER)?;
            map_ids((uid, 0), (gid, 0))?;
        }
    } else {
        limit_capabilities();
        command.uid(uid).gid(gid);
    }
    if run.command.init {
        return reaper::run(command);
    }
    let error = command.exec();
    Err(error).with_context(|| format!("exec {program}"))
}

fn prepared(order: &order::Command) -> Command {
    let mut command = Command::new(order.argv.first().map_or("", String::as_str));
    command
        .args(order.argv.get(1..).unwrap_or_default())
        .env_clear()
        .envs(order.env.iter().cloned());
    command.stdin(Stdio::null());
    command.current_dir(if order.working_dir.is_empty() {
        "/"
    } else {
        &order.working_dir
    });
    command
}

/// What a container's root may still do, as container engines have it; applies at the next exec.
fn limit_capabilities() {
    let kept = CapabilitySet::CHOWN
        | CapabilitySet::DAC_OVERRIDE
        | CapabilitySet::FOWNER
        | CapabilitySet::FSETID
        | CapabilitySet::KILL
        | CapabilitySet::SETGID
        | CapabilitySet::SETUID
        | CapabilitySet::NET_BIND_SERVICE
        | CapabilitySet::SYS_CHROOT;
    for capability in (CapabilitySet::all() - kept).iter() {
        // A capability that this kernel does not know cannot be dropped and need not be.
        let _ = rustix::thread::remove_capability_from_bounding_set(capability);
    }
}

fn map_ids((inside_uid, outside_uid): (u32, u32), (inside_gid, outside_gid): (u32, u32)) -> anyhow::Result<()> {
    let write = |name: &str, text: String| {
        std::fs::write(format!("/proc/self/{name}"), text).with_context(|| format!("cannot write /proc/self/{name}"))
    };
    write("setgroups", "deny".into())?;
    write("uid_map", format!("{inside_uid} {outside_uid} 1"))?;
    write("gid_map", format!("{inside_gid} {outside_gid} 1"))
}

fn unshare(flags: UnshareFlags) -> anyhow::Result<()> {
    // The one way without `unsafe`; it is marked so because of UnshareFlags::FILES, which is never given here.
    #[expect(deprecated)]
    rustix::thread::unshare(flags).context(
        "Linux namespaces are not permitted here; allow them with `sysctl -w kernel.unprivileged_userns_clone=1` \
         (Debian) or `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0` (Ubuntu), or run the endpoint as root",
    )
}
