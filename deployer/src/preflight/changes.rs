//! The check for changes that AWS rejects, and for those that interrupt.

use std::collections::BTreeMap;

use cfn::diff::{unsupported_updates, update_warnings};
use platform::stacks::{self, Plan};
use serde_json::Value;

use super::{PreflightFinding, fatal, warning};

/// Returns the changes of the plan that AWS rejects, and warnings about others. `templates` are the deployed ones, by the full names
/// of their stacks.
pub fn check(plan: &Plan, templates: &BTreeMap<String, Value>) -> Vec<PreflightFinding> {
    let mut findings = Vec::new();
    for (stack, changes) in stacks::changes(plan, templates) {
        if templates.contains_key(&stack.name) {
            let rejected = unsupported_updates(&changes, &stack.template);
            findings.extend(rejected.into_iter().map(fatal));
            findings.extend(update_warnings(&changes).into_iter().map(warning));
        }
    }
    findings
}
