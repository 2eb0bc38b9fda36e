//! The operating-system user that runs a server: PostgreSQL does not run as root.

use std::fs;
use std::path::Path;

use anyhow::Context;
use rustix::process::geteuid;
use tokio::process::Command;

/// The path at which a server of a root endpoint finds its folder, in the server's own mount namespace: the unprivileged user
/// may have no access to the folders above the state directory.
const MOUNT_POINT: &str = "/mnt";

/// The user that runs the servers.
#[derive(Debug, Clone, Copy)]
pub enum OsUser {
    /// The endpoint's own user.
    Current,
    /// Another user and group, because the endpoint runs as root.
    Other { uid: u32, gid: u32 },
}

impl OsUser {
    /// Returns the current user, or for a root endpoint `postgres` if that user exists, otherwise `nobody`.
    ///
    /// # Errors
    /// When neither user exists.
    pub fn choose() -> anyhow::Result<Self> {
        if !geteuid().is_root() {
            return Ok(Self::Current);
        }
        let users = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        let find = |name: &str| {
            users.lines().find_map(|line| {
                let fields: Vec<&str> = line.split(':').collect();
                let matches = fields.first() == Some(&name);
                matches
                    .then(|| Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?)))
                    .flatten()
            })
        };
        let (uid, gid) = find("postgres")
            .or_else(|| find("nobody"))
            .context("PostgreSQL does not run as root, and neither the user `postgres` nor `nobody` exists")?;
        Ok(Self::Other { uid, gid })
    }

    /// Returns a command that becomes the program (`exec`), and the path at which it finds `folder`.
    pub fn command(self, folder: &Path, program: &Path) -> (Command, String) {
        match self {
            Self::Current => (Command::new(program), folder.to_string_lossy().into_owned()),
            Self::Other { uid, gid } => {
                let mut command = Command::new("unshare");
                command.args(["--mount", "--propagation", "private", "--", "sh", "-c"]);
                command.arg(format!(
                    "mount --bind \"$1\" {MOUNT_POINT} && shift && cd / && \
                     exec setpriv --reuid={uid} --regid={gid} --clear-groups -- \"$@\""
                ));
                command.arg("sh").arg(folder).arg(program);
                (command, MOUNT_POINT.to_owned())
            }
        }
    }

    /// Makes this user the owner of a file, or of a folder with everything in it.
    ///
    /// # Errors
    /// When the owner cannot be changed.
    pub fn chown(self, path: &Path) -> anyhow::Result<()> {
        let Self::Other { uid, gid } = self else { return Ok(()) };
        std::os::unix::fs::chown(path, Some(uid), Some(gid))
            .with_context(|| format!("cannot chown {}", path.display()))?;
        if path.is_dir() {
            for entry in fs::read_dir(path)? {
                self.chown(&entry?.path())?;
            }
        }
        Ok(())
    }
}
