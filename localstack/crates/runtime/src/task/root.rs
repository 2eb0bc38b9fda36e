//! A container's root: the image's layers, read-only, with a few files and file systems of the container.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use anyhow::Context as _;
use rustix::fs::StatVfsMountFlags;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

use super::settings::VolumeMount;

const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// A CA bundle in an image, and the file in a container's folder that replaces it.
pub struct CaBundle {
    pub image_path: &'static str,
    pub file: &'static str,
}

/// The CA bundle of RDS in the images that deployer builds; the endpoint replaces it by the CA of its databases.
pub const RDS_CA_BUNDLE: CaBundle = CaBundle {
    image_path: "etc/ssl/certs/rds-global-bundle.pem",
    file: "authorities.pem",
};
/// The CA bundles of the system in images based on Debian, Fedora and Alpine.
pub const SYSTEM_CA_BUNDLES: [CaBundle; 3] = [
    CaBundle {
        image_path: "etc/ssl/certs/ca-certificates.crt",
        file: "system-authorities.debian.pem",
    },
    CaBundle {
        image_path: "etc/pki/tls/certs/ca-bundle.crt",
        file: "system-authorities.fedora.pem",
    },
    CaBundle {
        image_path: "etc/ssl/cert.pem",
        file: "system-authorities.alpine.pem",
    },
];
const OWN_FILES: [&str; 3] = ["hosts", "resolv.conf", "hostname"];

/// The folder in the new root in which volumes are mounted until the root is complete: a link in the image, on the way to the place of
/// a volume, leads into the new root only then.
const STAGING: &str = ".volumes";

/// Builds the root on `folder/root` and changes to it. The caller must be alone in a new mount namespace, and the first process
/// of its process namespace.
///
/// # Errors
/// When a mount is not permitted, or a file cannot be created.
pub fn enter(rootfs: &Path, folder: &Path, mounts: &[VolumeMount]) -> anyhow::Result<()> {
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
    let places: Vec<&Path> = mounts
        .iter()
        .map(|mount| mount.target.strip_prefix("/").unwrap_or(&mount.target))
        .collect();
    bind_mount(rootfs, &root, &["proc", "dev", "tmp", "etc", "sys"], &places)?;
    fs::create_dir(root.join("etc"))?;
    let below_etc: Vec<&Path> = places
        .iter()
        .filter_map(|place| place.strip_prefix("etc").ok())
        .collect();
    bind_mount(&rootfs.join("etc"), &root.join("etc"), &OWN_FILES, &below_etc)?;
    for name in OWN_FILES {
        bind_file(&folder.join(name), &root.join("etc").join(name))?;
    }
    for bundle in SYSTEM_CA_BUNDLES.iter().chain([&RDS_CA_BUNDLE]) {
        let (own, replaced) = (folder.join(bundle.file), root.join(bundle.image_path));
        if own.is_file() && is_regular_file(&replaced) {
            rustix::mount::mount_bind(&own, &replaced)
                .with_context(|| format!("cannot mount the CA bundle /{}", bundle.image_path))?;
            make_read_only(&replaced)?;
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
    mount_proc(&root.join("proc"))?;
    for (n, mount) in mounts.iter().enumerate() {
        let staged = root.join(STAGING).join(n.to_string());
        fs::create_dir_all(&staged)?;
        rustix::mount::mount_bind(&mount.source, &staged)
            .with_context(|| format!("cannot mount the volume at {}", mount.target.display()))?;
    }
    // The old root is stacked under the new one, then unmounted: it needs no folder in the image.
    rustix::process::chdir(&root)?;
    rustix::process::pivot_root(".", ".").context("cannot change the root")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).context("cannot unmount the old root")?;
    rustix::process::chdir("/")?;
    move_volumes(mounts)
}

/// Moves the volumes to their places in the new root.
fn move_volumes(mounts: &[VolumeMount]) -> anyhow::Result<()> {
    let staging = Path::new("/").join(STAGING);
    for (n, mount) in mounts.iter().enumerate() {
        let staged = staging.join(n.to_string());
        fs::create_dir_all(&mount.target)
            .map_err(anyhow::Error::from)
            .and_then(|()| Ok(rustix::mount::mount_move(&staged, &mount.target)?))
            .with_context(|| format!("cannot mount the volume at {}", mount.target.display()))?;
        if mount.read_only {
            make_read_only(&mount.target)?;
        }
        fs::remove_dir(&staged)?;
    }
    if !mounts.is_empty() {
        fs::remove_dir(&staging)?;
    }
    Ok(())
}

/// Returns true if the path is a regular file, and not a link to one.
pub fn is_regular_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

/// Mounts a view of the container's own processes, or the machine's /proc if a sandbox forbids a new mount.
fn mount_proc(at: &Path) -> anyhow::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("proc", at, "proc", flags, None)
        .or_else(|_| rustix::mount::mount_bind_recursive("/proc", at))
        .context("cannot mount /proc")
}

/// Mounts the entries of a folder of the image. A folder in which a volume is mounted becomes one of the container itself, with its
/// entries mounted, because a place for the volume may have to be created in it.
fn bind_mount(from: &Path, to: &Path, except: &[&str], places: &[&Path]) -> anyhow::Result<()> {
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
        let below: Vec<&Path> = places
            .iter()
            .filter_map(|place| place.strip_prefix(&name).ok())
            .collect();
        if kind.is_dir() && !below.is_empty() {
            fs::create_dir(&target)?;
            fs::set_permissions(&target, entry.metadata()?.permissions())?;
            // The volume hides what is at its place.
            if !below.contains(&Path::new("")) {
                bind_mount(&source, &target, &[], &below)?;
            }
            continue;
        }
        if kind.is_dir() {
            fs::create_dir(&target)?;
            rustix::mount::mount_bind(&source, &target)
                .with_context(|| format!("cannot mount {}", source.display()))?;
        } else {
            bind_file(&source, &target)?;
        }
        make_read_only(&target)?;
    }
    Ok(())
}

fn bind_file(source: &Path, target: &Path) -> anyhow::Result<()> {
    fs::File::create(target)?;
    rustix::mount::mount_bind(source, target).with_context(|| format!("cannot mount {}", source.display()))
}

/// Makes one mount read-only. A user namespace may not remove the mount's existing flags, so they are kept.
fn make_read_only(target: &Path) -> anyhow::Result<()> {
    let has = rustix::fs::statvfs(target)?.f_flag;
    let mut flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID;
    for (existing, flag) in [
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ] {
        if has.contains(existing) {
            flags |= flag;
        }
    }
    rustix::mount::mount_remount(target, flags, c"")
        .with_context(|| format!("cannot make {} read-only", target.display()))
}
