//! Templates from files, to compare with where no endpoint is asked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::stacks::Plan;

/// The templates by the stacks' short names: of a directory's files, or of the one file given.
pub fn read(path: &Path, plan: &Plan, only: Option<&str>) -> Result<BTreeMap<String, Value>> {
    if path.is_file() {
        let short = match only {
            Some(name) => name.to_owned(),
            None => stem(path),
        };
        if !plan.stacks.iter().any(|stack| stack.short_name == short) {
            return Err(Error::Usage(format!(
                "{} is the template of no stack: name the stack it is to be compared with, as in `deployer diff --against {} network`",
                path.display(),
                path.display()
            )));
        }
        return Ok(BTreeMap::from([(short, template(path)?)]));
    }
    let inside = path.join(&plan.environment);
    let folder = if inside.is_dir() { inside } else { path.to_owned() };
    let entries = std::fs::read_dir(&folder).map_err(|error| {
        Error::Usage(format!(
            "there are no templates to compare with in {}: {error}; `deployer synth` writes them, to be committed",
            folder.display()
        ))
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
    let value = cfn::yaml::parse(&text)
        .map_err(|reason| Error::Usage(format!("{} is no template: {reason}", path.display())))?;
    if value["Resources"].is_object() {
        Ok(value)
    } else {
        Err(Error::Usage(format!(
            "{} is no template: it has no Resources",
            path.display()
        )))
    }
}
