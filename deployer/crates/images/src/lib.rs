#![doc = include_str!("../README.md")]

mod compile;
mod provenance;

mod build;
mod ca_bundle;
mod layer;
mod layout;
mod shared_libraries;

mod archive;
mod engine;
mod push;
mod registry_credentials;
mod registry_error;

use std::path::PathBuf;

pub use archive::archive;
pub use build::{Built, build};
pub use ca_bundle::DATABASE_AUTHORITIES;
pub use compile::{CompileError, cargo, compile};
pub use engine::{EngineError, load};
pub use provenance::{Provenance, provenance};
pub use push::{Progress, is_loopback, push};
pub use registry_credentials::{Credentials, credentials};
pub use registry_error::PushError;

/// An image to build from a package of a cargo workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSpec {
    pub service: String,
    /// The cargo package; its binary has the same name.
    pub package: String,
    /// The directory of the cargo workspace.
    pub workspace: PathBuf,
    pub ports: Vec<u16>,
}

/// The words for a failed write, which say it when the disk is full.
fn unwritten(error: std::io::Error, path: &std::path::Path) -> anyhow::Error {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => anyhow::anyhow!(
            "no space left on the disk for {}; free some and run the command again (nothing half-made was kept)",
            path.display()
        ),
        _ => anyhow::Error::new(error).context(format!("cannot write {}", path.display())),
    }
}
