//! What CloudFormation knows of each resource type: its properties, and which of them replace the resource.
//!
//! `resources.json` holds AWS's resource provider schemas as cfn-lint ships them, without their prose;
//! `scripts/resource-schemas` renews it. Pure.

mod validate;

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use serde::Serialize;
use serde_json::Value;

pub use validate::{Fault, check};

/// The schemas as text, one type a line: a command needs few of them, so each is parsed when it is asked for.
static TEXT: &str = include_str!("resources.json");
static PARSED: LazyLock<Mutex<HashMap<String, &'static Schema>>> = LazyLock::new(Mutex::default);

/// The schema of one resource type (CloudFormation CLI: "Resource type schema").
#[derive(Debug)]
pub struct Schema(Value);

/// Whether a change of a property makes a new resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Recreation {
    Never,
    /// Nobody knows: the type is unknown here.
    #[default]
    Unknown,
    /// It depends on the new value.
    Conditionally,
    Always,
}

/// The schema of a type such as `AWS::RDS::DBInstance`; none for a type that this project does not use.
pub fn of(kind: &str) -> Option<&'static Schema> {
    let mut parsed = PARSED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(known) = parsed.get(kind) {
        return Some(known);
    }
    let line = TEXT
        .lines()
        .find_map(|line| line.strip_prefix(&format!("\"{kind}\": ")))?;
    let value = serde_json::from_str(line.trim_end_matches(',')).ok()?;
    // Kept for the life of the process, as the text is: there are some fifty types.
    let schema: &'static Schema = Box::leak(Box::new(Schema(value)));
    parsed.insert(kind.to_owned(), schema);
    Some(schema)
}

impl Schema {
    /// What changing the property at this path does; steps into lists are left out of the path.
    pub fn recreation(&self, path: &[&str]) -> Recreation {
        if self.lists("createOnlyProperties", path) {
            Recreation::Always
        } else if self.lists("conditionalCreateOnlyProperties", path) {
            Recreation::Conditionally
        } else {
            Recreation::Never
        }
    }

    /// The schema of the property at this path, references followed.
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

    /// Whether the order of this list means nothing.
    pub fn is_unordered(&self, path: &[&str]) -> bool {
        self.property(path)
            .is_some_and(|schema| schema["insertionOrder"] == false)
    }

    /// The IAM actions that making, reading, changing and deleting such a resource takes.
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
            let mut given = path.iter();
            // The pointer names the property or something around it; a change of a whole object counts for its parts.
            loop {
                match (steps.next(), given.next()) {
                    (None, _) => return true,
                    (Some(_), None) => return true,
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

    fn recreation(kind: &str, path: &[&str]) -> Recreation {
        of(kind).expect("a known type").recreation(path)
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
