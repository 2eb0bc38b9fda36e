//! The versions of a parameter and their labels. The newest is the record itself, the others are in its history.

use serde_json::{Value, json};

use super::parameter::{PARAMETERS, find, not_found};
use crate::records::{Record, now, texts};
use crate::service::Call;
use crate::{AwsError, Context};

/// The number of versions that AWS keeps.
const MAX_VERSIONS: usize = 100;
const MAX_LABELS: usize = 10;

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

/// Returns every version, oldest first, each as a record of its own.
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

/// `LabelParameterVersion`: a label is on one version only.
pub fn label(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let name = call.required("Name")?;
    let mut record = find(cx, &name)?.ok_or_else(|| not_found(&name))?;
    let version = call.integer("ParameterVersion").unwrap_or_else(|| number(&record));
    let (valid, invalid): (Vec<String>, Vec<String>) =
        call.texts("Labels").into_iter().partition(|label| is_valid(label));
    let mut found = labels_of(&record, version).ok_or_else(|| missing(&name, version))?;
    found.extend(
        valid
            .iter()
            .filter(|label| !found.contains(label))
            .cloned()
            .collect::<Vec<_>>(),
    );
    if found.len() > MAX_LABELS {
        return Err(AwsError::new(
            "ParameterVersionLabelLimitExceeded",
            "A parameter version can have maximum 10 labels.",
        ));
    }
    edit(&mut record, |number, labels| {
        if number == version {
            labels.clone_from(&found);
        } else {
            labels.retain(|label| !valid.contains(label));
        }
    });
    PARAMETERS.put(cx, &record)?;
    Ok(json!({"InvalidLabels": invalid, "ParameterVersion": version}))
}

/// `UnlabelParameterVersion`.
pub fn unlabel(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let name = call.required("Name")?;
    let mut record = find(cx, &name)?.ok_or_else(|| not_found(&name))?;
    let version = call.integer("ParameterVersion").unwrap_or_default();
    let found = labels_of(&record, version).ok_or_else(|| missing(&name, version))?;
    let (removed, invalid): (Vec<String>, Vec<String>) = call
        .texts("Labels")
        .into_iter()
        .partition(|label| found.contains(label));
    edit(&mut record, |number, labels| {
        if number == version {
            labels.retain(|label| !removed.contains(label));
        }
    });
    PARAMETERS.put(cx, &record)?;
    Ok(json!({"RemovedLabels": removed, "InvalidLabels": invalid}))
}

/// Checks a label: at most 100 letters, digits, periods, hyphens and underscores; no digit first, no `aws` or `ssm`.
fn is_valid(label: &str) -> bool {
    let lower = label.to_ascii_lowercase();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    (1..=100).contains(&label.len())
        && label.chars().all(allowed)
        && !label.starts_with(|c: char| c.is_ascii_digit())
        && !lower.starts_with("aws")
        && !lower.starts_with("ssm")
}

fn labels_of(record: &Record, version: i64) -> Option<Vec<String>> {
    let found = all(record).into_iter().find(|one| number(one) == version);
    found.map(|one| labels(&one))
}

/// Changes the labels of each version.
fn edit(record: &mut Record, change: impl Fn(i64, &mut Vec<String>)) {
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
