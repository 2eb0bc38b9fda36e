//! The manifest's text, and the line on which a key stands.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::ManifestError;
use super::toml_error::reworded;

/// The text of a manifest with the places of its keys.
pub struct Source {
    pub path: PathBuf,
    pub text: String,
}

impl Source {
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

    /// The error at a key: `keys` is the way to it from the top; the deepest part that is written counts. An
    /// environment's override is looked at first.
    pub fn invalid(&self, environment: &str, keys: &[&str], message: impl Into<String>) -> ManifestError {
        let overridden: Vec<&str> = ["environments", environment].iter().chain(keys).copied().collect();
        let (depth, override_at) = self.locate(&overridden);
        let (base_depth, base_at) = self.locate(keys);
        // an override that holds only part of the way is no better a place than the base table
        let deepest = if depth.saturating_sub(2) > base_depth || depth == overridden.len() {
            override_at
        } else {
            base_at
        };
        ManifestError::Invalid {
            path: self.path.clone(),
            line: self.line(deepest),
            message: format!("{}: {}", keys.join("."), message.into()),
            hint: None,
        }
    }

    /// What the TOML reader says, as ours.
    pub fn unreadable(&self, error: &toml::de::Error) -> ManifestError {
        let offset = error.span().map_or(0, |span| span.start);
        let line = self.line(offset);
        let key = self
            .text
            .lines()
            .nth(line - 1)
            .map(str::trim)
            .filter(|text| !text.is_empty());
        let (words, hint) = reworded(error.message().trim());
        let message = match key {
            Some(text) => format!("{words} (in `{text}`)"),
            None => words,
        };
        ManifestError::Invalid {
            path: self.path.clone(),
            line,
            message,
            hint,
        }
    }

    fn line(&self, offset: usize) -> usize {
        self.text[..offset.min(self.text.len())].matches('\n').count() + 1
    }

    /// How many of the keys are written, and where the last of those stands.
    fn locate(&self, keys: &[&str]) -> (usize, usize) {
        let Ok(document) = DeTable::parse(&self.text) else {
            return (0, 0);
        };
        let mut place = (0, 0);
        let mut table = document.get_ref();
        for (depth, key) in keys.iter().enumerate() {
            let Some((name, value)) = table.iter().find(|(name, _)| name.get_ref() == key) else {
                return place;
            };
            place = (depth + 1, name.span().start);
            match value.get_ref() {
                DeValue::Table(inner) => table = inner,
                _ => return place,
            }
        }
        place
    }
}
