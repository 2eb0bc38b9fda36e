//! What is there beside the stacks: resources in our network, cluster and registry that no stack owns.
//!
//! CloudFormation's own drift detection sees the resources of stacks only. Here it is asked the other way round: what is in
//! the places that belong to this environment, and which of it does no stack know? Places that cannot be listed, because the
//! endpoint does not know the operation or the identity may not call it, are said and are no error.

mod network;
mod rule;
mod serving;
mod storage;
mod tags;

use std::collections::{BTreeMap, HashMap, HashSet};

use futures::future::try_join_all;
use serde::Serialize;
use serde_json::Value;

use crate::cloudformation::{Existing, stack};
use crate::error::{Error, Result};
use crate::stacks::Plan;
use crate::target::Aws;

/// Something that no stack declares.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Undeclared {
    /// Its CloudFormation type.
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub id: String,
    /// What it is and does, in words.
    pub what: String,
}

/// What was looked for and found.
#[derive(Debug, Default, Serialize)]
pub struct Findings {
    pub undeclared: Vec<Undeclared>,
    /// Places that could not be looked at, and why.
    pub unknown: Vec<String>,
}

/// What the stacks of an environment own.
#[derive(Debug, Default)]
pub struct Owned {
    ids: HashSet<String>,
    by_kind: BTreeMap<String, Vec<String>>,
    /// The template and the physical ids by logical id, of each stack.
    stacks: Vec<(Value, HashMap<String, String>)>,
}

/// Looks everywhere at once.
pub async fn find(aws: &Aws, plan: &Plan, existing: &BTreeMap<String, Existing>) -> Result<Findings> {
    let owned = owned(aws, existing).await?;
    let prefix = format!("{}-{}", plan.project, plan.environment);
    let (network, rules, services, doors, stored, logs, topics) = tokio::join!(
        network::find(aws, &owned),
        rule::find(aws, &owned),
        serving::services(aws, &owned),
        serving::doors(aws, &owned),
        storage::repositories(aws, &owned, &prefix),
        storage::log_groups(aws, &owned, &prefix),
        storage::topics(aws, &owned),
    );
    let mut findings = Findings::default();
    let places = [
        ("the network", network),
        ("security-group rules", rules),
        ("the cluster", services),
        ("the load balancer", doors),
        ("the registry", stored),
        ("log groups", logs),
        ("topics", topics),
    ];
    for (place, found) in places {
        match found {
            Ok(found) => findings.undeclared.extend(found),
            Err(error) => findings.unknown.push(format!("{place}: {error}")),
        }
    }
    findings.undeclared.extend(tags::missing(plan, existing));
    findings.undeclared.sort();
    Ok(findings)
}

async fn owned(aws: &Aws, existing: &BTreeMap<String, Existing>) -> Result<Owned> {
    let stacks = existing.keys().map(|name| async move {
        let (resources, template) = tokio::try_join!(stack::resources(aws, name), stack::template(aws, name))?;
        Ok::<_, Error>((resources, template.unwrap_or_default()))
    });
    let mut owned = Owned::default();
    for (resources, template) in try_join_all(stacks).await? {
        let mut physical = HashMap::new();
        for resource in resources.into_iter().filter(|resource| !resource.physical.is_empty()) {
            owned.ids.insert(resource.physical.clone());
            owned
                .by_kind
                .entry(resource.kind)
                .or_default()
                .push(resource.physical.clone());
            physical.insert(resource.logical, resource.physical);
        }
        owned.stacks.push((template, physical));
    }
    Ok(owned)
}

impl Owned {
    fn has(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    fn all(&self, kind: &str) -> &[String] {
        self.by_kind.get(kind).map_or(&[], Vec::as_slice)
    }

    /// Properties and physical id of each declared resource of a type.
    fn declared<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a Value, Option<&'a str>)> {
        self.stacks.iter().flat_map(move |(template, physical)| {
            let resources = template["Resources"].as_object().into_iter().flatten();
            let of_kind = resources.filter(move |(_, resource)| resource["Type"] == kind);
            of_kind.map(|(logical, resource)| (&resource["Properties"], physical.get(logical).map(String::as_str)))
        })
    }
}

/// The value of a tag that CloudFormation sets on what it makes: another project's stack may own things here, too.
fn stack_of<'a>(tags: impl IntoIterator<Item = (Option<&'a str>, Option<&'a str>)>) -> Option<&'a str> {
    let mut tags = tags.into_iter();
    tags.find(|(key, _)| *key == Some("aws:cloudformation:stack-name"))
        .and_then(|(_, value)| value)
}
