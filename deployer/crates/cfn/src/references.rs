//! What an expression refers to.

use serde_json::Value;

/// One reference in an expression.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reference {
    /// A parameter, a resource or a pseudo parameter.
    Name(String),
    /// A resource and its attribute.
    Attribute(String, String),
    Condition(String),
    Map(String),
    Import,
}

/// Every reference of an expression. `holds` says which branch of an `Fn::If` counts; without an answer both do.
pub fn references(value: &Value, holds: &dyn Fn(&str) -> Option<bool>) -> Vec<Reference> {
    let mut found = Vec::new();
    collect(value, holds, &mut found);
    found
}

/// The one function that an object is, such as `("Fn::Join", …)`.
pub fn function(value: &Value) -> Option<(&str, &Value)> {
    let object = value.as_object()?;
    let (name, argument) = object.iter().next()?;
    let is_function = object.len() == 1 && (name == "Ref" || name == "Condition" || name.starts_with("Fn::"));
    is_function.then_some((name.as_str(), argument))
}

/// The resource and attribute of an `Fn::GetAtt`, in either of its forms.
pub fn attribute(argument: &Value) -> Option<(String, String)> {
    match argument {
        Value::String(text) => text.split_once('.').map(|(r, a)| (r.to_owned(), a.to_owned())),
        Value::Array(parts) if parts.len() >= 2 => {
            let parts: Option<Vec<&str>> = parts.iter().map(Value::as_str).collect();
            let parts = parts?;
            Some((parts[0].to_owned(), parts[1..].join(".")))
        }
        _ => None,
    }
}

/// The pieces of an `Fn::Sub` text: `Ok` for literal text, `Err` for the name between `${` and `}`.
pub fn pieces(text: &str) -> Vec<Result<String, String>> {
    let (mut pieces, mut literal, mut rest) = (Vec::new(), String::new(), text);
    while let Some(start) = rest.find("${") {
        literal.push_str(&rest[..start]);
        let Some(end) = rest[start..].find('}') else { break };
        let name = &rest[start + 2..start + end];
        match name.strip_prefix('!') {
            Some(escaped) => literal.push_str(&format!("${{{escaped}}}")),
            None => {
                pieces.push(Ok(std::mem::take(&mut literal)));
                pieces.push(Err(name.trim().to_owned()));
            }
        }
        rest = &rest[start + end + 1..];
    }
    literal.push_str(rest);
    pieces.push(Ok(literal));
    pieces.retain(|p| !matches!(p, Ok(text) if text.is_empty()));
    pieces
}

fn collect(value: &Value, holds: &dyn Fn(&str) -> Option<bool>, found: &mut Vec<Reference>) {
    match (function(value), value) {
        (Some(("Ref", Value::String(name))), _) => found.push(Reference::Name(name.clone())),
        (Some(("Condition", Value::String(name))), _) => found.push(Reference::Condition(name.clone())),
        (Some(("Fn::GetAtt", argument)), _) => {
            if let Some((resource, attribute)) = attribute(argument) {
                found.push(Reference::Attribute(resource, attribute));
            }
        }
        (Some(("Fn::Sub", argument)), _) => substitution(argument, holds, found),
        (Some(("Fn::If", Value::Array(parts))), _) if parts.len() == 3 => {
            let Some(name) = parts[0].as_str() else { return };
            found.push(Reference::Condition(name.to_owned()));
            let held = holds(name);
            if held != Some(false) {
                collect(&parts[1], holds, found);
            }
            if held != Some(true) {
                collect(&parts[2], holds, found);
            }
        }
        (Some(("Fn::FindInMap", Value::Array(parts))), _) => {
            if let Some(Value::String(map)) = parts.first() {
                found.push(Reference::Map(map.clone()));
            }
            parts.iter().skip(1).for_each(|part| collect(part, holds, found));
        }
        (Some(("Fn::ImportValue", argument)), _) => {
            found.push(Reference::Import);
            collect(argument, holds, found);
        }
        (_, Value::Object(object)) => object.values().for_each(|v| collect(v, holds, found)),
        (_, Value::Array(list)) => list.iter().for_each(|v| collect(v, holds, found)),
        _ => {}
    }
}

fn substitution(argument: &Value, holds: &dyn Fn(&str) -> Option<bool>, found: &mut Vec<Reference>) {
    let (text, variables) = match argument {
        Value::String(text) => (text.as_str(), None),
        Value::Array(parts) => match (
            parts.first().and_then(Value::as_str),
            parts.get(1).and_then(Value::as_object),
        ) {
            (Some(text), variables) => (text, variables),
            _ => return,
        },
        _ => return,
    };
    if let Some(variables) = variables {
        variables.values().for_each(|v| collect(v, holds, found));
    }
    for name in pieces(text).into_iter().filter_map(Result::err) {
        if variables.is_some_and(|v| v.contains_key(&name)) {
            continue;
        }
        found.push(match name.split_once('.') {
            Some((resource, attribute)) => Reference::Attribute(resource.to_owned(), attribute.to_owned()),
            None => Reference::Name(name),
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sub_refers_to_names_and_attributes_but_not_to_its_own_variables() {
        let value = json!({"Fn::Sub": ["${A}-${B.C}-${v}-${!L}", {"v": {"Ref": "D"}}]});
        let wanted = [
            Reference::Name("D".into()),
            Reference::Name("A".into()),
            Reference::Attribute("B".into(), "C".into()),
        ];
        assert_eq!(references(&value, &|_| None), wanted);
    }

    #[test]
    fn only_the_branch_that_holds_counts() {
        let value = json!({"Fn::If": ["C", {"Ref": "A"}, {"Ref": "B"}]});
        let found = references(&value, &|_| Some(true));
        assert_eq!(found, [Reference::Condition("C".into()), Reference::Name("A".into())]);
    }
}
