//! The process that starts a container: the endpoint's binary with the first argument `__task`.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio, exit};

use anyhow::{Context as _, bail};
use rustix::thread::{CapabilitySet, LinkNameSpaceType, UnshareFlags};

use super::{Exec, ExitStatus, Identity, LaunchRequest, Run, Settings, launch_request, reaper, root, user};

/// The first argument that makes a program call [`init_main`].
pub const ARGUMENT: &str = "__task";
const INNER: &str = "inner";

/// Executes the [`LaunchRequest`] on standard input, and never returns. Must be called before any thread is started.
pub fn init_main() -> ! {
    let inner = std::env::args().nth(2).as_deref() == Some(INNER);
    let result = read_request().and_then(|request| match request {
        LaunchRequest::Run(run) if inner => exec_container(&run),
        LaunchRequest::Run(run) => supervise(run),
        LaunchRequest::Exec(exec) => run_in_container(&exec),
    });
    match result {
        Ok(code) => exit(code),
        Err(error) => {
            eprintln!("{error:#}");
            exit(125)
        }
    }
}

fn read_request() -> anyhow::Result<LaunchRequest> {
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text)?;
    serde_json::from_slice(&text).context("`__task` is internal to the endpoint and cannot be run by hand")
}

/// Runs the supervisor: creates the namespaces, starts the inner process in them, and writes its exit status.
fn supervise(mut run: Run) -> anyhow::Result<i32> {
    // Fails if this process already leads its group, as under some shells.
    let _ = rustix::process::setsid();
    // An endpoint that is killed before it has recorded this process finds it here.
    let identity = Identity::of(std::process::id()).context("this process is not in /proc")?;
    std::fs::write(run.folder.join("supervisor"), serde_json::to_vec(&identity)?)?;
    let status = match start_inner(&mut run) {
        Ok(mut child) => {
            let ended = child.wait()?;
            let reason = std::fs::read_to_string(run.folder.join("failure"))
                .ok()
                .filter(|r| !r.is_empty());
            let code = ended.code().or_else(|| ended.signal().map(|s| 128 + s));
            ExitStatus {
                code: if reason.is_some() { None } else { code },
                reason,
            }
        }
        Err(error) => ExitStatus {
            code: None,
            reason: Some(format!("{error:#}")),
        },
    };
    let path = run.folder.join("exit_status");
    let draft = run.folder.join("exit_status.new");
    std::fs::write(&draft, serde_json::to_vec(&status)?)?;
    std::fs::rename(draft, path)?;
    Ok(0)
}

fn start_inner(run: &mut Run) -> anyhow::Result<std::process::Child> {
    let mut flags = UnshareFlags::NEWPID | UnshareFlags::NEWIPC;
    run.has_user_namespace = !rustix::process::geteuid().is_root();
    if run.has_user_namespace {
        flags |= UnshareFlags::NEWUSER;
    }
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    unshare(flags)?;
    if run.has_user_namespace {
        map_ids((0, uid), (0, gid))?;
    }
    let mut child = Command::new("/proc/self/exe")
        .arg0("endpoint-task")
        .args([ARGUMENT, INNER])
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot start the container's first process")?;
    let identity = Identity::of(child.id()).context("the container's first process ended at once")?;
    std::fs::write(run.folder.join("pid"), serde_json::to_vec(&identity)?)?;
    let text = serde_json::to_vec(&LaunchRequest::Run(run.clone()))?;
    child
        .stdin
        .take()
        .context("no pipe to the container's first process")?
        .write_all(&text)?;
    Ok(child)
}

/// Runs the inner process: builds the root, drops privileges, and executes the image's command, or runs an init that does and
/// returns its exit code.
fn exec_container(run: &Run) -> anyhow::Result<i32> {
    let mut failure = File::create(run.folder.join("failure")).context("cannot write to the task's folder")?;
    let result = (|| {
        let (uid, gid) = user::resolve(&run.rootfs, &run.command.user)?;
        unshare(UnshareFlags::NEWNS)?;
        root::enter(&run.rootfs, &run.folder, &run.settings.mounts)?;
        run.settings.apply_limits()?;
        exec_command(run, uid, gid)
    })();
    result.inspect_err(|error| {
        let _ = write!(failure, "{error:#}");
    })
}

/// Joins a running container's namespaces and runs one command there.
fn run_in_container(exec: &Exec) -> anyhow::Result<i32> {
    let (uid, gid) = user::resolve(&exec.rootfs, &exec.command.user)?;
    let open = |pid: u32, name: &str| File::open(Path::new("/proc").join(pid.to_string()).join("ns").join(name));
    let as_root = rustix::process::geteuid().is_root();
    let mut namespaces = Vec::new();
    if !as_root {
        namespaces.push((open(exec.supervisor, "user")?, LinkNameSpaceType::User));
    }
    namespaces.push((open(exec.pid, "mnt")?, LinkNameSpaceType::Mount));
    for (namespace, kind) in &namespaces {
        rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(*kind))
            .context("cannot join the container")?;
    }
    rustix::process::chdir("/")?;
    rustix::thread::set_no_new_privs(true)?;
    let mut command = to_command(&exec.command);
    if as_root {
        limit_capabilities(Settings::default().capabilities());
        command.uid(uid).gid(gid);
    }
    let status = command
        .stdout(Stdio::null())
        .status()
        .with_context(|| format!("cannot run {}", exec.command.argv.first().map_or("", String::as_str)))?;
    Ok(status.code().or_else(|| status.signal().map(|s| 128 + s)).unwrap_or(1))
}

fn exec_command(run: &Run, uid: u32, gid: u32) -> anyhow::Result<i32> {
    let Some(program) = run.command.argv.first() else {
        bail!("neither the image nor the task definition has a command to run");
    };
    rustix::thread::set_no_new_privs(true)?;
    let mut command = to_command(&run.command);
    if run.has_user_namespace {
        if uid != 0 || gid != 0 {
            unshare(UnshareFlags::NEWUSER)?;
            map_ids((uid, 0), (gid, 0))?;
        }
    } else {
        limit_capabilities(run.settings.capabilities());
        command.uid(uid).gid(gid);
    }
    if run.command.init {
        return reaper::run(command);
    }
    let error = command.exec();
    Err(error).with_context(|| format!("exec {program}"))
}

fn to_command(request: &launch_request::Command) -> Command {
    let mut command = Command::new(request.argv.first().map_or("", String::as_str));
    command
        .args(request.argv.get(1..).unwrap_or_default())
        .env_clear()
        .envs(request.env.iter().cloned());
    command.stdin(Stdio::null());
    command.current_dir(if request.working_dir.is_empty() {
        "/"
    } else {
        &request.working_dir
    });
    command
}

/// Limits the capabilities of a container's root; takes effect at the next exec.
fn limit_capabilities(allowed: CapabilitySet) {
    for capability in (CapabilitySet::all() - allowed).iter() {
        // A capability that this kernel does not have cannot be dropped.
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
    #[expect(
        deprecated,
        reason = "the only way without `unsafe`; deprecated for UnshareFlags::FILES, which is never used here"
    )]
    rustix::thread::unshare(flags).context(
        "Linux namespaces are not permitted here; allow them with `sysctl -w kernel.unprivileged_userns_clone=1` \
         (Debian) or `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0` (Ubuntu), or run the endpoint as root",
    )
}
