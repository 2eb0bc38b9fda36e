//! AWS's models of the services: their operations, and the shapes of inputs and outputs (see `models/README.md`).

use std::collections::HashMap;
use std::sync::OnceLock;

use indexmap::IndexMap;
use serde::Deserialize;

/// A service's signing name, its API version, its model as JSON, and the model once it was needed.
struct Source(&'static str, &'static str, &'static str, OnceLock<Model>);

macro_rules! sources {
    ($($name:literal: $version:literal,)*) => {
        [$(Source($name, $version, include_str!(concat!("../../models/", $name, ".json")), OnceLock::new()),)*]
    };
}

static SOURCES: [Source; 19] = sources! {
    "application-autoscaling": "2016-02-06",
    "cloudformation": "2010-05-15",
    "ec2": "2016-11-15",
    "ecr": "2015-09-21",
    "ecs": "2014-11-13",
    "elasticloadbalancing": "2015-12-01",
    "iam": "2010-05-08",
    "kafka": "2018-11-14",
    "kms": "2014-11-01",
    "logs": "2014-03-28",
    "monitoring": "2010-08-01",
    "rds": "2014-10-31",
    "secretsmanager": "2017-10-17",
    "servicediscovery": "2017-03-14",
    "servicequotas": "2019-06-24",
    "ses": "2019-09-27",
    "sns": "2010-03-31",
    "ssm": "2014-11-06",
    "sts": "2011-06-15",
};

/// Returns the signing name of the service with an API version, for requests without a signature.
pub fn service_of_version(version: &str) -> Option<&'static str> {
    let found = SOURCES.iter().find(|source| source.1 == version);
    found.map(|source| source.0)
}

/// The model of one service.
#[derive(Default, Deserialize)]
pub struct Model {
    /// The XML namespace of its responses; empty for a service without the query protocol.
    pub namespace: String,
    operations: HashMap<String, Operation>,
    shapes: HashMap<String, Shape>,
}

impl Model {
    /// Returns the model of a service by its signing name; `None` for one that this endpoint does not have, and for Amazon S3.
    pub fn of(service: &str) -> Option<&'static Self> {
        let source = SOURCES.iter().find(|source| source.0 == service)?;
        Some(
            source
                .3
                .get_or_init(|| serde_json::from_str(source.2).unwrap_or_default()),
        )
    }

    /// Returns the signing names of the services that have a model.
    pub fn services() -> impl Iterator<Item = &'static str> {
        SOURCES.iter().map(|source| source.0)
    }

    /// Returns the operations with their names.
    pub fn operations(&self) -> impl Iterator<Item = (&str, &Operation)> {
        self.operations
            .iter()
            .map(|(name, operation)| (name.as_str(), operation))
    }

    /// Returns an operation.
    pub fn operation(&self, name: &str) -> Option<&Operation> {
        self.operations.get(name)
    }

    /// Returns the operations of a REST service with their HTTP methods and path templates.
    pub fn routes(&self) -> impl Iterator<Item = (&str, &[String; 2])> {
        let operations = self.operations.iter();
        operations.filter_map(|(name, operation)| Some((name.as_str(), operation.http.as_ref()?)))
    }

    /// Returns a shape; the models name none that they do not have.
    pub fn shape(&self, name: &str) -> Option<&Shape> {
        self.shapes.get(name)
    }
}

/// One operation.
#[derive(Deserialize)]
pub struct Operation {
    /// The shape of the input.
    pub input: Option<String>,
    /// The shape of the output.
    pub output: Option<String>,
    /// The element around the members of the output in the query protocol.
    pub wrapper: Option<String>,
    /// The HTTP method and the path template of a REST operation, such as `/v1/clusters/{clusterArn}`.
    pub http: Option<[String; 2]>,
}

/// The type of a value, with its constraints.
#[derive(Deserialize)]
pub struct Shape {
    /// The kind of value.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The members of a structure.
    #[serde(default)]
    pub members: IndexMap<String, Reference>,
    /// The members that a structure must have.
    #[serde(default)]
    pub required: Vec<String>,
    /// The items of a list.
    pub member: Option<Reference>,
    /// The keys of a map.
    pub key: Option<Reference>,
    /// The values of a map.
    pub value: Option<Reference>,
    /// True for a list without an element around its items.
    #[serde(default)]
    pub flattened: bool,
    /// The values that a text can have; empty for any.
    #[serde(rename = "enum", default)]
    pub values: Vec<String>,
    /// The least value of a number, or length of a text or a list.
    pub min: Option<f64>,
    /// The greatest value of a number, or length of a text or a list.
    pub max: Option<f64>,
}

/// Kinds of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Named members.
    Structure,
    /// Items of one type.
    List,
    /// Values of one type by text.
    Map,
    /// Text.
    String,
    /// A whole number of 32 bits.
    Integer,
    /// A whole number of 64 bits.
    Long,
    /// A number of 64 bits.
    Double,
    /// A number of 32 bits.
    Float,
    /// True or false.
    Boolean,
    /// A moment.
    Timestamp,
    /// Bytes, in base64 as JSON.
    Blob,
}

/// The use of a shape as a member, an item, a key or a value.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    /// The name of the shape.
    pub shape: String,
    /// The name on the wire, where it differs.
    pub location_name: Option<String>,
    /// The name in inputs of the ec2 protocol, where it differs from the location name in upper camel case.
    pub query_name: Option<String>,
    /// The part of a REST request that has the member: `uri`, `querystring`, `header`; the body without one.
    location: Option<String>,
    /// True for a list without an element around its items.
    #[serde(default)]
    pub flattened: bool,
}

impl Reference {
    /// Returns true for a member of a REST request's query string.
    pub fn is_in_query_string(&self) -> bool {
        self.location.as_deref() == Some("querystring")
    }

    /// Returns true for a member of a REST request's path or query string, which have text only.
    pub fn is_in_request_line(&self) -> bool {
        self.is_in_query_string() || self.location.as_deref() == Some("uri")
    }

    /// Returns the name on the wire of what the API reference calls `name`.
    pub fn wire_name<'a>(&'a self, name: &'a str) -> &'a str {
        self.location_name.as_deref().unwrap_or(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_is_whole() {
        for Source(service, ..) in &SOURCES {
            let model = Model::of(service).unwrap();
            assert!(!model.operations.is_empty(), "{service}");
            let operations = model.operations.values();
            let mut named: Vec<&String> = operations.flat_map(|one| one.input.iter().chain(&one.output)).collect();
            for shape in model.shapes.values() {
                let parts = [&shape.member, &shape.key, &shape.value];
                let references = shape.members.values().chain(parts.into_iter().flatten());
                named.extend(references.map(|reference| &reference.shape));
            }
            for name in named {
                assert!(model.shapes.contains_key(name), "{service} has no shape {name}");
            }
        }
    }
}
