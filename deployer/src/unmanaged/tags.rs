//! Missing tags of stacks. Cost reports and policies select by these tags.

use std::collections::BTreeMap;

use aws::cloudformation::Stack;
use platform::stacks::Plan;

use super::UnmanagedResource;

/// Returns the stacks with a missing or wrong tag.
pub fn missing(plan: &Plan, existing: &BTreeMap<String, Stack>) -> Vec<UnmanagedResource> {
    let mut found = Vec::new();
    for planned in &plan.stacks {
        let Some(stack) = existing.get(&planned.name) else {
            continue;
        };
        let expected = [
            ("project", &plan.project),
            ("environment", &plan.environment),
            ("stack", &planned.short_name),
        ];
        for (tag, value) in expected {
            let description = match stack.tags.get(tag) {
                Some(actual) if actual == value => continue,
                Some(actual) => format!("its tag `{tag}` is {actual}, not {value}"),
                None => format!("its tag `{tag}` is missing"),
            };
            found.push(UnmanagedResource {
                resource_type: "AWS::CloudFormation::Stack",
                id: stack.name.clone(),
                description,
            });
        }
    }
    found
}
