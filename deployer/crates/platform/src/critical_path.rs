//! The critical path: the longest chain of resources and stacks of a deployment.

use std::collections::HashMap;

use cfn::diff::{Action, Change};
use cfn::references::{Reference, references};
use cfn::schema::Recreation;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::stacks::Stack;

/// An operation on a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// The resource is created, or replaced by a new one.
    Create,
    /// The resource is updated in place.
    Update,
    /// The resource is deleted.
    Delete,
}

/// The expected duration of an operation, and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Expected {
    /// The duration.
    pub seconds: f64,
    /// The origin of the duration.
    pub source: DurationSource,
}

/// The source of an expected duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DurationSource {
    /// The median of earlier deployments to the same endpoint.
    History,
    /// The averages that `rain forecast` ships.
    Table,
}

/// Returns the expected duration of an operation on a resource type; `None` if it was never measured.
pub type Durations<'a> = &'a dyn Fn(&str, Operation) -> Option<Expected>;

/// One resource of the path.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// The stack's short name.
    pub stack: String,
    /// The resource's logical ID.
    #[serde(rename = "resource")]
    pub logical_id: String,
    /// The resource's type.
    pub resource_type: String,
    /// The operation on it.
    pub operation: Operation,
    /// `None` if it was never measured; it counts as 0.
    pub seconds: Option<f64>,
    /// The origin of the duration.
    pub source: Option<DurationSource>,
}

/// The duration of one stack by itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StackEstimate {
    /// The stack's full name.
    pub stack: String,
    /// The number of changed resources.
    pub changes: usize,
    /// The duration.
    pub seconds: f64,
    /// Its longest chain of resources, first to last.
    pub path: Vec<Step>,
}

/// The duration of a deployment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// The duration.
    pub seconds: f64,
    /// The longest chain through all stacks, first to last.
    pub critical: Vec<Step>,
    /// Each stack by itself.
    pub stacks: Vec<StackEstimate>,
    /// Changed types that were never measured.
    pub unknown: Vec<String>,
}

/// Returns the duration of a deployment; stacks in the plan's order, each with its changes.
pub fn estimate(stacks: &[(&Stack, Vec<Change>)], durations: Durations) -> Estimate {
    let mut ends: HashMap<&str, (f64, Vec<Step>)> = HashMap::new();
    let mut alone = Vec::new();
    for (stack, changes) in stacks {
        let own = within(stack, changes, durations);
        let before = stack.depends_on.iter().filter_map(|name| ends.get(name.as_str()));
        let (start, mut path) = before.max_by(|a, b| a.0.total_cmp(&b.0)).cloned().unwrap_or_default();
        path.extend(own.path.iter().cloned());
        ends.insert(&stack.name, (start + own.seconds, path));
        alone.push(own);
    }
    // Of equally long chains the first in the plan's order, so that the result is always the same.
    let (mut seconds, mut critical) = (0.0, Vec::new());
    for end in stacks.iter().filter_map(|(stack, _)| ends.remove(stack.name.as_str())) {
        if end.0 > seconds {
            (seconds, critical) = end;
        }
    }
    let mut unknown: Vec<String> = stacks
        .iter()
        .flat_map(|(_, changes)| changes)
        .filter(|change| durations(&change.resource_type, operation(change)).is_none())
        .map(|change| change.resource_type.clone())
        .collect();
    unknown.sort();
    unknown.dedup();
    Estimate {
        seconds,
        critical,
        stacks: alone,
        unknown,
    }
}

fn operation(change: &Change) -> Operation {
    match (change.action, change.replacement) {
        (Action::Add | Action::Import, _) | (_, Recreation::Always) => Operation::Create,
        (Action::Remove, _) => Operation::Delete,
        _ => Operation::Update,
    }
}

/// Returns the duration of one stack by itself: its longest chain of changed resources.
pub fn within(stack: &Stack, changes: &[Change], durations: Durations) -> StackEstimate {
    let empty = Map::new();
    let resources = stack.template["Resources"].as_object().unwrap_or(&empty);
    let by_name: HashMap<&str, &Change> = changes
        .iter()
        .map(|change| (change.logical_id.as_str(), change))
        .collect();
    let mut graph = Graph {
        stack,
        resources,
        changes: by_name,
        durations,
        ends: HashMap::new(),
    };
    let mut longest = (0.0, Vec::new());
    for name in resources.keys() {
        let end = graph.end(name, 0);
        if end.0 > longest.0 {
            longest = end;
        }
    }
    StackEstimate {
        stack: stack.name.clone(),
        changes: changes.len(),
        seconds: longest.0,
        path: longest.1,
    }
}

struct Graph<'a> {
    stack: &'a Stack,
    resources: &'a Map<String, Value>,
    changes: HashMap<&'a str, &'a Change>,
    durations: Durations<'a>,
    ends: HashMap<String, (f64, Vec<Step>)>,
}

impl Graph<'_> {
    /// Returns the seconds from the stack's start to this resource's end, and the path to it.
    fn end(&mut self, name: &str, depth: usize) -> (f64, Vec<Step>) {
        if let Some(known) = self.ends.get(name) {
            return known.clone();
        }
        // CloudFormation rejects a circle.
        let dependencies = if depth > self.resources.len() {
            Vec::new()
        } else {
            self.dependencies(name)
        };
        let (mut seconds, mut path) = (0.0, Vec::new());
        for dependency in dependencies {
            let end = self.end(&dependency, depth + 1);
            if end.0 > seconds {
                (seconds, path) = end;
            }
        }
        if let Some(change) = self.changes.get(name) {
            let operation = operation(change);
            let expected = (self.durations)(&change.resource_type, operation);
            seconds += expected.map_or(0.0, |expected| expected.seconds);
            if expected.is_some() {
                path.push(Step {
                    stack: self.stack.short_name.clone(),
                    logical_id: name.to_owned(),
                    resource_type: change.resource_type.clone(),
                    operation,
                    seconds: expected.map(|expected| expected.seconds),
                    source: expected.map(|expected| expected.source),
                });
            }
        }
        self.ends.insert(name.to_owned(), (seconds, path.clone()));
        (seconds, path)
    }

    fn dependencies(&self, name: &str) -> Vec<String> {
        let resource = &self.resources[name];
        let referenced = references(resource, &|_| None)
            .into_iter()
            .filter_map(|reference| match reference {
                Reference::Name(name) | Reference::Attribute(name, _) => Some(name),
                _ => None,
            });
        let explicit = match &resource["DependsOn"] {
            Value::String(one) => vec![one.clone()],
            Value::Array(several) => several.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        referenced
            .chain(explicit)
            .filter(|other| other != name && self.resources.contains_key(other))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use cfn::diff::compare;

    fn stack(name: &str, depends_on: &[&str], resources: &Value) -> Stack {
        Stack {
            name: name.into(),
            short_name: name.into(),
            template: json!({ "Resources": resources }),
            parameters: Vec::new(),
            depends_on: depends_on.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn measured(resource_type: &str, _: Operation) -> Option<Expected> {
        let seconds = match resource_type {
            "AWS::MSK::Cluster" => 1800.0,
            "AWS::RDS::DBInstance" => 600.0,
            "AWS::EC2::NatGateway" => 100.0,
            "AWS::ElasticLoadBalancingV2::LoadBalancer" => 110.0,
            "AWS::ECS::Service" => 120.0,
            _ => return None,
        };
        let source = DurationSource::Table;
        Some(Expected { seconds, source })
    }

    #[test]
    fn the_longest_chain_through_resources_and_stacks_decides() {
        let network = stack("network", &[], &json!({"Nat": {"Type": "AWS::EC2::NatGateway"}}));
        let data = stack("data", &["network"], &json!({"Db": {"Type": "AWS::RDS::DBInstance"}}));
        let messaging = stack(
            "messaging",
            &["network"],
            &json!({"Kafka": {"Type": "AWS::MSK::Cluster"}}),
        );
        let service = stack(
            "service",
            &["data", "messaging"],
            &json!({
                "Balancer": {"Type": "AWS::ElasticLoadBalancingV2::LoadBalancer"},
                "Service": {"Type": "AWS::ECS::Service", "DependsOn": "Balancer"},
                "Log": {"Type": "AWS::Logs::LogGroup"},
            }),
        );
        let all = [&network, &data, &messaging, &service];
        let changes: Vec<_> = all
            .iter()
            .map(|stack| (*stack, compare(None, &stack.template)))
            .collect();
        let found = estimate(&changes, &measured);
        let path: Vec<&str> = found.critical.iter().map(|step| step.logical_id.as_str()).collect();
        assert_eq!(path, ["Nat", "Kafka", "Balancer", "Service"]);
        assert!(
            (found.seconds - (100.0 + 1800.0 + 110.0 + 120.0)).abs() < 1e-9,
            "{}",
            found.seconds
        );
        assert_eq!(found.unknown, ["AWS::Logs::LogGroup"]);
    }

    #[test]
    fn what_was_never_measured_counts_as_nothing() {
        let data = stack("data", &[], &json!({"Db": {"Type": "AWS::RDS::DBInstance"}}));
        let changes = [(&data, compare(None, &data.template))];
        let seconds = estimate(&changes, &|_, _| None).seconds;
        assert!(seconds.abs() < 1e-9, "{seconds}");
    }
}
