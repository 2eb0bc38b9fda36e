//! The check for changes that AWS rejects.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{PreflightFinding, fatal};
use cfn::diff::{compare, unsupported_updates};
use platform::stacks::Plan;

/// Returns the changes of the plan that AWS rejects. `templates` are the deployed ones, by the full names of their stacks.
pub fn check(plan: &Plan, templates: &BTreeMap<String, Value>) -> Vec<PreflightFinding> {
    let changed = plan.stacks.iter().filter_map(|planned| {
        let former = templates.get(&planned.name)?;
        Some(unsupported_updates(&compare(Some(former), &planned.template)))
    });
    changed.flatten().map(fatal).collect()
}
