//! The critical path: the chain of resources and stacks that a deployment cannot be faster than.

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
    Create,
    Update,
    Delete,
}

/// The expected duration of an operation, and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Expected {
    pub seconds: f64,
    pub source: Source,
}

/// The source of an expected duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The median of earlier deployments to the same endpoint.
    History,
    /// The averages that `rain forecast` ships.
    Table,
}

/// Returns the expected duration of an operation on a resource type; `None` if it was never measured.
pub type Durations<'a> = &'a dyn Fn(&str, Operation) -> Option<Expected>;

/// One resource on the way.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    pub stack: String,
    pub resource: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub operation: Operation,
    /// None when nobody has measured such a resource; it counts as nothing.
    pub seconds: Option<f64>,
    pub source: Option<Source>,
}

/// What one stack takes by itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StackEstimate {
    pub stack: String,
    pub changes: usize,
    pub seconds: f64,
    /// Its longest chain of resources, first to last.
    pub path: Vec<Step>,
}

/// What the whole deployment takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    pub seconds: f64,
    /// The chain that decides, through all stacks, first to last.
    pub critical: Vec<Step>,
    pub stacks: Vec<StackEstimate>,
    /// Types that change and that nobody has measured.
    pub unknown: Vec<String>,
}

/// The time of a deployment that makes these changes; stacks in the plan's order, each with what changes in it.
pub fn estimate(stacks: &[(&Stack, Vec<Change>)], durations: Durations) -> Estimate {
    let mut ends: HashMap<&str, (f64, Vec<Step>)> = HashMap::new();
    let mut alone = Vec::new();
    for (stack, changes) in stacks {
        let own = within(stack, changes, durations);
        let before = stack.depends_on.iter().filter_map(|name| ends.get(name.as_str()));
        let (begun, mut path) = before.max_by(|a, b| a.0.total_cmp(&b.0)).cloned().unwrap_or_default();
        path.extend(own.path.iter().cloned());
        ends.insert(&stack.name, (begun + own.seconds, path));
        alone.push(own);
    }
    // Of several that take equally long, the first in the plan's order: the same answer each time.
    let (mut seconds, mut critical) = (0.0, Vec::new());
    for end in stacks.iter().filter_map(|(stack, _)| ends.remove(stack.name.as_str())) {
        if end.0 > seconds {
            (seconds, critical) = end;
        }
    }
    let mut unknown: Vec<String> = stacks
        .iter()
        .flat_map(|(_, changes)| changes)
        .filter(|change| durations(&change.kind, operation(change)).is_none())
        .map(|change| change.kind.clone())
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

/// The time of one stack by itself: its longest chain of resources that change.
pub fn within(stack: &Stack, changes: &[Change], durations: Durations) -> StackEstimate {
    let empty = Map::new();
    let resources = stack.template["Resources"].as_object().unwrap_or(&empty);
    let by_name: HashMap<&str, &Change> = changes
        .iter()
        .map(|change| (change.resource.as_str(), change))
        .collect();
    let mut walker = Walker {
        stack,
        resources,
        changes: by_name,
        durations,
        ends: HashMap::new(),
    };
    let mut longest = (0.0, Vec::new());
    for name in resources.keys() {
        let end = walker.end(name, 0);
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

struct Walker<'a> {
    stack: &'a Stack,
    resources: &'a Map<String, Value>,
    changes: HashMap<&'a str, &'a Change>,
    durations: Durations<'a>,
    ends: HashMap<String, (f64, Vec<Step>)>,
}

impl Walker<'_> {
    /// When this resource is done, in seconds from the stack's begin, and the way there.
    fn end(&mut self, name: &str, depth: usize) -> (f64, Vec<Step>) {
        if let Some(known) = self.ends.get(name) {
            return known.clone();
        }
        // A circle cannot be deployed; CloudFormation says so when it is tried.
        let needs = if depth > self.resources.len() {
            Vec::new()
        } else {
            self.needs(name)
        };
        let (mut seconds, mut path) = (0.0, Vec::new());
        for need in needs {
            let end = self.end(&need, depth + 1);
            if end.0 > seconds {
                (seconds, path) = end;
            }
        }
        if let Some(change) = self.changes.get(name) {
            let operation = operation(change);
            let expected = (self.durations)(&change.kind, operation);
            seconds += expected.map_or(0.0, |expected| expected.seconds);
            if expected.is_some() {
                path.push(Step {
                    stack: self.stack.short.clone(),
                    resource: name.to_owned(),
                    kind: change.kind.clone(),
                    operation,
                    seconds: expected.map(|expected| expected.seconds),
                    source: expected.map(|expected| expected.source),
                });
            }
        }
        self.ends.insert(name.to_owned(), (seconds, path.clone()));
        (seconds, path)
    }

    fn needs(&self, name: &str) -> Vec<String> {
        let resource = &self.resources[name];
        let named = references(resource, &|_| None)
            .into_iter()
            .filter_map(|reference| match reference {
                Reference::Name(name) | Reference::Attribute(name, _) => Some(name),
                _ => None,
            });
        let waits = match &resource["DependsOn"] {
            Value::String(one) => vec![one.clone()],
            Value::Array(several) => several.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        named
            .chain(waits)
            .filter(|other| other != name && self.resources.contains_key(other))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use cfn::diff::compare;

    fn stack(name: &str, depends_on: &[&str], resources: Value) -> Stack {
        Stack {
            name: name.into(),
            short: name.into(),
            template: json!({ "Resources": resources }),
            parameters: Vec::new(),
            depends_on: depends_on.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn measured(kind: &str, _: Operation) -> Option<Expected> {
        let seconds = match kind {
            "AWS::MSK::Cluster" => 1800.0,
            "AWS::RDS::DBInstance" => 600.0,
            "AWS::EC2::NatGateway" => 100.0,
            "AWS::ElasticLoadBalancingV2::LoadBalancer" => 110.0,
            "AWS::ECS::Service" => 120.0,
            _ => return None,
        };
        let source = Source::Table;
        Some(Expected { seconds, source })
    }

    #[test]
    fn the_longest_chain_through_resources_and_stacks_decides() {
        let network = stack("network", &[], json!({"Nat": {"Type": "AWS::EC2::NatGateway"}}));
        let data = stack("data", &["network"], json!({"Db": {"Type": "AWS::RDS::DBInstance"}}));
        let messaging = stack(
            "messaging",
            &["network"],
            json!({"Kafka": {"Type": "AWS::MSK::Cluster"}}),
        );
        let service = stack(
            "service",
            &["data", "messaging"],
            json!({
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
        let way: Vec<&str> = found.critical.iter().map(|step| step.resource.as_str()).collect();
        assert_eq!(way, ["Nat", "Kafka", "Balancer", "Service"]);
        assert_eq!(found.seconds, 100.0 + 1800.0 + 110.0 + 120.0);
        assert_eq!(found.unknown, ["AWS::Logs::LogGroup"]);
    }

    #[test]
    fn what_was_never_measured_counts_as_nothing() {
        let data = stack("data", &[], json!({"Db": {"Type": "AWS::RDS::DBInstance"}}));
        let changes = [(&data, compare(None, &data.template))];
        assert_eq!(estimate(&changes, &|_, _| None).seconds, 0.0);
    }
}
