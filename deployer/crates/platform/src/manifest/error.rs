//! What is wrong with a manifest, and where.

use std::io::ErrorKind;
use std::path::PathBuf;

use crate::suggest::nearest;

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
            Self::Unreadable { source, .. } => Some(
                match source.kind() {
                    ErrorKind::InvalidData => "a manifest is text in UTF-8; save it so, without a byte-order mark",
                    ErrorKind::IsADirectory => "name the file itself, such as --manifest DIR/deployer.toml",
                    ErrorKind::PermissionDenied => "make it readable for the user that runs deployer",
                    _ => "run deployer where deployer.toml is, or name it with --manifest",
                }
                .into(),
            ),
            Self::Invalid { hint, .. } => hint.clone(),
            Self::NoEnvironment { known, name, .. } if known.is_empty() => {
                let name = if name.is_empty() { "dev" } else { name };
                Some(format!(
                    "a line [environments.{name}] declares it, even with nothing below"
                ))
            }
            Self::NoEnvironment { known, name, .. } => Some(match nearest(name, known.iter().map(String::as_str)) {
                Some(meant) => format!("did you mean --env {meant}?"),
                None => format!("it declares {}", known.join(", ")),
            }),
        }
    }
}
