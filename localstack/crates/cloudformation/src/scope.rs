//! The values of a template's expressions.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::references::{attribute, function, pieces};
use super::{cidr, template::Template};

/// What stands for a value that is only known once a resource has been made, in AWS's own words.
pub const UNKNOWN: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";

/// A resource that can be referred to.
#[derive(Debug, Clone, Default)]
pub struct Live {
    pub physical_id: String,
    pub attributes: Map<String, Value>,
}

/// Everything that an expression may refer to.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Parameters and pseudo parameters; lists are arrays.
    pub names: HashMap<String, Value>,
    pub mappings: Map<String, Value>,
    pub conditions: HashMap<String, bool>,
    pub exports: HashMap<String, String>,
    pub zones: Vec<String>,
    pub resources: IndexMap<String, Live>,
    /// True before an operation: what is not there yet is [`UNKNOWN`] instead of an error.
    pub preview: bool,
    /// The names of the exports that were imported.
    pub imported: Arc<Mutex<BTreeSet<String>>>,
}

impl Scope {
    /// Evaluates the template's conditions, once all names are known.
    pub fn decide(&mut self, template: &Template) -> Result<(), String> {
        self.mappings = template.mappings.clone();
        for name in template.conditions.keys() {
            self.condition(template, name, &mut Vec::new())?;
        }
        Ok(())
    }

    fn condition(&mut self, template: &Template, name: &str, on_the_way: &mut Vec<String>) -> Result<bool, String> {
        if let Some(known) = self.conditions.get(name) {
            return Ok(*known);
        }
        if on_the_way.iter().any(|n| n == name) {
            return Err(format!(
                "Template error: Circular dependency between conditions: [{}]",
                on_the_way.join(", ")
            ));
        }
        let Some(expression) = template.conditions.get(name) else {
            return Err(format!("Template error: Unresolved condition {name}"));
        };
        on_the_way.push(name.to_owned());
        for reference in super::references::references(expression, &|_| None) {
            if let super::references::Reference::Condition(other) = reference {
                self.condition(template, &other, on_the_way)?;
            }
        }
        on_the_way.pop();
        let value = self.truth(expression)?;
        self.conditions.insert(name.to_owned(), value);
        Ok(value)
    }

    /// Whether something with this condition exists; nothing said is yes.
    pub fn holds(&self, condition: Option<&str>) -> bool {
        condition.is_none_or(|name| self.conditions.get(name).copied().unwrap_or(false))
    }

    /// The value of an expression; `Null` is `AWS::NoValue`.
    ///
    /// # Errors
    /// Words for a stack event, which name what could not be resolved.
    pub fn value(&self, expression: &Value) -> Result<Value, String> {
        if let Some((name, argument)) = function(expression) {
            return self.call(name, argument);
        }
        match expression {
            Value::Object(object) => self.object(object).map(Value::Object),
            Value::Array(list) => {
                let values = list.iter().map(|v| self.value(v)).collect::<Result<Vec<_>, _>>()?;
                Ok(Value::Array(values.into_iter().filter(|v| !v.is_null()).collect()))
            }
            scalar => Ok(scalar.clone()),
        }
    }

    /// An object's values, without those that are `AWS::NoValue`.
    pub fn object(&self, object: &Map<String, Value>) -> Result<Map<String, Value>, String> {
        let mut values = Map::new();
        for (name, expression) in object {
            let value = self.value(expression)?;
            if !value.is_null() {
                values.insert(name.clone(), value);
            }
        }
        Ok(values)
    }

    /// The text of an expression.
    pub fn text(&self, expression: &Value) -> Result<String, String> {
        text(&self.value(expression)?).ok_or_else(|| format!("Template error: {expression} is not a text"))
    }

    fn call(&self, name: &str, argument: &Value) -> Result<Value, String> {
        let parts = argument.as_array().map(Vec::as_slice).unwrap_or_default();
        let wrong = || format!("Template error: {name} has a wrong argument: {argument}");
        match name {
            "Ref" => self.name(argument.as_str().ok_or_else(wrong)?),
            "Condition" | "Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not" => {
                let whole = serde_json::json!({name: argument});
                self.truth(&whole).map(Value::Bool)
            }
            "Fn::GetAtt" => {
                let (resource, attribute) = attribute(argument).ok_or_else(wrong)?;
                self.attribute(&resource, &attribute)
            }
            "Fn::Sub" => self.sub(argument).map(Value::String),
            "Fn::Join" => {
                let [delimiter, list] = parts else { return Err(wrong()) };
                let list = self.value(list)?;
                if list == UNKNOWN {
                    return Ok(list);
                }
                let list = list.as_array().ok_or_else(wrong)?;
                let texts: Option<Vec<String>> = list.iter().map(text).collect();
                Ok(texts
                    .ok_or_else(wrong)?
                    .join(delimiter.as_str().ok_or_else(wrong)?)
                    .into())
            }
            "Fn::Split" => {
                let [delimiter, source] = parts else {
                    return Err(wrong());
                };
                let delimiter = delimiter.as_str().filter(|d| !d.is_empty()).ok_or_else(wrong)?;
                let source = self.text(source)?;
                if source == UNKNOWN {
                    return Ok(source.into());
                }
                Ok(Value::Array(source.split(delimiter).map(Value::from).collect()))
            }
            "Fn::Select" => {
                let [index, list] = parts else { return Err(wrong()) };
                let index: usize = self.text(index)?.parse().map_err(|_| wrong())?;
                let list = self.value(list)?;
                if list == UNKNOWN {
                    return Ok(list);
                }
                let list = list.as_array().ok_or_else(wrong)?;
                let out = || format!("Template error: Fn::Select cannot select nonexistent value at index {index}");
                list.get(index).cloned().ok_or_else(out)
            }
            "Fn::If" => {
                let [condition, yes, no] = parts else {
                    return Err(wrong());
                };
                let condition = condition.as_str().ok_or_else(wrong)?;
                let held = self.conditions.get(condition);
                let held = *held.ok_or_else(|| format!("Template error: Unresolved condition {condition}"))?;
                self.value(if held { yes } else { no })
            }
            "Fn::FindInMap" => {
                let [map, first, second] = parts else {
                    return Err(wrong());
                };
                let keys = [self.text(map)?, self.text(first)?, self.text(second)?];
                let found = self
                    .mappings
                    .get(&keys[0])
                    .and_then(|m| m.get(&keys[1]))
                    .and_then(|m| m.get(&keys[2]));
                found
                    .cloned()
                    .ok_or_else(|| format!("Template error: Unable to get mapping for {}", keys.join("::")))
            }
            "Fn::ImportValue" => {
                let name = self.text(argument)?;
                let value = self
                    .exports
                    .get(&name)
                    .ok_or_else(|| format!("No export named {name} found."))?;
                self.imported.lock().expect("no panic holds this lock").insert(name);
                Ok(value.clone().into())
            }
            "Fn::GetAZs" => Ok(Value::Array(self.zones.iter().cloned().map(Value::String).collect())),
            "Fn::Base64" => {
                use base64::Engine as _;
                let text = self.text(argument)?;
                Ok(if text == UNKNOWN {
                    text
                } else {
                    base64::engine::general_purpose::STANDARD.encode(text)
                }
                .into())
            }
            "Fn::Cidr" => {
                let [block, count, bits @ ..] = parts else {
                    return Err(wrong());
                };
                let block = self.text(block)?;
                if block == UNKNOWN {
                    return Ok(block.into());
                }
                let number = |v: &Value| self.text(v)?.parse::<u32>().map_err(|_| wrong());
                let bits = bits.first().map(number).transpose()?.unwrap_or(8);
                Ok(cidr::blocks(&block, number(count)?, bits)?.into())
            }
            other => Err(format!(
                "Template error: {other} is not supported by the embedded endpoint"
            )),
        }
    }

    fn truth(&self, expression: &Value) -> Result<bool, String> {
        let wrong = || format!("Template error: {expression} is not a condition");
        match function(expression) {
            Some(("Condition", Value::String(name))) => self
                .conditions
                .get(name)
                .copied()
                .ok_or_else(|| format!("Template error: Unresolved condition {name}")),
            Some(("Fn::Equals", Value::Array(sides))) if sides.len() == 2 => {
                let (left, right) = (self.value(&sides[0])?, self.value(&sides[1])?);
                Ok(left == right || text(&left).is_some_and(|l| Some(l) == text(&right)))
            }
            Some(("Fn::And", Value::Array(parts))) => parts.iter().try_fold(true, |all, p| Ok(all & self.truth(p)?)),
            Some(("Fn::Or", Value::Array(parts))) => parts.iter().try_fold(false, |any, p| Ok(any | self.truth(p)?)),
            Some(("Fn::Not", Value::Array(parts))) if parts.len() == 1 => Ok(!self.truth(&parts[0])?),
            _ => Err(wrong()),
        }
    }

    fn name(&self, name: &str) -> Result<Value, String> {
        if name == "AWS::NoValue" {
            return Ok(Value::Null);
        }
        if let Some(value) = self.names.get(name) {
            return Ok(value.clone());
        }
        match self.resources.get(name) {
            Some(live) => Ok(live.physical_id.clone().into()),
            None if self.preview => Ok(UNKNOWN.into()),
            None => Err(format!("Template error: Unresolved dependency {name}")),
        }
    }

    fn attribute(&self, resource: &str, attribute: &str) -> Result<Value, String> {
        let Some(live) = self.resources.get(resource) else {
            return if self.preview {
                Ok(UNKNOWN.into())
            } else {
                Err(format!(
                    "Template error: instance of Fn::GetAtt references undefined resource {resource}"
                ))
            };
        };
        if let Some(value) = live.attributes.get(attribute) {
            return Ok(value.clone());
        }
        // An attribute that is an object may be entered with dots.
        let entered = attribute.match_indices('.').find_map(|(at, _)| {
            let path = format!("/{}", attribute[at + 1..].replace('.', "/"));
            live.attributes.get(&attribute[..at])?.pointer(&path).cloned()
        });
        if self.preview && entered.is_none() {
            return Ok(UNKNOWN.into());
        }
        entered.ok_or_else(|| format!("Attribute '{attribute}' does not exist for resource {resource}"))
    }

    fn sub(&self, argument: &Value) -> Result<String, String> {
        let wrong = || format!("Template error: Fn::Sub has a wrong argument: {argument}");
        let (source, variables) = match argument {
            Value::String(source) => (source.as_str(), None),
            Value::Array(parts) => {
                let source = parts.first().and_then(Value::as_str).ok_or_else(wrong)?;
                (source, parts.get(1).and_then(Value::as_object))
            }
            _ => return Err(wrong()),
        };
        let mut whole = String::new();
        for piece in pieces(source) {
            match piece {
                Ok(literal) => whole.push_str(&literal),
                Err(name) => {
                    let value = match (variables.and_then(|v| v.get(&name)), name.split_once('.')) {
                        (Some(variable), _) => self.value(variable)?,
                        (None, Some((resource, attribute))) => self.attribute(resource, attribute)?,
                        (None, None) => self.name(&name)?,
                    };
                    whole.push_str(&text(&value).ok_or_else(wrong)?);
                }
            }
        }
        Ok(whole)
    }
}

/// A scalar's text; lists of scalars are joined by commas, as parameters are.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Array(list) => {
            let texts: Option<Vec<String>> = list.iter().map(|v| if v.is_array() { None } else { text(v) }).collect();
            Some(texts?.join(","))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scope() -> Scope {
        let mut scope = Scope::default();
        scope.names.insert("Env".into(), "dev".into());
        scope.names.insert("Subnets".into(), json!(["a", "b"]));
        let attributes = json!({"Endpoint.Address": "db", "Map": {"Inner": 5}})
            .as_object()
            .unwrap()
            .clone();
        scope.resources.insert(
            "R".into(),
            Live {
                physical_id: "r-1".into(),
                attributes,
            },
        );
        scope.exports.insert("x".into(), "exported".into());
        scope
    }

    #[test]
    fn intrinsics_nest() {
        let expression = json!({"Fn::Join": ["-", [{"Fn::Select": ["1", {"Ref": "Subnets"}]}, {"Fn::Sub": ["${Env}.${R}.${R.Endpoint.Address}.${v}", {"v": {"Fn::ImportValue": "x"}}]}]]});
        assert_eq!(scope().value(&expression).unwrap(), "b-dev.r-1.db.exported");
        assert_eq!(scope().value(&json!({"Fn::GetAtt": ["R", "Map.Inner"]})).unwrap(), 5);
    }

    #[test]
    fn conditions_choose_and_no_value_disappears() {
        let template = Template::parse(r#"{"Conditions": {"Dev": {"Fn::Equals": [{"Ref": "Env"}, "dev"]}, "Not": {"Fn::Not": [{"Condition": "Dev"}]}}, "Resources": {"A": {"Type": "T"}}}"#).unwrap();
        let mut scope = scope();
        scope.decide(&template).unwrap();
        assert!(!scope.holds(Some("Not")));
        let expression =
            json!({"A": {"Fn::If": ["Not", 1, {"Ref": "AWS::NoValue"}]}, "B": [1, {"Ref": "AWS::NoValue"}]});
        assert_eq!(scope.value(&expression).unwrap(), json!({"B": [1]}));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(
            scope()
                .value(&json!({"Fn::GetAtt": ["Q", "A"]}))
                .unwrap_err()
                .contains('Q')
        );
        assert!(
            scope()
                .value(&json!({"Fn::ImportValue": "gone"}))
                .unwrap_err()
                .contains("No export named gone")
        );
        assert!(
            scope()
                .value(&json!({"Fn::Transform": {}}))
                .unwrap_err()
                .contains("Fn::Transform")
        );
    }
}
