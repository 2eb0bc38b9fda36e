//! Maximum numbers of entries in a template (AWS CloudFormation: "Understand CloudFormation quotas").

use super::finding::LintProblem;
use crate::stacks::Stack;

/// Section and maximum.
const MAX_ENTRIES: [(&str, usize); 3] = [("Resources", 500), ("Outputs", 200), ("Parameters", 200)];

/// Reports a section that is too large, with what makes it so large.
pub fn check(stack: &Stack, report: &mut dyn FnMut(&str, LintProblem)) {
    for (section, max) in MAX_ENTRIES {
        let count = stack.template[section].as_object().map_or(0, serde_json::Map::len);
        if count > max {
            let problem = LintProblem::SectionSize {
                section: section.to_lowercase(),
                count,
                max,
                paths: stack.short_name == "network",
            };
            report(section, problem);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;

    #[test]
    fn a_template_with_too_many_resources_is_found() {
        let problems = |count: usize| {
            let resources: Map<String, Value> = (0..count)
                .map(|number| (format!("Topic{number}"), json!({ "Type": "AWS::SNS::Topic" })))
                .collect();
            let stack = Stack {
                name: "shop-dev-network".into(),
                short_name: "network".into(),
                template: json!({ "Resources": resources }),
                parameters: Vec::new(),
                depends_on: Vec::new(),
            };
            let mut found = Vec::new();
            check(&stack, &mut |location, problem| {
                found.push((location.to_owned(), problem));
            });
            found
        };
        assert_eq!(problems(500), []);
        let problem = LintProblem::SectionSize {
            section: "resources".into(),
            count: 501,
            max: 500,
            paths: true,
        };
        assert_eq!(problems(501), [("Resources".to_owned(), problem)]);
    }
}
