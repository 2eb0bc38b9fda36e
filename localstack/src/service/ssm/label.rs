//! `LabelParameterVersion` and `UnlabelParameterVersion`.

use serde_json::{Value, json};

use super::parameter::{PARAMETERS, find, not_found};
use super::version::{all, edit, labels, missing, number};
use crate::records::Record;
use crate::service::Call;
use crate::{AwsError, Context};

const MAX_LABELS: usize = 10;

/// `LabelParameterVersion`: a label is on one version only.
pub fn label(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let name = call.required("Name")?;
    let mut record = find(cx, &name)?.ok_or_else(|| not_found(&name))?;
    let version = call.integer("ParameterVersion").unwrap_or_else(|| number(&record));
    if let Some(long) = call
        .texts("Labels")
        .iter()
        .find(|label| !(1..=100).contains(&label.len()))
    {
        let message = format!(
            "1 validation error detected: Value '[{long}]' at 'labels' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 100, Member must have length greater than or equal to 1]"
        );
        return Err(AwsError::new("ValidationException", message));
    }
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
            "A parameter version can have maximum 10 labels.Move one or more labels to another version and try again.",
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
