//! The dependency graph of resources.

use std::collections::{BTreeSet, HashSet};

use indexmap::IndexMap;
use serde_json::Value;

use crate::references::{Reference, references};
use crate::scope::Scope;
use crate::template::Template;

/// For each resource, those that must be created before it.
pub type Graph = IndexMap<String, BTreeSet<String>>;

/// Returns the dependencies by Ref, `GetAtt`, Sub and `DependsOn` of the resources whose conditions hold.
pub fn graph(template: &Template, scope: &Scope) -> Graph {
    let exists = |id: &str| {
        template
            .resources
            .get(id)
            .is_some_and(|r| scope.condition_holds(r.condition.as_deref()))
    };
    let condition = |name: &str| scope.conditions.get(name).copied();
    let mut graph = Graph::new();
    for (id, resource) in template.resources.iter().filter(|(id, _)| exists(id)) {
        let used = references(&Value::Object(resource.properties.clone()), &condition)
            .into_iter()
            .filter_map(|r| match r {
                Reference::Name(name) | Reference::Attribute(name, _) => Some(name),
                _ => None,
            });
        let first = used
            .chain(resource.depends_on.iter().cloned())
            .filter(|name| exists(name))
            .collect();
        graph.insert(id.clone(), first);
    }
    graph
}

/// Returns the resources in an order in which each follows its dependencies.
///
/// # Errors
/// The members of a cycle.
pub fn order(graph: &Graph) -> Result<Vec<String>, Vec<String>> {
    let (mut order, mut placed) = (Vec::new(), HashSet::new());
    while order.len() < graph.len() {
        let ready: Vec<&String> = graph
            .iter()
            .filter(|(id, first)| {
                !placed.contains(id.as_str())
                    && first
                        .iter()
                        .all(|f| placed.contains(f.as_str()) || !graph.contains_key(f))
            })
            .map(|(id, _)| id)
            .collect();
        if ready.is_empty() {
            return Err(cycle(graph, &placed));
        }
        placed.extend(ready.iter().map(|id| id.as_str()));
        order.extend(ready.into_iter().cloned());
    }
    Ok(order)
}

/// Returns the members of the cycle, without the resources that only depend on it.
fn cycle(graph: &Graph, placed: &HashSet<&str>) -> Vec<String> {
    let mut rest: BTreeSet<&str> = graph
        .keys()
        .map(String::as_str)
        .filter(|id| !placed.contains(id))
        .collect();
    loop {
        let needed: BTreeSet<&str> = rest
            .iter()
            .flat_map(|id| graph[*id].iter().map(String::as_str))
            .collect();
        let remaining: BTreeSet<&str> = rest.intersection(&needed).copied().collect();
        if remaining.len() == rest.len() {
            return rest.into_iter().map(str::to_owned).collect();
        }
        rest = remaining;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &[&str])]) -> Graph {
        pairs
            .iter()
            .map(|(id, first)| ((*id).to_owned(), first.iter().map(|f| (*f).to_owned()).collect()))
            .collect()
    }

    #[test]
    fn a_cycle_contains_only_its_members() {
        let graph = of(&[("A", &["B"]), ("B", &["C"]), ("C", &["B"]), ("D", &[])]);
        assert_eq!(order(&graph).unwrap_err(), ["B", "C"]);
    }

    #[test]
    fn a_dependency_comes_first() {
        assert_eq!(order(&of(&[("A", &["B"]), ("B", &[])])).unwrap(), ["B", "A"]);
    }
}
