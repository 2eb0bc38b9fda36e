//! CloudFormation's resource provider schemas: each type's properties, and which of them replace the resource.
//!
//! `resources.json` holds AWS's schemas as cfn-lint ships them, without their descriptions; `scripts/resource-schemas` renews it.

mod validate;

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

use serde::Serialize;
use serde_json::Value;

pub use validate::{PropertyError, PropertyProblem, validate};

/// The schemas by type. A command needs few of them, so each is parsed on its first use.
static SCHEMAS: LazyLock<HashMap<&str, Entry>> = LazyLock::new(|| {
    // One type a line: `"AWS::S3::Bucket": {…},`
    let line = |line: &'static str| {
        let (resource_type, schema) = line.strip_prefix('"')?.split_once("\": ")?;
        let (text, schema) = (schema.trim_end_matches(','), OnceLock::new());
        Some((resource_type, Entry { text, schema }))
    };
    include_str!("resources.json").lines().filter_map(line).collect()
});

struct Entry {
    text: &'static str,
    schema: OnceLock<Schema>,
}

/// The schema of one resource type (CloudFormation CLI: "Resource type schema").
#[derive(Debug)]
pub struct Schema(Value);

/// The effect of a changed property on its resource, in the terms of `RequiresRecreation` of a change set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Recreation {
    /// The resource is updated in place.
    Never,
    /// The type is not known here.
    #[default]
    Unknown,
    /// The new value decides.
    Conditionally,
    /// The resource is replaced.
    Always,
}

/// Returns the schema of a type such as `AWS::RDS::DBInstance`; `None` for a type that is not in `resources.json`.
pub fn of(resource_type: &str) -> Option<&'static Schema> {
    let entry = SCHEMAS.get(resource_type)?;
    let parse = || Schema(serde_json::from_str(entry.text).unwrap_or_default());
    Some(entry.schema.get_or_init(parse))
}

impl Schema {
    /// Returns the effect of changing the property at this path; the path leaves out the steps into lists.
    pub fn recreation(&self, path: &[&str]) -> Recreation {
        if self.lists("createOnlyProperties", path) {
            Recreation::Always
        } else if self.lists("conditionalCreateOnlyProperties", path) {
            Recreation::Conditionally
        } else {
            Recreation::Never
        }
    }

    /// Returns the schema of the property at this path, with references resolved.
    pub fn property(&self, path: &[&str]) -> Option<&Value> {
        let mut at = &self.0;
        for step in path {
            at = self.resolved(at);
            while let Some(items) = at.get("items") {
                at = self.resolved(items);
            }
            at = at.get("properties")?.get(step)?;
        }
        Some(self.resolved(at))
    }

    /// Returns true if the order of the list at this path has no meaning.
    pub fn is_unordered(&self, path: &[&str]) -> bool {
        self.property(path)
            .is_some_and(|schema| schema["insertionOrder"] == false)
    }

    /// Returns the IAM actions that creating, reading, updating and deleting such a resource requires.
    pub fn permissions(&self) -> impl Iterator<Item = &str> {
        let all = self.0["permissions"].as_array();
        all.into_iter().flatten().filter_map(Value::as_str)
    }

    fn lists(&self, key: &str, path: &[&str]) -> bool {
        let pointers = self.0[key].as_array().into_iter().flatten().filter_map(Value::as_str);
        pointers.into_iter().any(|pointer| {
            let mut steps = pointer
                .trim_start_matches("/properties/")
                .split('/')
                .filter(|step| *step != "*");
            let mut path = path.iter();
            // The pointer names the property or an object around it; a change of a complete object counts for its parts.
            loop {
                match (steps.next(), path.next()) {
                    (None, _) | (Some(_), None) => return true,
                    (Some(step), Some(name)) if step == *name => {}
                    _ => return false,
                }
            }
        })
    }

    fn resolved<'a>(&'a self, mut at: &'a Value) -> &'a Value {
        while let Some(name) = at["$ref"].as_str().and_then(|r| r.strip_prefix("#/definitions/")) {
            at = &self.0["definitions"][name];
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recreation(resource_type: &str, path: &[&str]) -> Recreation {
        of(resource_type).expect("a known type").recreation(path)
    }

    #[test]
    fn every_schema_is_an_object_with_properties() {
        assert!(SCHEMAS.len() > 40, "{}", SCHEMAS.len());
        for resource_type in SCHEMAS.keys() {
            let schema = of(resource_type).expect("a known type");
            assert!(schema.0["properties"].is_object(), "{resource_type}");
        }
    }

    #[test]
    fn a_property_replaces_its_resource_as_the_schema_says() {
        assert_eq!(
            recreation("AWS::RDS::DBInstance", &["StorageEncrypted"]),
            Recreation::Always
        );
        assert_eq!(
            recreation("AWS::RDS::DBInstance", &["AllocatedStorage"]),
            Recreation::Never
        );
        assert_eq!(
            recreation("AWS::RDS::DBInstance", &["MultiAZ"]),
            Recreation::Conditionally
        );
        let inside = ["BrokerNodeGroupInfo", "ClientSubnets"];
        assert_eq!(recreation("AWS::MSK::Cluster", &inside), Recreation::Always);
        let beside = ["BrokerNodeGroupInfo", "InstanceType"];
        assert_eq!(recreation("AWS::MSK::Cluster", &beside), Recreation::Never);
        let below = ["ContainerDefinitions", "Image"];
        assert_eq!(recreation("AWS::ECS::TaskDefinition", &below), Recreation::Always);
    }

    #[test]
    fn a_property_is_found_through_lists_and_references() {
        let schema = of("AWS::ECS::TaskDefinition").expect("a known type");
        let found = schema.property(&["ContainerDefinitions", "PortMappings", "ContainerPort"]);
        assert_eq!(found.expect("the property")["type"], "integer");
        assert!(of("AWS::SecurityGroupOfMine").is_none());
    }
}
