//! Inputs of the query protocols, parsed by the model of the operation: `A.member.1.B=x` becomes `{"A": [{"B": "x"}]}`.

use http::request::Parts;
use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::casing::upper_first;
use super::constraints::Constraints;
use super::model::{Kind, Model, Reference, Shape};
use crate::error::AwsError;

/// Maximum nesting of a parameter's name; no API has deeper ones.
const MAX_DEPTH: usize = 24;
/// Parameters that authenticate a request, in a query string (`X-Amz-` of Signature Version 4 too) or a form.
const AUTHENTICATION: [&str; 9] = [
    "Action",
    "Version",
    "AWSAccessKeyId",
    "Signature",
    "SignatureMethod",
    "SignatureVersion",
    "SecurityToken",
    "Timestamp",
    "Expires",
];

/// Returns the `Action` and `Version` of a query request, from its body or its query string.
pub fn action(parts: &Parts, body: &[u8]) -> Option<(String, Option<String>)> {
    let pairs = pairs(parts, body);
    let of = |name: &str| pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    Some((of("Action")?, of("Version")))
}

/// Returns the input of an operation as JSON, with the member names of the API reference. All scalars are strings.
///
/// # Errors
/// `NotImplemented` for an operation without a model, and the service's code for a member that the operation does not have, a missing
/// one, or a value that the model does not allow. AWS ignores unknown members in some services; ignored input would mislead here.
pub fn input(service: &str, operation: &str, parts: &Parts, body: &[u8]) -> Result<Value, AwsError> {
    let model = Model::of(service);
    let missing = || AwsError::not_implemented(service, operation);
    let (model, found) = model
        .and_then(|model| Some((model, model.operation(operation)?)))
        .ok_or_else(missing)?;
    let mut root = Node::default();
    for (name, value) in pairs(parts, body) {
        if AUTHENTICATION.contains(&name.as_str()) || name.starts_with("X-Amz-") {
            continue;
        }
        if name.split('.').count() > MAX_DEPTH {
            return Err(AwsError::new(
                "MalformedQueryString",
                "The name of a parameter nests too deeply.",
            ));
        }
        root.insert(name.split('.'), value);
    }
    let constraints = Constraints { service };
    let parser = Parser {
        service,
        constraints,
        model,
    };
    match found.input.as_deref().and_then(|name| model.shape(name)) {
        Some(shape) => parser.structure(shape, root, ""),
        None => match root.children.keys().next() {
            Some(name) => Err(constraints.unknown(name)),
            None => Ok(Value::Object(Map::new())),
        },
    }
}

fn pairs(parts: &Parts, body: &[u8]) -> Vec<(String, String)> {
    let source = if parts.method == http::Method::POST {
        body
    } else {
        parts.uri.query().unwrap_or("").as_bytes()
    };
    form_urlencoded::parse(source)
        .map(|(n, v)| (n.into_owned(), v.into_owned()))
        .collect()
}

/// A parameter and those whose names continue its name.
#[derive(Default)]
struct Node {
    text: Option<String>,
    children: IndexMap<String, Node>,
}

impl Node {
    fn insert<'a>(&mut self, mut path: impl Iterator<Item = &'a str>, value: String) {
        match path.next() {
            Some(step) => self.children.entry(step.to_owned()).or_default().insert(path, value),
            None => self.text = Some(value),
        }
    }

    /// Returns the numbered children in order, or the name of one that has no number.
    fn numbered(self) -> Result<Vec<Node>, String> {
        let mut items = Vec::new();
        for (name, node) in self.children {
            match name.parse::<u32>() {
                Ok(number) => items.push((number, node)),
                Err(_) => return Err(name),
            }
        }
        items.sort_by_key(|(number, _)| *number);
        Ok(items.into_iter().map(|(_, node)| node).collect())
    }
}

struct Parser<'a> {
    service: &'a str,
    constraints: Constraints<'a>,
    model: &'a Model,
}

impl Parser<'_> {
    fn value(&self, reference: &Reference, node: Node, path: &str) -> Result<Value, AwsError> {
        let Some(shape) = self.model.shape(&reference.shape) else {
            return Err(self.constraints.unknown(path));
        };
        match shape.kind {
            Kind::Structure => self.structure(shape, node, path),
            Kind::List => self.list(shape, shape.flattened || reference.flattened, node, path),
            Kind::Map => self.map(shape, shape.flattened || reference.flattened, node, path),
            _ => self.scalar(shape, node, path),
        }
    }

    fn structure(&self, shape: &Shape, node: Node, path: &str) -> Result<Value, AwsError> {
        let mut members = Map::new();
        for (name, node) in node.children {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            let mut found = shape.members.iter();
            let Some((member, reference)) = found.find(|(member, reference)| self.wire_name(member, reference) == name)
            else {
                return Err(self.constraints.unknown(&path));
            };
            members.insert(member.clone(), self.value(reference, node, &path)?);
        }
        match shape.required.iter().find(|member| !members.contains_key(*member)) {
            Some(missing) => Err(self.constraints.missing(path, missing)),
            None => Ok(Value::Object(members)),
        }
    }

    fn wire_name(&self, member: &str, reference: &Reference) -> String {
        match &reference.query_name {
            Some(name) => name.clone(),
            None if self.service == "ec2" => upper_first(reference.wire_name(member)),
            None => reference.wire_name(member).to_owned(),
        }
    }

    /// Parses `Name.member.1`, `Name.ELEMENT.1`, or `Name.1` for a flattened list and those of EC2. `Name=` is an empty list.
    fn list(&self, shape: &Shape, flattened: bool, node: Node, path: &str) -> Result<Value, AwsError> {
        let Some(item) = &shape.member else {
            return Err(self.constraints.unknown(path));
        };
        let node = if flattened || self.service == "ec2" {
            node
        } else {
            self.wrapped(node, &["member", item.wire_name("member")], path)?
        };
        let items = node
            .numbered()
            .map_err(|name| self.constraints.unknown(&format!("{path}.{name}")))?;
        self.constraints.check_size(shape, items.len(), path)?;
        let parsed = items.into_iter().enumerate();
        parsed
            .map(|(at, node)| self.value(item, node, &format!("{path}.{}", at + 1)))
            .collect()
    }

    /// Parses `Name.entry.1.key` and `Name.entry.1.value`.
    fn map(&self, shape: &Shape, flattened: bool, node: Node, path: &str) -> Result<Value, AwsError> {
        let (Some(key), Some(value)) = (&shape.key, &shape.value) else {
            return Err(self.constraints.unknown(path));
        };
        let node = if flattened {
            node
        } else {
            self.wrapped(node, &["entry"], path)?
        };
        let mut entries = Map::new();
        for mut entry in node
            .numbered()
            .map_err(|name| self.constraints.unknown(&format!("{path}.{name}")))?
        {
            let mut part = |name: &str| entry.children.shift_remove(name).unwrap_or_default();
            let (name, node) = (part(key.wire_name("key")), part(value.wire_name("value")));
            if let Some(name) = entry.children.keys().next() {
                return Err(self.constraints.unknown(&format!("{path}.{name}")));
            }
            entries.insert(name.text.unwrap_or_default(), self.value(value, node, path)?);
        }
        Ok(Value::Object(entries))
    }

    /// Returns the only child, which must have one of these names.
    fn wrapped(&self, node: Node, names: &[&str], path: &str) -> Result<Node, AwsError> {
        let mut found = Node::default();
        for (name, child) in node.children {
            if !names.contains(&name.as_str()) {
                return Err(self.constraints.unknown(&format!("{path}.{name}")));
            }
            found = child;
        }
        Ok(found)
    }

    fn scalar(&self, shape: &Shape, node: Node, path: &str) -> Result<Value, AwsError> {
        if let Some(name) = node.children.keys().next() {
            return Err(self.constraints.unknown(&format!("{path}.{name}")));
        }
        let text = node.text.unwrap_or_default();
        let number = || text.parse::<f64>().ok().filter(|number| number.is_finite());
        match shape.kind {
            Kind::Boolean => {
                let text = text.to_ascii_lowercase();
                let valid = matches!(text.as_str(), "true" | "false");
                return if valid {
                    Ok(text.into())
                } else {
                    Err(self.constraints.invalid(path, &text))
                };
            }
            Kind::Integer | Kind::Long => match text.parse::<i64>() {
                Ok(_) => self
                    .constraints
                    .check_range(shape, number().unwrap_or_default(), path)?,
                Err(_) => return Err(self.constraints.invalid(path, &text)),
            },
            Kind::Double | Kind::Float => match number() {
                Some(number) => self.constraints.check_range(shape, number, path)?,
                None => return Err(self.constraints.invalid(path, &text)),
            },
            Kind::String => self.constraints.check_text(shape, &text, path)?,
            _ => {}
        }
        Ok(text.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(service: &str, body: &str) -> Result<Value, String> {
        let (parts, ()) = http::Request::post("/").body(()).unwrap().into_parts();
        let (action, _) = action(&parts, body.as_bytes()).unwrap();
        input(service, &action, &parts, body.as_bytes()).map_err(|error| error.code)
    }

    #[test]
    fn inputs_have_the_names_and_structures_of_the_api_reference() {
        for (service, body, expected) in [
            (
                "cloudformation",
                "Action=CreateStack&Version=2010-05-15&StackName=s&Tags.member.2.Key=b&Tags.member.2.Value=2&Tags.member.1.Key=a&Tags.member.1.Value=1&Capabilities=",
                json!({"StackName": "s", "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}], "Capabilities": []}),
            ),
            (
                "sns",
                "Action=CreateTopic&Name=t&Attributes.entry.1.key=DisplayName&Attributes.entry.1.value=v",
                json!({"Name": "t", "Attributes": {"DisplayName": "v"}}),
            ),
            (
                "rds",
                "Action=DescribeDBInstances&Filters.Filter.1.Name=n&Filters.Filter.1.Values.Value.1=a",
                json!({"Filters": [{"Name": "n", "Values": ["a"]}]}),
            ),
            (
                "ec2",
                "Action=DescribeSubnets&Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1&SubnetId.1=subnet-1&DryRun=True",
                json!({"Filters": [{"Name": "vpc-id", "Values": ["vpc-1"]}], "SubnetIds": ["subnet-1"], "DryRun": "true"}),
            ),
            (
                "ec2",
                "Action=AuthorizeSecurityGroupIngress&GroupId=sg-1&IpPermissions.1.Groups.1.GroupId=sg-2&IpPermissions.1.IpRanges.1.CidrIp=10.0.0.0/8",
                json!({"GroupId": "sg-1", "IpPermissions": [{"UserIdGroupPairs": [{"GroupId": "sg-2"}], "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]}),
            ),
        ] {
            assert_eq!(parsed(service, body), Ok(expected), "{body}");
        }
    }

    #[test]
    fn what_the_model_does_not_allow_has_the_code_of_the_service() {
        for (service, body, code) in [
            ("ec2", "Action=CreateVpc&Cidr=10.0.0.0/16", "UnknownParameter"),
            ("ec2", "Action=DeleteVpc", "MissingParameter"),
            ("ec2", "Action=DescribeVpcs&MaxResults=many", "InvalidParameterValue"),
            ("ec2", "Action=DescribeVpcs&DryRun=maybe", "InvalidParameterValue"),
            ("ec2", "Action=DescribeVpcs&VpcId.x=vpc-1", "UnknownParameter"),
            (
                "ec2",
                "Action=CreateVpc&InstanceTenancy=shared",
                "InvalidParameterValue",
            ),
            ("ec2", "Action=RunInstances", "NotImplemented"),
            ("rds", "Action=DeleteDBInstance", "MissingParameter"),
            (
                "rds",
                "Action=DescribeDBInstances&DBInstanceIdentifiers=a",
                "InvalidParameterValue",
            ),
            ("iam", "Action=GetRole&RoleName=", "ValidationError"),
            (
                "cloudformation",
                "Action=CreateStack&StackName=s&Tags.member.1.Key=a",
                "ValidationError",
            ),
            (
                "cloudformation",
                "Action=CreateStack&StackName.a.b=s",
                "ValidationError",
            ),
            ("sts", "Action=GetCallerIdentity&Name=a", "ValidationError"),
        ] {
            assert_eq!(parsed(service, body), Err(code.to_owned()), "{body}");
        }
    }
}
