//! Templates from files, to compare with instead of an endpoint.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{ArgumentError, Error, Result};
use platform::stacks::Plan;

/// Reads the templates in a directory or in one file; returns them by the short names of their stacks.
///
/// # Errors
/// A file cannot be read, is not a template, or belongs to no stack.
pub fn read(path: &Path, plan: &Plan, only: Option<&str>) -> Result<BTreeMap<String, Value>> {
    if path.is_file() {
        let short = match only {
            Some(name) => name.to_owned(),
            None => stem(path),
        };
        if !plan.stacks.iter().any(|stack| stack.short_name == short) {
            return Err(ArgumentError::UnknownTemplate { path: path.to_owned() }.into());
        }
        return Ok(BTreeMap::from([(short, template(path)?)]));
    }
    let inside = path.join(&plan.environment);
    let folder = if inside.is_dir() { inside } else { path.to_owned() };
    let entries = std::fs::read_dir(&folder).map_err(|source| ArgumentError::NoTemplates {
        folder: folder.clone(),
        source,
    })?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "json" || extension == "yaml" || extension == "yml")
    });
    let chosen = files.iter().filter(|file| only.is_none_or(|only| stem(file) == only));
    chosen.map(|file| Ok((stem(file), template(file)?))).collect()
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn template(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).map_err(Error::io(format!("cannot read {}", path.display())))?;
    let rejected = |reason: String| ArgumentError::NotATemplate {
        path: path.to_owned(),
        reason,
    };
    let value = cfn::yaml::parse(&text).map_err(|error| rejected(error.to_string()))?;
    if value["Resources"].is_object() {
        Ok(value)
    } else {
        Err(rejected("it has no Resources".to_owned()).into())
    }
}
