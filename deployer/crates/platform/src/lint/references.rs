//! References of a template.

use cfn::references::{Reference, references};
use cfn::schema;
use serde_json::Value;

use super::finding::LintProblem;
use crate::stacks::Stack;

/// Reports each `Ref`, `Fn::GetAtt`, `Fn::Sub` and `DependsOn` of a template to a name that does not exist, and each parameter
/// without a value.
pub fn check(stack: &Stack, report: &mut dyn FnMut(&str, LintProblem)) {
    let template = &stack.template;
    let sections = ["Resources", "Outputs"]
        .into_iter()
        .filter_map(|section| template[section].as_object())
        .flatten();
    for (location, value) in sections {
        for reference in references(value, &|_| None) {
            if let Some(problem) = dangling(template, reference) {
                report(location, problem);
            }
        }
        let dependencies = match &value["DependsOn"] {
            Value::String(one) => vec![one.as_str()],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        for name in dependencies
            .into_iter()
            .filter(|name| template["Resources"].get(name).is_none())
        {
            report(location, LintProblem::UnknownDependency(name.to_owned()));
        }
    }
    for (name, parameter) in template["Parameters"].as_object().into_iter().flatten() {
        let is_filled = stack.parameters.iter().any(|filled| filled.name == *name);
        if !is_filled && parameter["Default"].is_null() {
            report(name, LintProblem::UnfilledParameter);
        }
    }
}

fn dangling(template: &Value, reference: Reference) -> Option<LintProblem> {
    let has = |section: &str, name: &str| template[section].get(name).is_some();
    match reference {
        Reference::Name(name) => {
            let known = name.starts_with("AWS::") || has("Parameters", &name) || has("Resources", &name);
            (!known).then_some(LintProblem::UnknownName(name))
        }
        Reference::Attribute(resource, attribute) => {
            let Some(found) = template["Resources"].get(&resource) else {
                return Some(LintProblem::UnknownResource { resource, attribute });
            };
            let resource_type = found["Type"].as_str().unwrap_or_default().to_owned();
            let path: Vec<&str> = attribute.split('.').collect();
            let missing = schema::of(&resource_type).is_some_and(|schema| schema.property(&path).is_none());
            missing.then_some(LintProblem::UnknownAttribute {
                resource_type,
                attribute,
            })
        }
        Reference::Condition(name) => (!has("Conditions", &name)).then_some(LintProblem::UnknownCondition(name)),
        Reference::Map(name) => (!has("Mappings", &name)).then_some(LintProblem::UnknownMapping(name)),
        Reference::Import => None,
    }
}
