//! XML responses of awsQuery and ec2Query, rendered by the model of the operation.

use serde_json::Value;

use super::model::{Kind, Model, Operation, Reference, Shape};
use super::strict;
use crate::error::AwsError;

/// Reports what an output has that the model of its operation has not.
pub fn check_output(service: &str, operation: &str, output: &Value) {
    members(&mut String::new(), service, operation, output);
}

/// Renders `<OpResponse><OpResult>…</OpResult><ResponseMetadata>…`.
pub fn query(service: &str, operation: &str, id: &str, output: &Value) -> String {
    let namespace = namespace(service);
    let mut out = format!("<{operation}Response xmlns=\"{namespace}\">");
    let wrapper = found(service, operation).and_then(|(_, operation)| operation.wrapper.as_deref());
    if let Some(wrapper) = wrapper {
        out.push_str(&format!("<{wrapper}>"));
    }
    members(&mut out, service, operation, output);
    if let Some(wrapper) = wrapper {
        out.push_str(&format!("</{wrapper}>"));
    }
    out.push_str(&format!(
        "<ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{operation}Response>"
    ));
    out
}

/// Renders `<ErrorResponse><Error>…`.
pub fn query_error(service: &str, id: &str, error: &AwsError) -> String {
    let side = if error.status < 500 { "Sender" } else { "Receiver" };
    format!(
        "<ErrorResponse xmlns=\"{}\"><Error><Type>{side}</Type><Code>{}</Code><Message>{}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>",
        namespace(service),
        escape(&error.code),
        escape(&error.message)
    )
}

/// Renders `<OpResponse><requestId>…`; an operation without output has `<return>true</return>`.
pub fn ec2(operation: &str, id: &str, output: &Value) -> String {
    let namespace = namespace("ec2");
    let mut out = format!("<{operation}Response xmlns=\"{namespace}\"><requestId>{id}</requestId>");
    match found("ec2", operation) {
        Some((_, Operation { output: None, .. })) => out.push_str("<return>true</return>"),
        _ => members(&mut out, "ec2", operation, output),
    }
    out.push_str(&format!("</{operation}Response>"));
    out
}

/// Renders `<Response><Errors><Error>…`.
pub fn ec2_error(id: &str, error: &AwsError) -> String {
    format!(
        "<Response><Errors><Error><Code>{}</Code><Message>{}</Message></Error></Errors><RequestID>{id}</RequestID></Response>",
        escape(&error.code),
        escape(&error.message)
    )
}

fn namespace(service: &str) -> &'static str {
    Model::of(service).map_or("http://aws.amazon.com/", |model| &model.namespace)
}

fn found(service: &str, operation: &str) -> Option<(&'static Model, &'static Operation)> {
    let model = Model::of(service)?;
    Some((model, model.operation(operation)?))
}

/// Renders the members of an output. Those that the model lacks are left out and reported.
fn members(out: &mut String, service: &str, operation: &str, output: &Value) {
    let Some((model, found)) = found(service, operation) else {
        return strict::report(service, operation, &["the operation has no model".to_owned()]);
    };
    let unknown = Vec::new();
    let mut renderer = Renderer { model, out, unknown };
    match found.output.as_deref().and_then(|name| model.shape(name)) {
        Some(shape) => renderer.members(shape, output),
        None => renderer.nothing(output),
    }
    strict::report(service, operation, &renderer.unknown);
}

struct Renderer<'a> {
    model: &'a Model,
    out: &'a mut String,
    unknown: Vec<String>,
}

impl Renderer<'_> {
    fn element(&mut self, tag: &str, reference: &Reference, value: &Value) {
        let Some(shape) = self.model.shape(&reference.shape) else {
            return self.unknown.push(reference.shape.clone());
        };
        if let (Kind::List, Value::Array(list), Some(item)) = (shape.kind, value, &shape.member)
            && (shape.flattened || reference.flattened)
        {
            let tag = item.location_name.as_deref().unwrap_or(tag);
            for value in list {
                self.element(tag, item, value);
            }
            return;
        }
        self.out.push_str(&format!("<{tag}>"));
        self.content(shape, value);
        self.out.push_str(&format!("</{tag}>"));
    }

    fn content(&mut self, shape: &Shape, value: &Value) {
        match (shape.kind, value) {
            (Kind::Structure, Value::Object(_)) => self.members(shape, value),
            (Kind::List, Value::Array(list)) => {
                if let Some(item) = &shape.member {
                    let tag = item.wire_name("member");
                    for value in list {
                        self.element(tag, item, value);
                    }
                }
            }
            (Kind::Map, Value::Object(entries)) => {
                for (name, value) in entries {
                    self.out.push_str(&format!("<entry><key>{}</key>", escape(name)));
                    if let Some(reference) = &shape.value {
                        self.element("value", reference, value);
                    }
                    self.out.push_str("</entry>");
                }
            }
            (Kind::Structure | Kind::List | Kind::Map, other) => self.unknown.push(other.to_string()),
            (_, Value::String(text)) => self.out.push_str(&escape(text)),
            (_, Value::Number(_) | Value::Bool(_)) => self.out.push_str(&value.to_string()),
            (_, other) => self.unknown.push(other.to_string()),
        }
    }

    fn members(&mut self, shape: &Shape, value: &Value) {
        for (name, value) in value.as_object().into_iter().flatten() {
            match shape.members.get(name) {
                _ if value.is_null() => {}
                Some(reference) => self.element(reference.wire_name(name), reference, value),
                None => self.unknown.push(name.clone()),
            }
        }
    }

    fn nothing(&mut self, output: &Value) {
        let members = output.as_object().into_iter().flatten();
        self.unknown.extend(members.map(|(name, _)| name.clone()));
    }
}

/// Escapes text for XML; characters that XML 1.0 does not allow become U+FFFD.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#xD;"),
            '\n' | '\t' => out.push(c),
            c if (c as u32) < 0x20 || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn elements_have_the_names_of_the_model() {
        let rds =
            json!({"DBInstances": [{"DBInstanceIdentifier": "x & y", "VpcSecurityGroups": [{"Status": "active"}]}]});
        let stacks = json!({"StackSummaries": [{"StackName": "s", "ParentId": null}]});
        let topic = json!({"Attributes": {"DisplayName": "d"}});
        let groups = json!({"SecurityGroups": [{"Description": "d", "Tags": [{"Key": "k"}], "IpPermissions": [{"UserIdGroupPairs": [{"GroupId": "g"}]}]}]});
        let addresses = json!({"Addresses": [], "Zones": 1});
        for (service, operation, output, expected) in [
            (
                "rds",
                "DescribeDBInstances",
                rds,
                "<DescribeDBInstancesResult><DBInstances><DBInstance><DBInstanceIdentifier>x &amp; y</DBInstanceIdentifier><VpcSecurityGroups><VpcSecurityGroupMembership><Status>active</Status>",
            ),
            (
                "cloudformation",
                "ListStacks",
                stacks,
                "<StackSummaries><member><StackName>s</StackName></member></StackSummaries>",
            ),
            (
                "sns",
                "GetTopicAttributes",
                topic,
                "<Attributes><entry><key>DisplayName</key><value>d</value></entry></Attributes>",
            ),
            (
                "ec2",
                "DescribeSecurityGroups",
                groups,
                "<securityGroupInfo><item><groupDescription>d</groupDescription><tagSet><item><key>k</key></item></tagSet><ipPermissions><item><groups><item><groupId>g</groupId></item></groups></item></ipPermissions></item></securityGroupInfo>",
            ),
            (
                "ec2",
                "DescribeAddresses",
                addresses,
                "</requestId><addressesSet></addressesSet></DescribeAddressesResponse>",
            ),
            ("ec2", "DeleteVpc", json!({}), "<return>true</return>"),
        ] {
            let rendered = match service {
                "ec2" => ec2(operation, "1", &output),
                _ => query(service, operation, "1", &output),
            };
            assert!(rendered.contains(expected), "{rendered}");
        }
    }
}
