//! The machine's own PostgreSQL.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::daemon::find_on_path;

/// The paths of `initdb`, `postgres` and `psql`.
#[derive(Debug, Clone)]
pub struct Installation {
    bin: PathBuf,
    /// Such as `15.14`.
    pub version: String,
}

impl Installation {
    /// Returns the newest version under `/usr/lib/postgresql`, otherwise the one on PATH.
    ///
    /// # Errors
    /// When PostgreSQL or psql is not installed.
    pub fn find() -> anyhow::Result<Self> {
        let Some(bin) = newest(Path::new("/usr/lib/postgresql")).or_else(from_path) else {
            bail!(
                "PostgreSQL is not installed, and RDS instances need it. Install it with `apt-get install postgresql` (or run \
                 scripts/up) and try again"
            );
        };
        let output = std::process::Command::new(bin.join("postgres"))
            .arg("--version")
            .output();
        let output = output.with_context(|| format!("cannot run {}", bin.join("postgres").display()))?;
        let output = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = output
            .split_whitespace()
            .nth(2)
            .context("`postgres --version` printed no version")?
            .to_owned();
        if bin.join("psql").is_file() || find_on_path("psql").is_some() {
            Ok(Self { bin, version })
        } else {
            bail!("psql is not installed; install it with `apt-get install postgresql-client`")
        }
    }

    /// Returns the path of a program of PostgreSQL.
    pub fn tool(&self, name: &str) -> PathBuf {
        let own = self.bin.join(name);
        if own.is_file() {
            own
        } else {
            find_on_path(name).unwrap_or(own)
        }
    }

    /// Returns the major version, such as `15`.
    pub fn major(&self) -> &str {
        self.version.split('.').next().unwrap_or(&self.version)
    }
}

fn newest(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let versions = entries.filter_map(|e| Some((e.file_name().to_str()?.parse::<u32>().ok()?, e.path().join("bin"))));
    versions.filter(|(_, bin)| is_server(bin)).max().map(|(_, bin)| bin)
}

fn from_path() -> Option<PathBuf> {
    let bin = find_on_path("initdb")?.canonicalize().ok()?.parent()?.to_owned();
    is_server(&bin).then_some(bin)
}

fn is_server(bin: &Path) -> bool {
    bin.join("initdb").is_file() && bin.join("postgres").is_file()
}
