//! The order of resources.

use std::collections::{BTreeSet, HashSet};

use indexmap::IndexMap;
use serde_json::Value;

use super::references::{Reference, references};
use super::scope::Scope;
use super::template::Template;

/// For each resource that exists under these conditions, those that must be there first.
pub type Graph = IndexMap<String, BTreeSet<String>>;

/// The dependencies by Ref, GetAtt, Sub and DependsOn, of the resources whose conditions hold.
pub fn graph(template: &Template, scope: &Scope) -> Graph {
    let exists = |id: &str| {
        template
            .resources
            .get(id)
            .is_some_and(|s| scope.holds(s.condition.as_deref()))
    };
    let holds = |name: &str| scope.conditions.get(name).copied();
    let mut graph = Graph::new();
    for (id, spec) in template.resources.iter().filter(|(id, _)| exists(id)) {
        let used = references(&Value::Object(spec.properties.clone()), &holds)
            .into_iter()
            .filter_map(|r| match r {
                Reference::Name(name) | Reference::Attribute(name, _) => Some(name),
                _ => None,
            });
        let first = used
            .chain(spec.depends_on.iter().cloned())
            .filter(|name| exists(name))
            .collect();
        graph.insert(id.clone(), first);
    }
    graph
}

/// The resources so that each stands behind what it needs.
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

/// The members of the cycle itself, without what merely waits for it.
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
        let kept: BTreeSet<&str> = rest.intersection(&needed).copied().collect();
        if kept.len() == rest.len() {
            return rest.into_iter().map(str::to_owned).collect();
        }
        rest = kept;
    }
}

/// The same graph with each arrow turned: what must be gone first when removing.
pub fn reversed(graph: &Graph) -> Graph {
    let mut turned: Graph = graph.keys().map(|id| (id.clone(), BTreeSet::new())).collect();
    for (id, first) in graph {
        for needed in first {
            if let Some(users) = turned.get_mut(needed) {
                users.insert(id.clone());
            }
        }
    }
    turned
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
    fn a_cycle_names_only_its_members() {
        let graph = of(&[("A", &["B"]), ("B", &["C"]), ("C", &["B"]), ("D", &[])]);
        assert_eq!(order(&graph).unwrap_err(), ["B", "C"]);
    }

    #[test]
    fn what_is_needed_comes_first() {
        assert_eq!(order(&of(&[("A", &["B"]), ("B", &[])])).unwrap(), ["B", "A"]);
        assert_eq!(order(&reversed(&of(&[("A", &["B"]), ("B", &[])]))).unwrap(), ["A", "B"]);
    }
}
