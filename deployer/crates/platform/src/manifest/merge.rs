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
    if let Some(network) = overrides.and_then(|all| all.get("network")).and_then(Value::as_table) {
        replace_network(&mut base, network);
    }
    for (key, value) in overrides.into_iter().flatten() {
        merge(&mut base, key, value);
    }
    // Both have been read into these types before, so an error here is a conflict between them.
    base.try_into().map_err(|error: toml::de::Error| {
        let problem = Problem::Merge(error.message().trim().to_owned());
        source.invalid(environment, &["environments", environment], problem)
    })
}

/// Settings of a VPC that the platform creates, and of an existing one; `availability_zones` is of both.
const NEW: [&str; 3] = ["cidr", "nat", "flow_logs"];
const EXISTING: [&str; 4] = ["vpc", "public_subnets", "private_subnets", "isolated_subnets"];

/// Removes what an environment cannot inherit: with its own VPC the common settings of a new one, and with settings of a new one
/// the common VPC.
fn replace_network(base: &mut Table, over: &Table) {
    let Some(under) = base.get_mut("network").and_then(Value::as_table_mut) else {
        return;
    };
    if over.contains_key("vpc") && !under.contains_key("vpc") {
        under.retain(|key, _| !NEW.contains(&key) && key != "availability_zones");
    } else if under.contains_key("vpc") && !over.contains_key("vpc") && NEW.iter().any(|key| over.contains_key(*key)) {
        under.retain(|key, _| !EXISTING.contains(&key) && key != "availability_zones");
    }
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
