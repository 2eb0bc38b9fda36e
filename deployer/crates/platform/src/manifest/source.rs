//! The manifest's text, and the lines of its keys.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::error::ManifestError;
use super::problem::Problem;
use super::toml_error::TomlProblem;

/// The text of a manifest with the positions of its keys.
pub struct SourceText {
    pub path: PathBuf,
    pub text: String,
}

impl SourceText {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let text = std::fs::read_to_string(path).map_err(|source| ManifestError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            text,
        })
    }

    /// Returns the error at a key. `keys` is the path from the top; the position is that of the deepest key which is
    /// written, in the environment's override before the common tables.
    pub fn invalid(&self, environment: &str, keys: &[&str], problem: Problem) -> ManifestError {
        let overridden: Vec<&str> = ["environments", environment].iter().chain(keys).copied().collect();
        let (depth, override_at) = self.locate(&overridden);
        let (base_depth, base_at) = self.locate(keys);
        // An override that holds only a part of the path is no better a position than the common table.
        let deepest = if depth.saturating_sub(2) > base_depth || depth == overridden.len() {
            override_at
        } else {
            base_at
        };
        ManifestError::Invalid {
            path: self.path.clone(),
            line: self.line(deepest),
            key: keys.join("."),
            problem: Box::new(problem),
        }
    }

    /// Returns an error of the TOML reader with its line.
    pub fn unreadable(&self, error: &toml::de::Error) -> ManifestError {
        let offset = error.span().map_or(0, |span| span.start);
        let line = self.line(offset);
        let text = self.text.lines().nth(line - 1).map(str::trim);
        let Ok(problem) = error.message().trim().parse::<TomlProblem>();
        ManifestError::Toml {
            path: self.path.clone(),
            line,
            text: text.filter(|text| !text.is_empty()).map(str::to_owned),
            problem,
        }
    }

    fn line(&self, offset: usize) -> usize {
        self.text[..offset.min(self.text.len())].matches('\n').count() + 1
    }

    /// Returns how many of the keys are written, and the offset of the last of those.
    fn locate(&self, keys: &[&str]) -> (usize, usize) {
        let Ok(document) = DeTable::parse(&self.text) else {
            return (0, 0);
        };
        let mut found = (0, 0);
        let mut table = document.get_ref();
        for (depth, key) in keys.iter().enumerate() {
            let Some((name, value)) = table.iter().find(|(name, _)| name.get_ref() == key) else {
                return found;
            };
            found = (depth + 1, name.span().start);
            match value.get_ref() {
                DeValue::Table(inner) => table = inner,
                _ => return found,
            }
        }
        found
    }
}
