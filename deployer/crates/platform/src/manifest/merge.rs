//! Settings of one environment: the common tables with the environment's overrides merged into them.

use toml::{Table, Value};

use super::error::ManifestError;
use super::file::Settings;
use super::problem::Problem;
use super::source::SourceText;

/// Returns the merged settings of an environment that the file declares.
pub fn settings(source: &SourceText, environment: &str) -> Result<Settings, ManifestError> {
    let mut base: Table = toml::from_str(&source.text).map_err(|error| source.unreadable(&error))?;
    let environments = base.remove("environments");
    let overrides = environments
        .as_ref()
        .and_then(|all| all.get(environment))
        .and_then(Value::as_table);
    for (key, value) in overrides.into_iter().flatten() {
        merge(&mut base, key, value);
    }
    // Both have been read into these types before, so an error here is a conflict between them.
    base.try_into().map_err(|error: toml::de::Error| {
        let problem = Problem::Merge(error.message().trim().to_owned());
        source.invalid(environment, &["environments", environment], problem)
    })
}

/// Tables merge key by key; any other value replaces.
fn merge(base: &mut Table, key: &str, value: &Value) {
    match (base.get_mut(key), value) {
        (Some(Value::Table(under)), Value::Table(over)) => {
            for (key, value) in over {
                merge(under, key, value);
            }
        }
        _ => {
            base.insert(key.to_owned(), value.clone());
        }
    }
}
