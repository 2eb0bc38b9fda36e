//! Typed CloudFormation templates: resources, references, intrinsic functions.
//!
//! A reference cannot dangle: [`Template::add`] and [`Template::parameter`] return handles, and only handles make `Ref`
//! and `Fn::GetAtt`.

mod resource;
mod value;

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

pub use resource::{Handle, Resource};
pub use value::{base64, join, pseudo, sub};

/// Maximum size of a template that a request may carry, in bytes (AWS CloudFormation User Guide: "Understand CloudFormation
/// quotas").
pub const MAX_INLINE_BYTES: usize = 51_200;
/// Maximum size of a template in S3: 1 MB in the quotas, 1000000 bytes in CloudFormation's own error.
pub const MAX_BYTES: usize = 1_000_000;

/// A CloudFormation template under construction. Its JSON keeps the order in which things were added.
///
/// ```
/// use cfn::template::{Resource, Template, sub};
///
/// let mut template = Template::new("A queue");
/// let name = template.parameter("Name", "String", "The queue's name");
/// let queue = template.add(
///     "Queue",
///     Resource::new("AWS::SQS::Queue").with("QueueName", name.reference()),
/// );
/// template.output("Arn", "The queue's ARN", queue.attribute("Arn"));
/// assert_eq!(template.to_json()["Resources"]["Queue"]["Properties"]["QueueName"]["Ref"], "Name");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Template {
    description: String,
    parameters: IndexMap<String, Value>,
    resources: IndexMap<String, Resource>,
    outputs: IndexMap<String, Value>,
}

/// A template's parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter(String);

impl Parameter {
    /// Returns a `Ref` to the parameter.
    pub fn reference(&self) -> Value {
        json!({ "Ref": self.0 })
    }
}

impl Template {
    /// Returns an empty template.
    pub fn new(description: impl Into<String>) -> Self {
        Self {
            description: description.into(),
            ..Self::default()
        }
    }

    /// Adds a parameter of a type such as `String` or `List<AWS::EC2::Subnet::Id>`; a name that exists returns the first.
    pub fn parameter(&mut self, name: &str, parameter_type: &str, description: &str) -> Parameter {
        self.parameters
            .entry(name.to_owned())
            .or_insert_with(|| json!({ "Type": parameter_type, "Description": description }));
        Parameter(name.to_owned())
    }

    /// Adds a resource under a new logical ID.
    ///
    /// # Panics
    /// The template has the logical ID already.
    pub fn add(&mut self, logical_id: impl Into<String>, resource: Resource) -> Handle {
        let logical_id = logical_id.into();
        debug_assert!(
            logical_id.chars().all(|c| c.is_ascii_alphanumeric()),
            "{logical_id} is not a logical ID"
        );
        let former = self.resources.insert(logical_id.clone(), resource);
        assert!(former.is_none(), "the template has the logical ID {logical_id} already");
        Handle::new(logical_id)
    }

    /// Adds an output.
    pub fn output(&mut self, name: &str, description: &str, value: Value) {
        let body = [("Description", description.into()), ("Value", value)];
        let body: Map<String, Value> = body.map(|(key, value)| (key.to_owned(), value)).into_iter().collect();
        self.outputs.insert(name.to_owned(), body.into());
    }

    /// Returns the template as CloudFormation reads it.
    pub fn to_json(&self) -> Value {
        let mut body = Map::new();
        body.insert("AWSTemplateFormatVersion".into(), "2010-09-09".into());
        body.insert("Description".into(), self.description.clone().into());
        if !self.parameters.is_empty() {
            body.insert("Parameters".into(), json!(self.parameters));
        }
        let resources: Map<String, Value> = self
            .resources
            .iter()
            .map(|(id, resource)| (id.clone(), resource.to_json()))
            .collect();
        body.insert("Resources".into(), resources.into());
        if !self.outputs.is_empty() {
            body.insert("Outputs".into(), json!(self.outputs));
        }
        Value::Object(body)
    }
}

/// Returns a logical ID made of names: `patient-service` and `LogGroup` become `PatientServiceLogGroup`.
pub fn logical_id(names: &[&str]) -> String {
    names
        .iter()
        .flat_map(|name| name.split(|c: char| !c.is_ascii_alphanumeric()))
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (first, rest) = part.split_at(1);
            first.to_ascii_uppercase() + rest
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_keeps_the_order_in_which_it_was_written() {
        let mut template = Template::new("two queues");
        let name = template.parameter("Name", "String", "a name");
        let first = template.add(
            "First",
            Resource::new("AWS::SQS::Queue").with("QueueName", name.reference()),
        );
        template.add(
            "Second",
            Resource::new("AWS::SQS::Queue")
                .with("QueueName", sub("${First.QueueName}-dead", []))
                .depends_on(&first)
                .retained(),
        );
        template.output("Arn", "the first's", first.attribute("Arn"));
        insta::assert_snapshot!(template.to_json(), @r#"{"AWSTemplateFormatVersion":"2010-09-09","Description":"two queues","Parameters":{"Name":{"Type":"String","Description":"a name"}},"Resources":{"First":{"Type":"AWS::SQS::Queue","Properties":{"QueueName":{"Ref":"Name"}}},"Second":{"Type":"AWS::SQS::Queue","DependsOn":"First","DeletionPolicy":"Retain","UpdateReplacePolicy":"Retain","Properties":{"QueueName":{"Fn::Sub":"${First.QueueName}-dead"}}}},"Outputs":{"Arn":{"Description":"the first's","Value":{"Fn::GetAtt":["First","Arn"]}}}}"#);
    }

    #[test]
    fn logical_ids_are_made_of_names() {
        assert_eq!(logical_id(&["patient-service", "LogGroup"]), "PatientServiceLogGroup");
        assert_eq!(logical_id(&["patient.dlq", "Topic"]), "PatientDlqTopic");
    }
}
