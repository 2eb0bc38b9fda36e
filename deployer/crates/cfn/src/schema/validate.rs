//! Validation of a resource's properties against the schema of its type.

use serde_json::{Number, Value};

use super::{Schema, of};

/// A property that CloudFormation would reject.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct PropertyError {
    /// Such as `ContainerDefinitions/0/PortMappings`; empty for the properties themselves.
    pub path: String,
    /// The reason.
    pub problem: PropertyProblem,
}

/// The reason why CloudFormation would reject a property.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PropertyProblem {
    /// A required property has no value.
    #[error("{0} is required")]
    Missing(String),
    /// The type has no such property.
    #[error("there is no such property")]
    Unknown,
    /// The value has another JSON type than these.
    #[error("must be {}", .0.join(" or "))]
    WrongType(Vec<String>),
    /// The value is none of these.
    #[error("must be one of {}", .0.join(", "))]
    NotAllowed(Vec<String>),
    /// The number is less than this.
    #[error("must be at least {0}")]
    TooSmall(Number),
    /// The number is greater than this.
    #[error("must be at most {0}")]
    TooLarge(Number),
    /// The text has fewer characters than this.
    #[error("is shorter than {0} characters")]
    TooShort(u64),
    /// The text has more characters than this.
    #[error("is longer than {0} characters")]
    TooLong(u64),
}

/// Compares the properties with the schema of their type. The result of an intrinsic function is not known and is accepted.
pub fn validate(resource_type: &str, properties: &Value) -> Vec<PropertyError> {
    let Some(schema) = of(resource_type) else {
        return Vec::new();
    };
    let mut errors = Vec::new();
    Validator {
        schema,
        errors: &mut errors,
    }
    .object(&schema.0, properties, "");
    errors
}

struct Validator<'a> {
    schema: &'a Schema,
    errors: &'a mut Vec<PropertyError>,
}

impl Validator<'_> {
    fn reject(&mut self, path: &str, problem: PropertyProblem) {
        let path = path.to_owned();
        self.errors.push(PropertyError { path, problem });
    }

    fn object(&mut self, schema: &Value, value: &Value, path: &str) {
        let Some(properties) = value.as_object() else { return };
        for required in strings(&schema["required"]) {
            if !properties.contains_key(required) {
                self.reject(path, PropertyProblem::Missing(required.to_owned()));
            }
        }
        let Some(known) = schema["properties"].as_object() else {
            return;
        };
        for (name, value) in properties {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}/{name}")
            };
            match known.get(name) {
                Some(schema) => self.value(schema, value, &path),
                None if schema.get("patternProperties").is_some() || known.is_empty() => {}
                None => self.reject(&path, PropertyProblem::Unknown),
            }
        }
    }

    fn value(&mut self, schema: &Value, value: &Value, path: &str) {
        if is_intrinsic(value) {
            return;
        }
        let schema = self.schema.resolved(schema);
        let expected: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            several @ Value::Array(_) => strings(several).collect(),
            _ => return,
        };
        if !expected.iter().any(|json_type| fits(json_type, value)) {
            let expected = expected.into_iter().map(str::to_owned).collect();
            self.reject(path, PropertyProblem::WrongType(expected));
            return;
        }
        match value {
            Value::Object(_) => self.object(schema, value, path),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(&schema["items"], item, &format!("{path}/{index}"));
                }
            }
            scalar => self.scalar(schema, scalar, path),
        }
    }

    fn scalar(&mut self, schema: &Value, value: &Value, path: &str) {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let value = text(value);
        if let Some(allowed) = schema["enum"].as_array() {
            let allowed: Vec<String> = allowed.iter().map(text).collect();
            if !allowed.contains(&value) {
                self.reject(path, PropertyProblem::NotAllowed(allowed));
            }
        }
        let number = value.parse::<f64>().ok().filter(|_| schema["type"] != "string");
        if let Some(number) = number {
            let limit = |key: &str| schema[key].as_number().and_then(|limit| Some((limit, limit.as_f64()?)));
            if let Some((minimum, _)) = limit("minimum").filter(|(_, minimum)| number < *minimum) {
                self.reject(path, PropertyProblem::TooSmall(minimum.clone()));
            }
            if let Some((maximum, _)) = limit("maximum").filter(|(_, maximum)| number > *maximum) {
                self.reject(path, PropertyProblem::TooLarge(maximum.clone()));
            }
        } else {
            let length = value.chars().count() as u64;
            if let Some(maximum) = schema["maxLength"].as_u64().filter(|maximum| length > *maximum) {
                self.reject(path, PropertyProblem::TooLong(maximum));
            }
            if let Some(minimum) = schema["minLength"].as_u64().filter(|minimum| length < *minimum) {
                self.reject(path, PropertyProblem::TooShort(minimum));
            }
        }
    }
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// CloudFormation also accepts numbers and booleans as strings, and strings as numbers and booleans.
fn fits(json_type: &str, value: &Value) -> bool {
    match (json_type, value) {
        ("object", Value::Object(_))
        | ("array", Value::Array(_))
        | ("string", Value::String(_) | Value::Number(_) | Value::Bool(_))
        | ("boolean", Value::Bool(_))
        | ("number", Value::Number(_)) => true,
        // Policy documents may be JSON text.
        ("object", Value::String(text)) => text.trim_start().starts_with('{'),
        ("boolean", Value::String(text)) => matches!(text.as_str(), "true" | "false"),
        ("integer", Value::Number(number)) => number.is_i64() || number.is_u64(),
        ("integer", Value::String(text)) => text.parse::<i64>().is_ok(),
        ("number", Value::String(text)) => text.parse::<f64>().is_ok(),
        _ => false,
    }
}

fn is_intrinsic(value: &Value) -> bool {
    value.as_object().is_some_and(|object| {
        object.len() == 1
            && object
                .keys()
                .all(|key| key == "Ref" || key.starts_with("Fn::") || key == "Condition")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn error(path: &str, problem: PropertyProblem) -> PropertyError {
        let path = path.to_owned();
        PropertyError { path, problem }
    }

    #[test]
    fn a_property_of_the_wrong_type_and_one_that_does_not_exist_are_rejected() {
        let properties = json!({
            "RetentionInDays": "a week", "LogGroupName": {"Fn::Sub": "/ecs/${Name}"}, "Colour": "blue",
        });
        assert_eq!(
            validate("AWS::Logs::LogGroup", &properties),
            [
                error("RetentionInDays", PropertyProblem::WrongType(vec!["integer".into()])),
                error("Colour", PropertyProblem::Unknown),
            ]
        );
    }

    #[test]
    fn a_missing_property_is_rejected_with_the_path_of_its_object() {
        let rule = json!({"IpProtocol": "tcp", "FromPort": "80", "Tags": []});
        assert_eq!(
            validate("AWS::EC2::SecurityGroupIngress", &rule),
            [error("Tags", PropertyProblem::Unknown)]
        );
        let subnets = json!({"DBSubnetGroupDescription": "isolated"});
        assert_eq!(
            validate("AWS::RDS::DBSubnetGroup", &subnets),
            [error("", PropertyProblem::Missing("SubnetIds".into()))]
        );
    }

    #[test]
    fn each_problem_has_its_message() {
        use PropertyProblem::*;
        let all = [
            Missing("SubnetIds".into()),
            Unknown,
            WrongType(vec!["integer".into(), "string".into()]),
            NotAllowed(vec!["HTTP".into(), "HTTPS".into()]),
            TooSmall(1.into()),
            TooLarge(5.into()),
            TooShort(1),
            TooLong(255),
        ];
        let all = all.map(|problem| error("Tags/0/Key", problem).to_string());
        insta::assert_snapshot!(all.join("\n"), @"
        Tags/0/Key: SubnetIds is required
        Tags/0/Key: there is no such property
        Tags/0/Key: must be integer or string
        Tags/0/Key: must be one of HTTP, HTTPS
        Tags/0/Key: must be at least 1
        Tags/0/Key: must be at most 5
        Tags/0/Key: is shorter than 1 characters
        Tags/0/Key: is longer than 255 characters
        ");
    }
}
