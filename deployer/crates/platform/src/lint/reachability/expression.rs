//! Evaluation of expressions: the resources that they refer to, through parameters and outputs of other stacks.

use serde_json::Value;

use crate::stacks::{Plan, Source, Stack};

/// Returns the logical IDs of the resources that a value refers to; `None` if they do not follow from the templates.
pub fn resources(plan: &Plan, stack: &Stack, value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(several) => {
            let each = several.iter().map(|one| resources(plan, stack, one));
            Some(each.collect::<Option<Vec<_>>>()?.concat())
        }
        Value::Object(call) if call.len() == 1 => match call.iter().next()? {
            (name, argument) if name == "Ref" => reference(plan, stack, argument.as_str()?),
            (name, argument) if name == "Fn::GetAtt" => Some(vec![attribute(argument)?]),
            (name, argument) if name == "Fn::Join" => resources(plan, stack, argument.get(1)?),
            _ => None,
        },
        _ => None,
    }
}

fn reference(plan: &Plan, stack: &Stack, name: &str) -> Option<Vec<String>> {
    if stack.template["Resources"].get(name).is_some() {
        return Some(vec![name.to_owned()]);
    }
    let parameter = stack.parameters.iter().find(|parameter| parameter.name == name)?;
    let (origin, output) = match &parameter.source {
        Source::Output { stack, output } => (stack, output),
        // Subnets of an existing VPC have no resource: the parameter stands for them.
        Source::Subnets { tier, .. } => return Some(vec![tier.parameter().to_owned()]),
        _ => return None,
    };
    let origin = plan.stacks.iter().find(|stack| &stack.name == origin)?;
    resources(plan, origin, origin.template["Outputs"].get(output)?.get("Value")?)
}

fn attribute(argument: &Value) -> Option<String> {
    let text = match argument {
        Value::Array(parts) => parts.first()?.as_str()?,
        Value::String(path) => path.split('.').next()?,
        _ => return None,
    };
    Some(text.to_owned())
}

/// Returns a port that is a number or a text.
pub fn number(value: &Value) -> Option<u16> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    u16::try_from(number).ok()
}
