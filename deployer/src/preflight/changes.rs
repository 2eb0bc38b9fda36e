//! Changes of what is deployed that AWS refuses.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Finding, fatal};
use crate::diff::{compare, unsupported_updates};
use crate::stacks::Plan;

/// Those that the plan has in mind; `templates` are the deployed ones by their stacks' full names.
pub fn look(plan: &Plan, templates: &BTreeMap<String, Value>) -> Vec<Finding> {
    let changed = plan.stacks.iter().filter_map(|planned| {
        let former = templates.get(&planned.name)?;
        Some(unsupported_updates(&compare(Some(former), &planned.template)))
    });
    changed
        .flatten()
        .map(|one| fatal(one.to_string(), one.hint()))
        .collect()
}
