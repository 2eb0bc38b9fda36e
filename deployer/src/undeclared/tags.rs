//! Tags that a stack of ours should have and has not: what bills and policies go by.

use std::collections::BTreeMap;

use super::Undeclared;
use crate::cloudformation::Existing;
use crate::stacks::Plan;

pub fn missing(plan: &Plan, existing: &BTreeMap<String, Existing>) -> Vec<Undeclared> {
    let mut found = Vec::new();
    for planned in &plan.stacks {
        let Some(stack) = existing.get(&planned.name) else {
            continue;
        };
        let wanted = [
            ("project", &plan.project),
            ("environment", &plan.environment),
            ("stack", &planned.short_name),
        ];
        for (tag, value) in wanted {
            let what = match stack.tags.get(tag) {
                Some(actual) if actual == value => continue,
                Some(actual) => format!("its tag `{tag}` is {actual}, not {value}"),
                None => format!("its tag `{tag}` is missing"),
            };
            found.push(Undeclared {
                kind: "AWS::CloudFormation::Stack",
                id: stack.name.clone(),
                what,
            });
        }
    }
    found
}
