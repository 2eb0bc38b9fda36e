//! References of an expression.

use serde_json::Value;

/// One reference in an expression.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reference {
    /// A parameter, a resource or a pseudo parameter, by its name.
    Name(String),
    /// A resource and its attribute.
    Attribute(String, String),
    /// A condition.
    Condition(String),
    /// A mapping.
    Map(String),
    /// An export of another stack.
    Import,
}

/// Returns every reference of an expression.
///
/// `condition` returns the value of a condition, which selects the branch of an `Fn::If`; both count if it returns `None`.
pub fn references(value: &Value, condition: &dyn Fn(&str) -> Option<bool>) -> Vec<Reference> {
    let mut found = Vec::new();
    collect(value, condition, &mut found);
    found
}

/// Returns the intrinsic function that an object is, such as `("Fn::Join", …)`.
pub fn function(value: &Value) -> Option<(&str, &Value)> {
    let object = value.as_object()?;
    let (name, argument) = object.iter().next()?;
    let is_function = object.len() == 1 && (name == "Ref" || name == "Condition" || name.starts_with("Fn::"));
    is_function.then_some((name.as_str(), argument))
}

/// Returns the resource and attribute of an `Fn::GetAtt`, in either of its forms.
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

/// A part of an `Fn::Sub` text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Literal text.
    Literal(String),
    /// The name between `${` and `}`.
    Variable(String),
}

/// Returns the segments of an `Fn::Sub` text.
pub fn segments(text: &str) -> Vec<Segment> {
    let (mut segments, mut literal, mut rest) = (Vec::new(), String::new(), text);
    while let Some(start) = rest.find("${") {
        literal.push_str(&rest[..start]);
        let Some(end) = rest[start..].find('}') else { break };
        let name = &rest[start + 2..start + end];
        if let Some(escaped) = name.strip_prefix('!') {
            literal.push_str(&format!("${{{escaped}}}"));
        } else {
            segments.push(Segment::Literal(std::mem::take(&mut literal)));
            segments.push(Segment::Variable(name.trim().to_owned()));
        }
        rest = &rest[start + end + 1..];
    }
    literal.push_str(rest);
    segments.push(Segment::Literal(literal));
    segments.retain(|segment| !matches!(segment, Segment::Literal(text) if text.is_empty()));
    segments
}

fn collect(value: &Value, condition: &dyn Fn(&str) -> Option<bool>, found: &mut Vec<Reference>) {
    match (function(value), value) {
        (Some(("Ref", Value::String(name))), _) => found.push(Reference::Name(name.clone())),
        (Some(("Condition", Value::String(name))), _) => found.push(Reference::Condition(name.clone())),
        (Some(("Fn::GetAtt", argument)), _) => {
            if let Some((resource, attribute)) = attribute(argument) {
                found.push(Reference::Attribute(resource, attribute));
            } else if let Some([Value::String(resource), name]) = argument.as_array().map(Vec::as_slice) {
                // The name of the attribute is an expression: only its evaluation tells which one it is.
                found.push(Reference::Name(resource.clone()));
                collect(name, condition, found);
            }
        }
        (Some(("Fn::Sub", argument)), _) => substitution(argument, condition, found),
        (Some(("Fn::If", Value::Array(parts))), _) if parts.len() == 3 => {
            let Some(name) = parts[0].as_str() else { return };
            found.push(Reference::Condition(name.to_owned()));
            let value = condition(name);
            if value != Some(false) {
                collect(&parts[1], condition, found);
            }
            if value != Some(true) {
                collect(&parts[2], condition, found);
            }
        }
        (Some(("Fn::FindInMap", Value::Array(parts))), _) => {
            // A default value stands for a mapping that does not exist (`AWS::LanguageExtensions`).
            if let [Value::String(map), _, _] = parts.as_slice() {
                found.push(Reference::Map(map.clone()));
            }
            parts.iter().skip(1).for_each(|part| collect(part, condition, found));
        }
        (Some(("Fn::ImportValue", argument)), _) => {
            found.push(Reference::Import);
            collect(argument, condition, found);
        }
        (_, Value::Object(object)) => object.values().for_each(|v| collect(v, condition, found)),
        (_, Value::Array(list)) => list.iter().for_each(|v| collect(v, condition, found)),
        _ => {}
    }
}

fn substitution(argument: &Value, condition: &dyn Fn(&str) -> Option<bool>, found: &mut Vec<Reference>) {
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
        variables.values().for_each(|v| collect(v, condition, found));
    }
    for segment in segments(text) {
        let Segment::Variable(name) = segment else { continue };
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
        let expected = [
            Reference::Name("D".into()),
            Reference::Name("A".into()),
            Reference::Attribute("B".into(), "C".into()),
        ];
        assert_eq!(references(&value, &|_| None), expected);
    }

    #[test]
    fn only_the_branch_of_the_condition_counts() {
        let value = json!({"Fn::If": ["C", {"Ref": "A"}, {"Ref": "B"}]});
        let found = references(&value, &|_| Some(true));
        assert_eq!(found, [Reference::Condition("C".into()), Reference::Name("A".into())]);
    }
}
