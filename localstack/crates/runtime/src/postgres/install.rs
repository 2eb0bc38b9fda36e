//! The machine's own PostgreSQL.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::daemon::on_path;

/// Where `initdb`, `postgres` and `psql` are.
#[derive(Debug, Clone)]
pub struct Install {
    bin: PathBuf,
    /// Such as `15.14`.
    pub version: String,
}

impl Install {
    /// The newest under `/usr/lib/postgresql`, else the one on PATH.
    pub fn find() -> anyhow::Result<Self> {
        let Some(bin) = newest(Path::new("/usr/lib/postgresql")).or_else(from_path) else {
            bail!(
                "PostgreSQL is not installed on this machine, and RDS instances run on it here. \
                 Install it with `apt-get install postgresql` (or run scripts/up) and try again"
            );
        };
        let said = std::process::Command::new(bin.join("postgres"))
            .arg("--version")
            .output();
        let said = said.with_context(|| format!("cannot run {}", bin.join("postgres").display()))?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let version = said
            .split_whitespace()
            .nth(2)
            .context("postgres --version says nothing")?
            .to_owned();
        if bin.join("psql").is_file() || on_path("psql").is_some() {
            Ok(Self { bin, version })
        } else {
            bail!("psql is not installed; install it with `apt-get install postgresql-client`")
        }
    }

    pub fn tool(&self, name: &str) -> PathBuf {
        let beside = self.bin.join(name);
        if beside.is_file() {
            beside
        } else {
            on_path(name).unwrap_or(beside)
        }
    }

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
    let bin = on_path("initdb")?.canonicalize().ok()?.parent()?.to_owned();
    is_server(&bin).then_some(bin)
}

fn is_server(bin: &Path) -> bool {
    bin.join("initdb").is_file() && bin.join("postgres").is_file()
}
