//! Who a server runs as: PostgreSQL refuses to be root.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use anyhow::Context;
use rustix::process::geteuid;
use tokio::process::Command;

/// Where a root endpoint shows the server its folder, in a mount namespace of the server's own: the folders above the
/// state directory may be closed to the unprivileged user.
const SEEN_AT: &str = "/mnt";

/// The user of the servers.
#[derive(Debug, Clone, Copy)]
pub enum Owner {
    /// The endpoint's own user.
    Ourselves,
    /// The endpoint is root: this user and group instead.
    Other { uid: u32, gid: u32 },
}

impl Owner {
    /// `postgres` where that user exists, else `nobody`.
    pub fn choose() -> anyhow::Result<Self> {
        if !geteuid().is_root() {
            return Ok(Self::Ourselves);
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
            .context("PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it as")?;
        Ok(Self::Other { uid, gid })
    }

    /// A command that sees `folder` at the path that is given back, and becomes the program (`exec`).
    pub fn command(self, folder: &Path, program: &Path) -> (Command, String) {
        match self {
            Self::Ourselves => (Command::new(program), folder.to_string_lossy().into_owned()),
            Self::Other { uid, gid } => {
                let mut command = Command::new("unshare");
                command.args(["--mount", "--propagation", "private", "--", "sh", "-c"]);
                command.arg(format!(
                    "mount --bind \"$1\" {SEEN_AT} && shift && cd / && \
                     exec setpriv --reuid={uid} --regid={gid} --clear-groups -- \"$@\""
                ));
                command.arg("sh").arg(folder).arg(program);
                (command, SEEN_AT.to_owned())
            }
        }
    }

    /// Makes a folder and all in it the owner's.
    pub fn give(self, path: &Path) -> anyhow::Result<()> {
        let Self::Other { uid, gid } = self else { return Ok(()) };
        chown(path, Some(uid), Some(gid)).with_context(|| format!("cannot chown {}", path.display()))?;
        if path.is_dir() {
            for entry in fs::read_dir(path)? {
                self.give(&entry?.path())?;
            }
        }
        Ok(())
    }
}
