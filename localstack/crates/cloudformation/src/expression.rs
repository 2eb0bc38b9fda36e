//! Values of expressions.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use crate::cidr::{self, CidrError};
use crate::references::{Segment, attribute, function, segments};
use crate::scope::{Scope, UNKNOWN, text};
use endpoint_core::{AwsError, region};

/// An expression that has no value. The wording is CloudFormation's where it has one.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EvaluationError {
    #[error("Template error: {0} is not a text")]
    NotText(Value),
    #[error("Template error: {0} is not a condition")]
    NotCondition(Value),
    #[error("Template error: {function} has a wrong argument: {argument}")]
    Argument { function: String, argument: Value },
    #[error("Template error: {0} is not supported by the embedded endpoint")]
    UnsupportedFunction(String),
    #[error("Template error: Unresolved condition {0}")]
    UnresolvedCondition(String),
    #[error("Template error: Circular dependency between conditions: [{}]", .0.join(", "))]
    CircularConditions(Vec<String>),
    #[error("Template error: Unresolved dependency {0}")]
    UnresolvedName(String),
    #[error("Template error: instance of Fn::GetAtt references undefined resource {0}")]
    UndefinedResource(String),
    #[error("Attribute '{attribute}' does not exist for resource {resource}")]
    NoAttribute { resource: String, attribute: String },
    #[error("Template error: Fn::Select cannot select nonexistent value at index {0}")]
    NoIndex(usize),
    #[error("Template error: Unable to get mapping for {}", .0.join("::"))]
    NoMapping([String; 3]),
    #[error("No export named {0} found.")]
    NoExport(String),
    #[error("Template format error: Unrecognized {attribute} {value} for resource {resource}")]
    Policy {
        attribute: &'static str,
        value: Value,
        resource: String,
    },
    #[error("Template error: Fn::GetAZs cannot find the region {0}")]
    UnknownRegion(String),
    #[error(transparent)]
    Cidr(#[from] CidrError),
}

impl From<EvaluationError> for AwsError {
    fn from(error: EvaluationError) -> Self {
        Self::validation(error.to_string())
    }
}

type Result<T, E = EvaluationError> = std::result::Result<T, E>;

impl Scope {
    /// Returns the value of an expression; `Null` is `AWS::NoValue`.
    ///
    /// # Errors
    /// The first part of the expression that has no value.
    pub fn value(&self, expression: &Value) -> Result<Value> {
        if let Some((name, argument)) = function(expression) {
            return self.call(name, argument);
        }
        match expression {
            Value::Object(object) => self.object(object).map(Value::Object),
            Value::Array(list) => {
                let values = list.iter().map(|v| self.value(v)).collect::<Result<Vec<_>>>()?;
                Ok(Value::Array(values.into_iter().filter(|v| !v.is_null()).collect()))
            }
            scalar => Ok(scalar.clone()),
        }
    }

    /// Returns the values of an object, without those that are `AWS::NoValue`.
    ///
    /// # Errors
    /// As for `value`.
    pub fn object(&self, object: &Map<String, Value>) -> Result<Map<String, Value>> {
        let mut values = Map::new();
        for (name, expression) in object {
            let value = self.value(expression)?;
            if !value.is_null() {
                values.insert(name.clone(), value);
            }
        }
        Ok(values)
    }

    /// Returns the text of an expression.
    ///
    /// # Errors
    /// When the value is not text, or as for `value`.
    pub fn text(&self, expression: &Value) -> Result<String> {
        text(&self.value(expression)?).ok_or_else(|| EvaluationError::NotText(expression.clone()))
    }

    fn call(&self, name: &str, argument: &Value) -> Result<Value> {
        let parts = argument.as_array().map(Vec::as_slice).unwrap_or_default();
        let invalid = || EvaluationError::Argument {
            function: name.to_owned(),
            argument: argument.clone(),
        };
        match (name, parts) {
            ("Ref", _) => self.reference(argument.as_str().ok_or_else(invalid)?),
            ("Condition" | "Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not", _) => {
                let condition = serde_json::json!({name: argument});
                self.truth(&condition).map(Value::Bool)
            }
            ("Fn::GetAtt", _) => {
                if let [Value::String(resource), name @ Value::Object(_)] = parts {
                    return self.attribute(resource, &self.text(name)?);
                }
                let (resource, attribute) = attribute(argument).ok_or_else(invalid)?;
                self.attribute(&resource, &attribute)
            }
            ("Fn::Sub", _) => self.substitute(argument).map(Value::String),
            ("Fn::Join", [delimiter, list]) => {
                let list = self.value(list)?;
                if list == UNKNOWN {
                    return Ok(list);
                }
                let list = list.as_array().ok_or_else(invalid)?;
                let texts: Option<Vec<String>> = list.iter().map(text).collect();
                let texts = texts.ok_or_else(invalid)?;
                if texts.iter().any(|text| text.contains(UNKNOWN)) {
                    return Ok(UNKNOWN.into());
                }
                Ok(texts.join(delimiter.as_str().ok_or_else(invalid)?).into())
            }
            ("Fn::Split", [delimiter, source]) => {
                let delimiter = delimiter.as_str().filter(|d| !d.is_empty()).ok_or_else(invalid)?;
                let source = self.text(source)?;
                if source.contains(UNKNOWN) {
                    return Ok(UNKNOWN.into());
                }
                Ok(Value::Array(source.split(delimiter).map(Value::from).collect()))
            }
            ("Fn::Select", [index, list]) => {
                let index: usize = self.text(index)?.parse().map_err(|_| invalid())?;
                let list = self.value(list)?;
                if list == UNKNOWN {
                    return Ok(list);
                }
                let list = list.as_array().ok_or_else(invalid)?;
                list.get(index).cloned().ok_or(EvaluationError::NoIndex(index))
            }
            ("Fn::If", [condition, yes, no]) => {
                let condition = condition.as_str().ok_or_else(invalid)?;
                let holds = self.condition(condition)?;
                self.value(if holds { yes } else { no })
            }
            ("Fn::FindInMap", [map, first, second, options @ ..]) => {
                let keys = [self.text(map)?, self.text(first)?, self.text(second)?];
                self.find_in_map(keys, options.first())
            }
            ("Fn::Length", _) => match self.value(argument)? {
                unknown if unknown == UNKNOWN => Ok(unknown),
                list => Ok(list.as_array().ok_or_else(invalid)?.len().into()),
            },
            ("Fn::ToJsonString", _) => Ok(self.value(argument)?.to_string().into()),
            ("Fn::ImportValue", _) => {
                let name = self.text(argument)?;
                let Some(value) = self.exports.get(&name) else {
                    return Err(EvaluationError::NoExport(name));
                };
                self.imported.lock().insert(name);
                Ok(value.clone().into())
            }
            ("Fn::GetAZs", _) => self.zones(argument),
            ("Fn::Base64", _) => {
                let text = self.text(argument)?;
                Ok(if text == UNKNOWN {
                    text
                } else {
                    BASE64_STANDARD.encode(text)
                }
                .into())
            }
            ("Fn::Cidr", [block, count, host_bits @ ..]) => {
                let block = self.text(block)?;
                if block.contains(UNKNOWN) {
                    return Ok(UNKNOWN.into());
                }
                let number = |v: &Value| self.text(v)?.parse::<u32>().map_err(|_| invalid());
                let host_bits = host_bits.first().map(number).transpose()?.unwrap_or(8);
                Ok(cidr::blocks(&block, number(count)?, host_bits)?.into())
            }
            ("Fn::Join" | "Fn::Split" | "Fn::Select" | "Fn::If" | "Fn::FindInMap" | "Fn::Cidr", _) => Err(invalid()),
            (other, _) => Err(EvaluationError::UnsupportedFunction(other.to_owned())),
        }
    }

    /// Returns the value of a mapping, or `DefaultValue` of the options.
    fn find_in_map(&self, keys: [String; 3], options: Option<&Value>) -> Result<Value> {
        let map = self.mappings.get(&keys[0]);
        let found = map.and_then(|m| m.get(&keys[1])).and_then(|m| m.get(&keys[2]));
        let default = options.and_then(|options| options.get("DefaultValue"));
        match (found, default) {
            (Some(found), _) => Ok(found.clone()),
            (None, Some(default)) => self.value(default),
            (None, None) => Err(EvaluationError::NoMapping(keys)),
        }
    }

    /// Returns the zones of a region: that of the stack for nothing or empty text.
    fn zones(&self, region: &Value) -> Result<Value> {
        let current = || self.names.get("AWS::Region").cloned().unwrap_or_default();
        let named = Some(self.value(region)?).filter(|region| !region.is_null() && region != "");
        let region = text(&named.unwrap_or_else(current)).unwrap_or_default();
        if region.contains(UNKNOWN) {
            return Ok(UNKNOWN.into());
        }
        if !region::is_name(&region) {
            return Err(EvaluationError::UnknownRegion(region));
        }
        Ok(region::zones(&region).into_iter().map(Value::String).collect())
    }

    /// Returns the truth of a condition's expression.
    pub(super) fn truth(&self, expression: &Value) -> Result<bool> {
        match function(expression) {
            Some(("Condition", Value::String(name))) => self.condition(name),
            Some(("Fn::Equals", Value::Array(sides))) if sides.len() == 2 => {
                let (left, right) = (self.value(&sides[0])?, self.value(&sides[1])?);
                Ok(left == right || text(&left).is_some_and(|l| Some(l) == text(&right)))
            }
            Some(("Fn::And", Value::Array(parts))) => parts.iter().try_fold(true, |all, p| Ok(all & self.truth(p)?)),
            Some(("Fn::Or", Value::Array(parts))) => parts.iter().try_fold(false, |any, p| Ok(any | self.truth(p)?)),
            Some(("Fn::Not", Value::Array(parts))) if parts.len() == 1 => Ok(!self.truth(&parts[0])?),
            _ => Err(EvaluationError::NotCondition(expression.clone())),
        }
    }

    fn condition(&self, name: &str) -> Result<bool> {
        let known = self.conditions.get(name).copied();
        known.ok_or_else(|| EvaluationError::UnresolvedCondition(name.to_owned()))
    }

    fn reference(&self, name: &str) -> Result<Value> {
        if name == "AWS::NoValue" {
            return Ok(Value::Null);
        }
        match self.names.get(name) {
            // A parameter may have the name of a pseudo parameter as its value.
            Some(value) if value == "AWS::NoValue" => return Ok(Value::Null),
            Some(value) => return Ok(value.clone()),
            None => {}
        }
        match self.resources.get(name) {
            Some(resource) => Ok(resource.physical_id.clone().into()),
            None if self.preview => Ok(UNKNOWN.into()),
            None => Err(EvaluationError::UnresolvedName(name.to_owned())),
        }
    }

    fn attribute(&self, resource: &str, attribute: &str) -> Result<Value> {
        let Some(values) = self.resources.get(resource) else {
            return if self.preview {
                Ok(UNKNOWN.into())
            } else {
                Err(EvaluationError::UndefinedResource(resource.to_owned()))
            };
        };
        if let Some(value) = values.attributes.get(attribute) {
            return Ok(value.clone());
        }
        // Dots may also reach into an attribute that is an object.
        let member = attribute.match_indices('.').find_map(|(at, _)| {
            let path = format!("/{}", attribute[at + 1..].replace('.', "/"));
            values.attributes.get(&attribute[..at])?.pointer(&path).cloned()
        });
        if self.preview && member.is_none() {
            return Ok(UNKNOWN.into());
        }
        member.ok_or_else(|| EvaluationError::NoAttribute {
            resource: resource.to_owned(),
            attribute: attribute.to_owned(),
        })
    }

    fn substitute(&self, argument: &Value) -> Result<String> {
        let invalid = || EvaluationError::Argument {
            function: "Fn::Sub".to_owned(),
            argument: argument.clone(),
        };
        let (source, variables) = match argument {
            Value::String(source) => (source.as_str(), None),
            Value::Array(parts) => {
                let source = parts.first().and_then(Value::as_str).ok_or_else(invalid)?;
                (source, parts.get(1).and_then(Value::as_object))
            }
            _ => return Err(invalid()),
        };
        let mut substituted = String::new();
        for segment in segments(source) {
            match segment {
                Segment::Literal(literal) => substituted.push_str(&literal),
                Segment::Variable(name) => {
                    let value = match (variables.and_then(|v| v.get(&name)), name.split_once('.')) {
                        (Some(variable), _) => self.value(variable)?,
                        (None, Some((resource, attribute))) => self.attribute(resource, attribute)?,
                        (None, None) => self.reference(&name)?,
                    };
                    substituted.push_str(&text(&value).ok_or_else(invalid)?);
                }
            }
        }
        Ok(substituted)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scope::ResourceValues;
    use crate::template::Template;

    fn scope() -> Scope {
        let mut scope = Scope::default();
        scope.names.insert("Env".into(), "dev".into());
        scope.names.insert("Subnets".into(), json!(["a", "b"]));
        let attributes = json!({"Endpoint.Address": "db", "Map": {"Inner": 5}});
        let resource = ResourceValues {
            physical_id: "r-1".into(),
            attributes: attributes.as_object().unwrap().clone(),
        };
        scope.resources.insert("R".into(), resource);
        scope.exports.insert("x".into(), "exported".into());
        scope
    }

    #[test]
    fn functions_nest() {
        let expression = json!({"Fn::Join": ["-", [{"Fn::Select": ["1", {"Ref": "Subnets"}]}, {"Fn::Sub": ["${Env}.${R}.${R.Endpoint.Address}.${v}", {"v": {"Fn::ImportValue": "x"}}]}]]});
        assert_eq!(scope().value(&expression).unwrap(), "b-dev.r-1.db.exported");
        assert_eq!(scope().value(&json!({"Fn::GetAtt": ["R", "Map.Inner"]})).unwrap(), 5);
    }

    #[test]
    fn conditions_select_values_and_no_value_removes_them() {
        let template = Template::parse(r#"{"Conditions": {"Dev": {"Fn::Equals": [{"Ref": "Env"}, "dev"]}, "Not": {"Fn::Not": [{"Condition": "Dev"}]}}, "Resources": {"A": {"Type": "T"}}}"#).unwrap();
        let mut scope = scope();
        scope.evaluate_conditions(&template).unwrap();
        assert!(!scope.condition_holds(Some("Not")));
        let expression =
            json!({"A": {"Fn::If": ["Not", 1, {"Ref": "AWS::NoValue"}]}, "B": [1, {"Ref": "AWS::NoValue"}]});
        assert_eq!(scope.value(&expression).unwrap(), json!({"B": [1]}));
    }

    #[test]
    fn an_error_names_what_has_no_value() {
        let error = |expression: Value| scope().value(&expression).unwrap_err();
        assert_eq!(
            error(json!({"Fn::GetAtt": ["Q", "A"]})),
            EvaluationError::UndefinedResource("Q".into())
        );
        assert_eq!(
            error(json!({"Fn::ImportValue": "gone"})),
            EvaluationError::NoExport("gone".into())
        );
        assert_eq!(
            error(json!({"Fn::Transform": {}})),
            EvaluationError::UnsupportedFunction("Fn::Transform".into())
        );
        assert_eq!(
            error(json!({"Fn::Split": ["", "a"]})),
            EvaluationError::Argument {
                function: "Fn::Split".into(),
                argument: json!(["", "a"])
            }
        );
    }
}
