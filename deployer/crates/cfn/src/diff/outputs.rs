//! Outputs of a stack whose values change.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::references::{Reference, references};

/// Returns the outputs of both templates that are made of other resources than before.
///
/// Another expression over the same resources may have the same value and does not count; nor does the replacement of such a
/// resource, which a change set alone knows for certain.
pub fn changed_outputs(old: &Value, new: &Value) -> BTreeSet<String> {
    let sources = |output: &Value| -> BTreeSet<Reference> { references(output, &|_| None).into_iter().collect() };
    let outputs = new["Outputs"].as_object().into_iter().flatten();
    outputs
        .filter(|(name, output)| {
            let former = &old["Outputs"][name.as_str()];
            !former.is_null() && sources(former) != sources(output)
        })
        .map(|(name, _)| name.clone())
        .collect()
}
