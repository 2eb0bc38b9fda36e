//! Whether a resource's properties are what its type takes.

use serde_json::Value;

use super::{Schema, of};

/// A property that CloudFormation would refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Such as `ContainerDefinitions/0/PortMappings`.
    pub path: String,
    pub what: String,
}

/// Compares the properties with the type's schema; what an intrinsic function gives is not known here and not judged.
pub fn check(kind: &str, properties: &Value) -> Vec<Fault> {
    let Some(schema) = of(kind) else { return Vec::new() };
    let mut faults = Vec::new();
    Checker {
        schema,
        faults: &mut faults,
    }
    .object(&schema.0, properties, "");
    faults
}

struct Checker<'a> {
    schema: &'a Schema,
    faults: &'a mut Vec<Fault>,
}

impl Checker<'_> {
    fn fault(&mut self, path: &str, what: impl Into<String>) {
        let (path, what) = (path.to_owned(), what.into());
        self.faults.push(Fault { path, what });
    }

    fn object(&mut self, schema: &Value, value: &Value, path: &str) {
        let Some(given) = value.as_object() else { return };
        for required in schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if !given.contains_key(required) {
                self.fault(path, format!("{required} is required"));
            }
        }
        let Some(known) = schema["properties"].as_object() else {
            return;
        };
        for (name, value) in given {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}/{name}")
            };
            match known.get(name) {
                Some(schema) => self.value(schema, value, &path),
                None if schema.get("patternProperties").is_some() || known.is_empty() => {}
                None => self.fault(&path, "there is no such property"),
            }
        }
    }

    fn value(&mut self, schema: &Value, value: &Value, path: &str) {
        if is_intrinsic(value) {
            return;
        }
        let schema = self.schema.resolved(schema);
        let wanted: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            _ => return,
        };
        if !wanted.iter().any(|kind| fits(kind, value)) {
            self.fault(path, format!("must be {}", wanted.join(" or ")));
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
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if let Some(allowed) = schema["enum"].as_array() {
            let allowed: Vec<String> = allowed
                .iter()
                .map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned))
                .collect();
            if !allowed.contains(&text) {
                self.fault(path, format!("must be one of {}", allowed.join(", ")));
            }
        }
        let number = text.parse::<f64>().ok().filter(|_| schema["type"] != "string");
        if let Some(number) = number {
            if schema["minimum"].as_f64().is_some_and(|least| number < least) {
                self.fault(path, format!("must be at least {}", schema["minimum"]));
            }
            if schema["maximum"].as_f64().is_some_and(|most| number > most) {
                self.fault(path, format!("must be at most {}", schema["maximum"]));
            }
        } else {
            let length = text.chars().count() as u64;
            if schema["maxLength"].as_u64().is_some_and(|most| length > most) {
                self.fault(path, format!("is longer than {} characters", schema["maxLength"]));
            }
            if schema["minLength"].as_u64().is_some_and(|least| length < least) {
                self.fault(path, format!("is shorter than {} characters", schema["minLength"]));
            }
        }
    }
}

/// CloudFormation takes numbers and booleans as strings, too, and the other way round.
fn fits(kind: &str, value: &Value) -> bool {
    match (kind, value) {
        ("object", Value::Object(_)) | ("array", Value::Array(_)) => true,
        // policy documents and the like may be given as JSON text
        ("object", Value::String(text)) => text.trim_start().starts_with('{'),
        ("string", Value::String(_) | Value::Number(_) | Value::Bool(_)) => true,
        ("boolean", Value::Bool(_)) => true,
        ("boolean", Value::String(text)) => matches!(text.as_str(), "true" | "false"),
        ("integer", Value::Number(number)) => number.is_i64() || number.is_u64(),
        ("integer", Value::String(text)) => text.parse::<i64>().is_ok(),
        ("number", Value::Number(_)) => true,
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

    #[test]
    fn a_property_of_the_wrong_type_and_one_that_does_not_exist_are_named() {
        let properties = json!({
            "RetentionInDays": "a week", "LogGroupName": {"Fn::Sub": "/ecs/${Name}"}, "Colour": "blue",
        });
        let told: Vec<String> = check("AWS::Logs::LogGroup", &properties)
            .into_iter()
            .map(|fault| format!("{}: {}", fault.path, fault.what))
            .collect();
        assert_eq!(
            told,
            ["RetentionInDays: must be integer", "Colour: there is no such property"]
        );
    }

    #[test]
    fn what_is_missing_or_out_of_bounds_is_named_with_its_place() {
        let rule = json!({"IpProtocol": "tcp", "FromPort": "80", "Tags": []});
        let faults = check("AWS::EC2::SecurityGroupIngress", &rule);
        assert_eq!(faults.len(), 1, "{faults:?}");
        let subnets = json!({"DBSubnetGroupDescription": "isolated"});
        let faults = check("AWS::RDS::DBSubnetGroup", &subnets);
        assert_eq!(faults[0].what, "SubnetIds is required");
    }
}
