//! What is wrong with a manifest, and where.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("cannot read {path}: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    /// `FILE:LINE: key: what is wrong`.
    #[error("{path}:{line}: {message}", path = path.display())]
    Invalid {
        path: PathBuf,
        line: usize,
        message: String,
        hint: Option<String>,
    },
    #[error("{path} declares no environment '{name}'", path = path.display())]
    NoEnvironment {
        path: PathBuf,
        name: String,
        known: Vec<String>,
    },
}

impl ManifestError {
    /// What to do next, where something better than the message can be said.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreadable { .. } => Some("run deployer where deployer.toml is, or name it with --manifest".into()),
            Self::Invalid { hint, .. } => hint.clone(),
            Self::NoEnvironment { known, .. } => Some(format!("it declares {}", known.join(", "))),
        }
    }
}
