//! One environment's settings: the file's own tables with the environment's laid over them.

use toml::{Table, Value};

use super::ManifestError;
use super::file::Settings;
use super::source::Source;

/// The merged settings of an environment that the file declares.
pub fn settings(source: &Source, environment: &str) -> Result<Settings, ManifestError> {
    let mut base: Table = toml::from_str(&source.text).map_err(|error| source.unreadable(&error))?;
    let environments = base.remove("environments");
    let over = environments
        .as_ref()
        .and_then(|all| all.get(environment))
        .and_then(Value::as_table);
    for (key, value) in over.into_iter().flatten() {
        lay(&mut base, key, value);
    }
    // both layers have been read into these types before, so what fails here is a clash between them
    base.try_into().map_err(|error: toml::de::Error| {
        source.invalid(environment, &["environments", environment], error.message().trim())
    })
}

/// Tables merge key by key; anything else is replaced.
fn lay(base: &mut Table, key: &str, value: &Value) {
    match (base.get_mut(key), value) {
        (Some(Value::Table(under)), Value::Table(over)) => {
            for (key, value) in over {
                lay(under, key, value);
            }
        }
        _ => {
            base.insert(key.to_owned(), value.clone());
        }
    }
}
