//! Problems of the cargo workspace from which the images are built.

use std::path::PathBuf;

use platform::suggest::closest_or_all;

/// A workspace that cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CrateProblem {
    #[error("there is no Cargo.toml in {}", .folder.display())]
    NoWorkspace { folder: PathBuf },
    #[error("cannot run cargo: {reason}")]
    NoCargo { reason: String },
    #[error("cargo cannot read {}: {message}", .folder.display())]
    CargoMetadata { folder: PathBuf, message: String },
    #[error("{service} is built from the binary '{package}', and no package in {} has it", .folder.display())]
    NoBinary {
        service: String,
        package: String,
        folder: PathBuf,
        known: Vec<String>,
    },
    #[error("there is no Cargo.lock in {}", .folder.display())]
    NoLockFile { folder: PathBuf },
}

impl CrateProblem {
    /// Returns how to solve it.
    pub fn hint(&self) -> String {
        match self {
            Self::NoWorkspace { .. } => {
                "set project.workspace to the folder of the cargo workspace, or `image` for services that are not built here"
                    .into()
            }
            Self::NoCargo { .. } => {
                "install Rust from https://rustup.rs, or set the variable CARGO to cargo's path".into()
            }
            Self::CargoMetadata { .. } => "run `cargo metadata --no-deps` there for the complete error".into(),
            Self::NoBinary { package, known, .. } => {
                closest_or_all("binaries", package, known.iter().map(String::as_str))
            }
            Self::NoLockFile { .. } => {
                "create it with `cargo generate-lockfile`, and commit it: the same sources then give the same image".into()
            }
        }
    }
}
