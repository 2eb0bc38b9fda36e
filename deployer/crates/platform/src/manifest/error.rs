//! Errors of reading a manifest, with file, line and key.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use super::problem::Problem;
use super::toml_error::TomlProblem;
use crate::suggest::closest_match;

/// A manifest that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The manifest's path.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The file is not TOML, or has a key or value that a manifest does not have.
    #[error("{path}:{line}: {problem}{}", text.as_ref().map(|text| format!(" (in `{text}`)")).unwrap_or_default(), path = path.display())]
    Toml {
        /// The manifest's path.
        path: PathBuf,
        /// The line of the problem, from 1.
        line: usize,
        /// The line's text; `None` if it is empty.
        text: Option<String>,
        /// The reason.
        problem: TomlProblem,
    },
    /// A value is not valid.
    #[error("{path}:{line}: {key}: {problem}", path = path.display())]
    Invalid {
        /// The manifest's path.
        path: PathBuf,
        /// The line of the key, from 1.
        line: usize,
        /// The key, such as `services.web.cpu`.
        key: String,
        /// The reason.
        problem: Box<Problem>,
    },
    /// The manifest does not declare the environment.
    #[error("{path} declares no environment '{name}'", path = path.display())]
    NoEnvironment {
        /// The manifest's path.
        path: PathBuf,
        /// The environment that was asked for.
        name: String,
        /// The environments that the manifest declares.
        known: Vec<String>,
    },
}

impl ManifestError {
    /// Returns what to do next, if the message does not say it already.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreadable { source, .. } => Some(
                match source.kind() {
                    ErrorKind::InvalidData => "save the manifest as UTF-8, without a byte-order mark",
                    ErrorKind::IsADirectory => "pass the file itself, such as --manifest DIR/deployer.toml",
                    ErrorKind::PermissionDenied => "make the file readable for the user that runs deployer",
                    _ => "run deployer in the directory of deployer.toml, or pass its path with --manifest",
                }
                .into(),
            ),
            Self::Toml { problem, .. } => problem.hint(),
            Self::Invalid { .. } => None,
            Self::NoEnvironment { known, name, .. } if known.is_empty() => {
                let name = if name.is_empty() { "dev" } else { name };
                Some(format!(
                    "declare it with a line [environments.{name}], which may be empty"
                ))
            }
            Self::NoEnvironment { known, name, .. } => {
                Some(match closest_match(name, known.iter().map(String::as_str)) {
                    Some(meant) => format!("did you mean --env {meant}?"),
                    None => format!("it declares {}", known.join(", ")),
                })
            }
        }
    }
}
