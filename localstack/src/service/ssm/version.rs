//! The versions of a parameter and their labels. The newest is the record itself, the others are in its history.

use serde_json::{Value, json};

use crate::AwsError;
use crate::records::{Record, now, texts};

/// The number of versions that AWS keeps.
const MAX_VERSIONS: usize = 100;

/// Makes a record with changed properties the version after `former`.
pub fn next(record: &mut Record, former: Option<&Record>) {
    if let Some(former) = former {
        let mut history = history(former);
        history.push(json!({"properties": former.properties, "computed": {
            "Version": number(former), "Modified": modified(former), "Labels": labels(former),
        }}));
        let surplus = history.len().saturating_sub(MAX_VERSIONS - 1);
        record
            .computed
            .insert("History".into(), history.split_off(surplus).into());
    }
    let version = former.map_or(0, number) + 1;
    record.computed.insert("Version".into(), version.into());
    record.computed.insert("Modified".into(), now().into());
    record.computed.shift_remove("Labels");
}

/// Checks that another version has room: the oldest makes it, unless it has a label (`PutParameter`, "Overwrite").
pub fn check_room(record: &Record) -> Result<(), AwsError> {
    let all = all(record);
    let oldest = all
        .first()
        .filter(|oldest| all.len() >= MAX_VERSIONS && !labels(oldest).is_empty());
    let Some(oldest) = oldest else {
        return Ok(());
    };
    Err(AwsError::new(
        "ParameterMaxVersionLimitExceeded",
        format!(
            "You attempted to create a new version of {} by calling the PutParameter API with the overwrite flag. Version {}, the oldest version, can't be deleted because it has a label associated with it. Move the label to another version of the parameter, and try again.",
            record.id,
            number(oldest)
        ),
    ))
}

pub fn number(record: &Record) -> i64 {
    record.computed.get("Version").and_then(Value::as_i64).unwrap_or(0)
}

/// Returns the time of the last change in milliseconds since 1970.
pub fn modified(record: &Record) -> i64 {
    let modified = record.computed.get("Modified").and_then(Value::as_i64);
    modified.unwrap_or(record.created)
}

pub fn labels(record: &Record) -> Vec<String> {
    texts(record.computed.get("Labels"))
}

fn history(record: &Record) -> Vec<Value> {
    let history = record.computed.get("History").and_then(Value::as_array);
    history.cloned().unwrap_or_default()
}

/// Returns every version, oldest first, each as a record.
pub fn all(record: &Record) -> Vec<Record> {
    let member = |version: &Value, name: &str| version[name].as_object().cloned().unwrap_or_default();
    let former = history(record).into_iter().map(|version| Record {
        properties: member(&version, "properties"),
        computed: member(&version, "computed"),
        ..record.clone()
    });
    former.chain([record.clone()]).collect()
}

/// Returns the version that a selector names: its number or a label.
pub fn select(record: &Record, selector: &str) -> Option<Record> {
    let matches = |version: &Record| {
        number(version).to_string() == selector || labels(version).iter().any(|label| label == selector)
    };
    all(record).into_iter().find(matches)
}

/// Changes the labels of each version.
pub fn edit(record: &mut Record, change: impl Fn(i64, &mut Vec<String>)) {
    let mut own = labels(record);
    change(number(record), &mut own);
    record.computed.insert("Labels".into(), own.into());
    for version in record
        .computed
        .get_mut("History")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let mut labels = texts(version["computed"].get("Labels"));
        change(version["computed"]["Version"].as_i64().unwrap_or_default(), &mut labels);
        version["computed"]["Labels"] = labels.into();
    }
}

pub fn missing(name: &str, version: impl std::fmt::Display) -> AwsError {
    AwsError::new(
        "ParameterVersionNotFound",
        format!("Systems Manager could not find version {version} of {name}. Verify the version and try again."),
    )
}
