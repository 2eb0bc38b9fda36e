//! A container's root: the image's layers, read-only, with a few places of its own.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use anyhow::Context as _;
use rustix::fs::StatVfsMountFlags;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// A file of authorities in an image, and the file in a container's folder that takes its place.
pub struct Bundle {
    pub path: &'static str,
    pub shown: &'static str,
}

/// Where images have the authorities of RDS (what deployer packs does); here it is the endpoint that vouches.
pub const OF_DATABASES: Bundle = Bundle {
    path: "etc/ssl/certs/rds-global-bundle.pem",
    shown: "authorities.pem",
};
/// Where images have those that everybody trusts, in the ways of Debian, Fedora and Alpine.
pub const OF_THE_SYSTEM: [Bundle; 3] = [
    Bundle {
        path: "etc/ssl/certs/ca-certificates.crt",
        shown: "system-authorities.debian.pem",
    },
    Bundle {
        path: "etc/pki/tls/certs/ca-bundle.crt",
        shown: "system-authorities.fedora.pem",
    },
    Bundle {
        path: "etc/ssl/cert.pem",
        shown: "system-authorities.alpine.pem",
    },
];
const OWN_FILES: [&str; 3] = ["hosts", "resolv.conf", "hostname"];

/// Builds the root on `folder/root` and moves into it. The caller is alone in a fresh mount namespace, and the first
/// process of its process namespace.
pub fn enter(rootfs: &Path, folder: &Path) -> anyhow::Result<()> {
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .context("cannot make the mounts private")?;
    let root = folder.join("root");
    rustix::mount::mount(
        "tmpfs",
        &root,
        "tmpfs",
        MountFlags::NOSUID | MountFlags::NODEV,
        Some(c"mode=755,size=256m"),
    )
    .context("cannot mount the container's root")?;
    bring_in(rootfs, &root, &["proc", "dev", "tmp", "etc", "sys"])?;
    fs::create_dir(root.join("etc"))?;
    bring_in(&rootfs.join("etc"), &root.join("etc"), &OWN_FILES)?;
    for name in OWN_FILES {
        bind_file(&folder.join(name), &root.join("etc").join(name))?;
    }
    for bundle in OF_THE_SYSTEM.iter().chain([&OF_DATABASES]) {
        let (ours, theirs) = (folder.join(bundle.shown), root.join(bundle.path));
        if ours.is_file() && is_file_itself(&theirs) {
            rustix::mount::mount_bind(&ours, &theirs)
                .with_context(|| format!("cannot show the authorities in /{}", bundle.path))?;
            seal(&theirs)?;
        }
    }
    for name in ["tmp", "dev", "dev/shm", "proc", "sys"] {
        fs::create_dir(root.join(name))?;
    }
    for name in ["tmp", "dev/shm"] {
        fs::set_permissions(root.join(name), Permissions::from_mode(0o1777))?;
    }
    for name in DEVICES {
        let device = Path::new("/dev").join(name);
        if device.exists() {
            bind_file(&device, &root.join("dev").join(name))?;
        }
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlink(target, root.join("dev").join(name))?;
    }
    processes(&root.join("proc"))?;
    // The old root is stacked under the new one, then let go: no folder of the image is needed for it.
    rustix::process::chdir(&root)?;
    rustix::process::pivot_root(".", ".").context("cannot change the root")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).context("cannot let the old root go")?;
    rustix::process::chdir("/")?;
    Ok(())
}

/// Whether a file is there, and no link to one.
pub fn is_file_itself(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

/// A view of the container's own processes only; where a sandbox forbids a fresh one, the machine's.
fn processes(at: &Path) -> anyhow::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("proc", at, "proc", flags, None)
        .or_else(|_| rustix::mount::mount_bind_recursive("/proc", at))
        .context("cannot mount /proc")
}

fn bring_in(from: &Path, to: &Path, except: &[&str]) -> anyhow::Result<()> {
    let entries = match fs::read_dir(from) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", from.display())),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if except.iter().any(|e| name == *e) {
            continue;
        }
        let (source, target) = (entry.path(), to.join(&name));
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            symlink(fs::read_link(&source)?, &target)?;
            continue;
        }
        if kind.is_dir() {
            fs::create_dir(&target)?;
            rustix::mount::mount_bind(&source, &target)
                .with_context(|| format!("cannot mount {}", source.display()))?;
        } else {
            bind_file(&source, &target)?;
        }
        seal(&target)?;
    }
    Ok(())
}

fn bind_file(source: &Path, target: &Path) -> anyhow::Result<()> {
    fs::File::create(target)?;
    rustix::mount::mount_bind(source, target).with_context(|| format!("cannot mount {}", source.display()))
}

/// Makes one mount read-only. A user namespace may not take away flags that the mount has already, so they are kept.
fn seal(target: &Path) -> anyhow::Result<()> {
    let has = rustix::fs::statvfs(target)?.f_flag;
    let mut flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID;
    for (seen, kept) in [
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ] {
        if has.contains(seen) {
            flags |= kept;
        }
    }
    rustix::mount::mount_remount(target, flags, c"")
        .with_context(|| format!("cannot make {} read-only", target.display()))
}
