//! Images without a Docker daemon: compile the crates, pack what they need, push it.
//!
//! [`compile`] runs one `cargo build` for all packages, [`build`] makes an OCI image of one binary (the same inputs give
//! the same bytes) with what [`provenance`] knows of it, [`push`] uploads what a registry does not have, [`archive`] and
//! [`load`] are for Docker.

mod archive;
mod authorities;
mod build;
mod closure;
mod compile;
mod engine;
mod fault;
mod layer;
mod layout;
mod login;
mod provenance;
mod push;

pub use archive::archive;
pub use build::{Built, build};
pub use compile::{CompileError, cargo, compile};
pub use engine::{EngineError, load};
pub use fault::PushError;
pub use login::{Credentials, credentials};
pub use provenance::{Provenance, provenance};
pub use push::{Progress, is_loopback, push};

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
