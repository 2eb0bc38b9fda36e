//! Changes that an update of the deployed stacks makes.

use std::collections::{BTreeMap, BTreeSet};

use cfn::diff::{Change, changed_outputs, compare_with};
use serde_json::Value;

use super::plan::{Plan, Source, Stack};

/// Returns the changes of each stack in the plan's order, with those that follow from other outputs of earlier stacks.
/// `deployed` are templates by the full names of their stacks.
pub fn changes<'a>(plan: &'a Plan, deployed: &BTreeMap<String, Value>) -> Vec<(&'a Stack, Vec<Change>)> {
    let mut changed: BTreeSet<(&str, String)> = BTreeSet::new();
    let mut all = Vec::new();
    for stack in &plan.stacks {
        let former = deployed.get(&stack.name);
        let is_changed = |source: &Source| match source {
            Source::Output { stack, output } => changed.contains(&(stack.as_str(), output.clone())),
            _ => false,
        };
        let parameters = stack
            .parameters
            .iter()
            .filter(|parameter| is_changed(&parameter.source));
        let parameters = parameters.map(|parameter| parameter.name.clone()).collect();
        all.push((stack, compare_with(former, &stack.template, &parameters)));
        if let Some(former) = former {
            let outputs = changed_outputs(former, &stack.template);
            changed.extend(outputs.into_iter().map(|output| (stack.name.as_str(), output)));
        }
    }
    all
}
