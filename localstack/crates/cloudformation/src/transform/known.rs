//! Functions whose values `AWS::LanguageExtensions` writes into the processed template: those of parameters and mappings.

use serde_json::{Map, Value, json};

use super::{LANGUAGE_EXTENSIONS, Transformation, failed};
use crate::references::{Reference, function, references};
use endpoint_core::AwsError;

/// The functions that are replaced by their value. `Ref` and conditions stay, as do functions of resources, for the deployment.
const REPLACED: &[&str] = &[
    "Fn::FindInMap",
    "Fn::Join",
    "Fn::Length",
    "Fn::Select",
    "Fn::Split",
    "Fn::Sub",
    "Fn::ToJsonString",
];

impl Transformation {
    /// Replaces the known functions of resources and outputs.
    pub(super) fn known_sections(&self, mut sections: Map<String, Value>) -> Result<Map<String, Value>, AwsError> {
        for name in ["Resources", "Outputs"] {
            if let Some(section) = sections.get_mut(name) {
                *section = self.replace_known(section.take())?;
            }
        }
        Ok(sections)
    }

    fn replace_known(&self, value: Value) -> Result<Value, AwsError> {
        let Some((name, argument)) = function(&value) else {
            return match value {
                Value::Object(object) => object
                    .into_iter()
                    .map(|(key, member)| Ok((key, self.replace_known(member)?)))
                    .collect::<Result<Map<_, _>, _>>()
                    .map(Value::Object),
                Value::Array(list) => list.into_iter().map(|item| self.replace_known(item)).collect(),
                scalar => Ok(scalar),
            };
        };
        let argument = match (name, argument.clone()) {
            // The name of a resource, parameter or attribute may be computed.
            ("Ref" | "Fn::GetAtt", argument @ (Value::Object(_) | Value::Array(_))) => self.known(argument)?,
            (_, argument) => self.replace_known(argument)?,
        };
        let call = json!({name: argument});
        if REPLACED.contains(&name) && self.is_known(&call) {
            return self.known(call);
        }
        Ok(call)
    }

    /// Returns the value of an expression that must not depend on resources.
    pub(super) fn known(&self, expression: Value) -> Result<Value, AwsError> {
        if !self.is_known(&expression) {
            let reason = format!("{expression} has no value before the deployment");
            return Err(failed(LANGUAGE_EXTENSIONS, &reason));
        }
        let value = self.scope.value(&expression);
        value.map_err(|error| failed(LANGUAGE_EXTENSIONS, &error.to_string()))
    }

    /// Returns true if an expression refers to parameters and mappings only, and to no `NoEcho` parameter.
    fn is_known(&self, expression: &Value) -> bool {
        references(expression, &|_| None)
            .into_iter()
            .all(|reference| match reference {
                Reference::Name(name) => self.scope.names.contains_key(&name) && !self.hidden.contains(&name),
                Reference::Map(_) => true,
                _ => false,
            })
    }
}
