//! Inputs and outputs of the protocols that have JSON's types (awsJson, restJson, RPC v2 CBOR), compared with the model of the
//! operation.

use serde_json::{Map, Value};

use super::constraints::Constraints;
use super::model::{Kind, Model, Operation, Reference, Shape};
use super::strict;
use crate::error::AwsError;

/// Returns the input of an operation, checked by its model and without members that are null, which mean absent ones.
///
/// # Errors
/// `NotImplemented` for an operation without a model, `SerializationException` for a value of another type, and the service's code for
/// a member that the operation does not have, a missing one, or a value that the model does not allow. AWS ignores unknown members;
/// ignored input would mislead here.
pub fn input(service: &str, operation: &str, input: Map<String, Value>) -> Result<Value, AwsError> {
    let (model, found) = found(service, operation).ok_or_else(|| AwsError::not_implemented(service, operation))?;
    let constraints = Constraints { service };
    let checker = Checker { model, constraints };
    match found.input.as_deref().and_then(|name| model.shape(name)) {
        Some(shape) => checker.structure(shape, input, ""),
        None => match input.keys().next() {
            Some(name) => Err(constraints.unknown(name)),
            None => Ok(Value::Object(input)),
        },
    }
}

/// Reports what an output has that the model of its operation has not.
pub fn check_output(service: &str, operation: &str, output: &Value) {
    let mut faults = Vec::new();
    match found(service, operation) {
        None => faults.push("the operation has no model".to_owned()),
        Some((model, found)) => match found.output.as_deref().and_then(|name| model.shape(name)) {
            Some(shape) => compare(model, shape, output, "", &mut faults),
            None if output.as_object().is_some_and(|members| !members.is_empty()) => faults.push(output.to_string()),
            None => {}
        },
    }
    strict::report(service, operation, &faults);
}

fn found(service: &str, operation: &str) -> Option<(&'static Model, &'static Operation)> {
    let model = Model::of(service)?;
    Some((model, model.operation(operation)?))
}

/// Finds a member by its name on the wire.
fn member<'a>(shape: &'a Shape, name: &str) -> Option<&'a Reference> {
    let exact = shape.members.get_key_value(name).into_iter();
    let mut candidates = exact.chain(&shape.members);
    candidates.find_map(|(member, reference)| (reference.wire_name(member) == name).then_some(reference))
}

fn joined(path: &str, step: &str) -> String {
    if path.is_empty() {
        step.to_owned()
    } else {
        format!("{path}.{step}")
    }
}

struct Checker<'a> {
    model: &'a Model,
    constraints: Constraints<'a>,
}

impl Checker<'_> {
    fn value(&self, reference: &Reference, value: Value, path: &str) -> Result<Value, AwsError> {
        let Some(shape) = self.model.shape(&reference.shape) else {
            return Err(self.constraints.unknown(path));
        };
        match (shape.kind, value) {
            (Kind::Structure, Value::Object(members)) => self.structure(shape, members, path),
            (Kind::List, Value::Array(items)) => self.list(shape, items, path),
            // A member of the query string that occurs once is a list, too.
            (Kind::List, text @ Value::String(_)) if reference.is_in_query_string() => {
                self.list(shape, vec![text], path)
            }
            (Kind::Map, Value::Object(entries)) => self.map(shape, entries, path),
            (Kind::Integer | Kind::Long | Kind::Double | Kind::Float | Kind::Boolean, Value::String(text))
                if reference.is_in_request_line() =>
            {
                let typed: Value = serde_json::from_str(&text).map_err(|_| self.constraints.invalid(path, &text))?;
                self.scalar(shape, typed, path)
            }
            (_, value) => self.scalar(shape, value, path),
        }
    }

    fn structure(&self, shape: &Shape, members: Map<String, Value>, path: &str) -> Result<Value, AwsError> {
        let mut checked = Map::new();
        for (name, value) in members {
            let path = joined(path, &name);
            let reference = member(shape, &name).ok_or_else(|| self.constraints.unknown(&path))?;
            if !value.is_null() {
                let value = self.value(reference, value, &path)?;
                checked.insert(name, value);
            }
        }
        let wire_name = |member: &String| {
            shape
                .members
                .get(member)
                .map_or(member.as_str(), |one| one.wire_name(member))
                .to_owned()
        };
        match shape
            .required
            .iter()
            .map(wire_name)
            .find(|name| !checked.contains_key(name))
        {
            Some(missing) => Err(self.constraints.missing(path, &missing)),
            None => Ok(Value::Object(checked)),
        }
    }

    fn list(&self, shape: &Shape, items: Vec<Value>, path: &str) -> Result<Value, AwsError> {
        let Some(item) = &shape.member else {
            return Err(self.constraints.unknown(path));
        };
        self.constraints.check_size(shape, items.len(), path)?;
        let checked = items.into_iter().enumerate();
        checked
            .map(|(at, value)| self.value(item, value, &joined(path, &(at + 1).to_string())))
            .collect()
    }

    fn map(&self, shape: &Shape, entries: Map<String, Value>, path: &str) -> Result<Value, AwsError> {
        let (Some(key), Some(reference)) = (&shape.key, &shape.value) else {
            return Err(self.constraints.unknown(path));
        };
        self.constraints.check_size(shape, entries.len(), path)?;
        let mut checked = Map::new();
        for (name, value) in entries {
            let path = joined(path, &name);
            self.value(key, Value::String(name.clone()), &path)?;
            checked.insert(name, self.value(reference, value, &path)?);
        }
        Ok(Value::Object(checked))
    }

    fn scalar(&self, shape: &Shape, value: Value, path: &str) -> Result<Value, AwsError> {
        if !is_of_kind(shape.kind, &value) {
            let message = format!("The value of {path} is not of the type {:?}.", shape.kind);
            return Err(AwsError::new("SerializationException", message));
        }
        match (shape.kind, &value) {
            (Kind::String, Value::String(text)) => self.constraints.check_text(shape, text, path)?,
            (Kind::Integer | Kind::Long | Kind::Double | Kind::Float, Value::Number(number)) => {
                self.constraints
                    .check_range(shape, number.as_f64().unwrap_or_default(), path)?;
            }
            _ => {}
        }
        Ok(value)
    }
}

/// Returns true if a value has the type of a shape; structures, lists and maps by their kind only.
fn is_of_kind(kind: Kind, value: &Value) -> bool {
    match kind {
        Kind::Structure | Kind::Map => value.is_object(),
        Kind::List => value.is_array(),
        Kind::String | Kind::Blob => value.is_string(),
        Kind::Boolean => value.is_boolean(),
        Kind::Integer | Kind::Long => value.is_i64() || value.is_u64(),
        Kind::Double | Kind::Float => value.is_number(),
        // Seconds in awsJson, a date of ISO 8601 in some members of restJson
        Kind::Timestamp => value.is_number() || value.is_string(),
    }
}

/// Collects the paths of values that differ from their shape.
fn compare(model: &Model, shape: &Shape, value: &Value, path: &str, faults: &mut Vec<String>) {
    if !is_of_kind(shape.kind, value) {
        return faults.push(format!("{path} is no {:?}: {value}", shape.kind));
    }
    let inner: Vec<(Option<&Reference>, &Value, String)> = match (shape.kind, value) {
        (Kind::Structure, Value::Object(members)) => {
            let given = members.iter().filter(|(_, value)| !value.is_null());
            let found = given.map(|(name, value)| (member(shape, name), value, joined(path, name)));
            found.collect()
        }
        (Kind::List, Value::Array(items)) => {
            let found = items
                .iter()
                .map(|value| (shape.member.as_ref(), value, joined(path, "*")));
            found.collect()
        }
        (Kind::Map, Value::Object(entries)) => {
            let found = entries
                .iter()
                .map(|(name, value)| (shape.value.as_ref(), value, joined(path, name)));
            found.collect()
        }
        _ => Vec::new(),
    };
    for (reference, value, path) in inner {
        match reference.and_then(|reference| model.shape(&reference.shape)) {
            Some(shape) => compare(model, shape, value, &path, faults),
            None => faults.push(format!("{path} is unknown")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(service: &str, operation: &str, value: Value) -> Result<Value, String> {
        let Value::Object(members) = value else {
            panic!("no object")
        };
        input(service, operation, members).map_err(|error| error.code)
    }

    #[test]
    fn null_is_absent_and_the_request_line_has_text_only() {
        let given = json!({"cluster": null, "services": ["a"]});
        assert_eq!(
            checked("ecs", "DescribeServices", given),
            Ok(json!({"services": ["a"]}))
        );
        let given = json!({"maxResults": "5", "clusterTypeFilter": "PROVISIONED"});
        let expected = json!({"maxResults": 5, "clusterTypeFilter": "PROVISIONED"});
        assert_eq!(checked("kafka", "ListClustersV2", given), Ok(expected));
        let given = json!({"resourceArn": "arn", "tagKeys": "a"});
        let expected = json!({"resourceArn": "arn", "tagKeys": ["a"]});
        assert_eq!(checked("kafka", "UntagResource", given), Ok(expected));
    }

    #[test]
    fn what_the_model_does_not_allow_has_the_code_of_the_service() {
        for (service, operation, given, code) in [
            (
                "ecs",
                "DescribeServices",
                json!({"services": "a"}),
                "SerializationException",
            ),
            ("ecs", "DescribeServices", json!({}), "InvalidParameterException"),
            (
                "ecs",
                "ListTasks",
                json!({"launchTyp": "FARGATE"}),
                "InvalidParameterException",
            ),
            (
                "ecs",
                "ListTasks",
                json!({"launchType": "LAMBDA"}),
                "InvalidParameterException",
            ),
            ("ecs", "CreateCapacityProvider", json!({"name": "a"}), "NotImplemented"),
            ("ssm", "GetParameter", json!({"Name": ""}), "ValidationException"),
            (
                "logs",
                "DescribeLogGroups",
                json!({"limit": 51}),
                "InvalidParameterException",
            ),
            (
                "kms",
                "CreateKey",
                json!({"Tags": [{"TagKey": "a"}]}),
                "ValidationException",
            ),
            (
                "servicediscovery",
                "GetNamespace",
                json!({"Id": 1}),
                "SerializationException",
            ),
            (
                "kafka",
                "ListClustersV2",
                json!({"maxResults": "many"}),
                "BadRequestException",
            ),
        ] {
            assert_eq!(
                checked(service, operation, given.clone()),
                Err(code.to_owned()),
                "{service} {given}"
            );
        }
    }

    #[test]
    fn an_output_is_compared_with_names_and_types() {
        let mut faults = Vec::new();
        let (model, operation) = found("ecs", "DescribeClusters").unwrap();
        let shape = model.shape(operation.output.as_deref().unwrap()).unwrap();
        let output = json!({"clusters": [{"clusterName": "c", "clusterStatus": "ACTIVE", "runningTasksCount": "1"}], "failures": null});
        compare(model, shape, &output, "", &mut faults);
        assert_eq!(
            faults,
            [
                "clusters.*.clusterStatus is unknown",
                "clusters.*.runningTasksCount is no Integer: \"1\""
            ]
        );
    }
}
