//! Every reference leads somewhere.

use cfn::references::{Reference, references};
use serde_json::Value;

use crate::stacks::Stack;
use cfn::schema;

/// Tells each `Ref`, `Fn::GetAtt`, `Fn::Sub` and `DependsOn` of a template that names nothing.
pub fn check(stack: &Stack, note: &mut dyn FnMut(&str, String)) {
    let template = &stack.template;
    let sections = ["Resources", "Outputs"]
        .into_iter()
        .filter_map(|section| template[section].as_object())
        .flatten();
    for (place, value) in sections {
        for reference in references(value, &|_| None) {
            if let Some(what) = fault(template, &reference) {
                note(place, what);
            }
        }
        let waits = match &value["DependsOn"] {
            Value::String(one) => vec![one.as_str()],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        for name in waits
            .into_iter()
            .filter(|name| template["Resources"].get(name).is_none())
        {
            note(place, format!("DependsOn: the template has no {name}"));
        }
    }
    for (name, _) in template["Parameters"].as_object().into_iter().flatten() {
        if !stack.parameters.iter().any(|parameter| parameter.name == *name)
            && template["Parameters"][name]["Default"].is_null()
        {
            note(name, "nothing fills this parameter".into());
        }
    }
}

fn fault(template: &Value, reference: &Reference) -> Option<String> {
    match reference {
        Reference::Name(name) if name.starts_with("AWS::") => None,
        Reference::Name(name) => {
            let known = ["Parameters", "Resources"]
                .iter()
                .any(|section| template[*section].get(name).is_some());
            (!known).then(|| format!("the template has no {name}"))
        }
        Reference::Attribute(resource, attribute) => {
            let Some(found) = template["Resources"].get(resource) else {
                return Some(format!("{resource}.{attribute}: the template has no {resource}"));
            };
            let kind = found["Type"].as_str().unwrap_or_default();
            let path: Vec<&str> = attribute.split('.').collect();
            let missing = schema::of(kind).is_some_and(|schema| schema.property(&path).is_none());
            missing.then(|| format!("{kind} has no attribute {attribute}"))
        }
        Reference::Condition(name) => template["Conditions"]
            .get(name)
            .is_none()
            .then(|| format!("the template has no condition {name}")),
        Reference::Map(name) => template["Mappings"]
            .get(name)
            .is_none()
            .then(|| format!("the template has no mapping {name}")),
        Reference::Import => None,
    }
}
