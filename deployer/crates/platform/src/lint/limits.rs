//! What a template may hold at most (AWS CloudFormation: "Understand CloudFormation quotas").

use crate::stacks::Stack;

const RESOURCES: usize = 500;
const OUTPUTS: usize = 200;
const PARAMETERS: usize = 200;

/// Told before a request is refused, with what makes the template that large.
pub fn check(stack: &Stack, note: &mut dyn FnMut(&str, String)) {
    for (section, most, what) in [
        ("Resources", RESOURCES, "resources"),
        ("Outputs", OUTPUTS, "outputs"),
        ("Parameters", PARAMETERS, "parameters"),
    ] {
        let count = stack.template[section].as_object().map_or(0, serde_json::Map::len);
        if count > most {
            let why = match stack.short.as_str() {
                "network" => {
                    ": each call, database and topic of a service is a network path; split the platform into projects, or call fewer services directly"
                }
                _ => ": split the platform into several projects",
            };
            note(
                section,
                format!("{count} {what}, and CloudFormation takes {most} in a template{why}"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;

    #[test]
    fn a_template_with_more_than_cloudformation_takes_is_found() {
        let of = |count: usize| {
            let resources: Map<String, Value> = (0..count)
                .map(|number| (format!("Topic{number}"), json!({ "Type": "AWS::SNS::Topic" })))
                .collect();
            let stack = Stack {
                name: "shop-dev-network".into(),
                short: "network".into(),
                template: json!({ "Resources": resources }),
                parameters: Vec::new(),
                depends_on: Vec::new(),
            };
            let mut found = Vec::new();
            check(&stack, &mut |place, what| found.push(format!("{place}: {what}")));
            found
        };
        assert_eq!(of(500), Vec::<String>::new());
        assert!(of(501)[0].starts_with("Resources: 501 resources, and CloudFormation takes 500"));
    }
}
