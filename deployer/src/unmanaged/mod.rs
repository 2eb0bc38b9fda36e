//! Unmanaged resources: in the VPC, cluster, load balancer or registry of the environment, or under its names, and in no stack.
//!
//! CloudFormation's drift detection reads the resources of stacks only. This search lists what exists, and subtracts what the
//! stacks own. Resources that cannot be listed, because the endpoint has no such operation or the identity may not call it, are
//! reported and are not an error.

mod growth;
mod network;
mod rule;
mod services;
mod storage;
mod tags;
mod traffic;

use std::collections::{BTreeMap, HashMap, HashSet};

use aws::cloudformation::{Stack, stack_resources, stack_template};
use aws::{Error, Result};
use futures::future::try_join_all;
use platform::stacks::Plan;
use serde::Serialize;
use serde_json::Value;

pub use growth::without_growth;
pub use traffic::without_shifted_requests;

/// A resource that no stack declares.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct UnmanagedResource {
    /// Its CloudFormation type.
    pub resource_type: &'static str,
    pub id: String,
    pub description: String,
}

/// The result of a search for unmanaged resources.
#[derive(Debug, Default, Serialize)]
pub struct UnmanagedScan {
    pub unmanaged: Vec<UnmanagedResource>,
    /// Kinds of resources that could not be listed, each with its error.
    pub unknown: Vec<String>,
}

/// The resources that the stacks of an environment own.
#[derive(Debug, Default)]
pub struct Owned {
    ids: HashSet<String>,
    by_kind: BTreeMap<String, Vec<String>>,
    /// The template and the physical ids by logical id, of each stack.
    stacks: Vec<(Value, HashMap<String, String>)>,
}

/// Searches everywhere in parallel.
///
/// # Errors
/// The resources of a stack cannot be read.
pub async fn scan(aws: &aws::Session, plan: &Plan, existing: &BTreeMap<String, Stack>) -> Result<UnmanagedScan> {
    let owned = owned(aws, existing).await?;
    let prefix = format!("{}-{}", plan.project, plan.environment);
    let (network, rules, services, listeners, repositories, logs, topics) = tokio::join!(
        network::find(aws, &owned),
        rule::find(aws, &owned),
        services::services(aws, &owned),
        services::listeners(aws, &owned),
        storage::repositories(aws, &owned, &prefix),
        storage::log_groups(aws, &owned, &prefix),
        storage::topics(aws, &owned),
    );
    let mut scan = UnmanagedScan::default();
    let kinds = [
        ("VPC resources", network),
        ("security-group rules", rules),
        ("services and tasks", services),
        ("listeners", listeners),
        ("repositories", repositories),
        ("log groups", logs),
        ("topics", topics),
    ];
    for (kind, found) in kinds {
        match found {
            Ok(found) => scan.unmanaged.extend(found),
            Err(error) => scan.unknown.push(format!("{kind}: {error}")),
        }
    }
    scan.unmanaged.extend(tags::missing(plan, existing));
    scan.unmanaged.sort();
    Ok(scan)
}

async fn owned(aws: &aws::Session, existing: &BTreeMap<String, Stack>) -> Result<Owned> {
    let stacks = existing.keys().map(|name| async move {
        let (resources, template) = tokio::try_join!(stack_resources(aws, name), stack_template(aws, name))?;
        Ok::<_, Error>((resources, template.unwrap_or_default()))
    });
    let mut owned = Owned::default();
    for (resources, template) in try_join_all(stacks).await? {
        let mut physical = HashMap::new();
        for resource in resources
            .into_iter()
            .filter(|resource| !resource.physical_id.is_empty())
        {
            owned.ids.insert(resource.physical_id.clone());
            owned
                .by_kind
                .entry(resource.resource_type)
                .or_default()
                .push(resource.physical_id.clone());
            physical.insert(resource.logical_id, resource.physical_id);
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

    /// Returns the properties and the physical id of each declared resource of a type.
    fn declared<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a Value, Option<&'a str>)> {
        self.stacks.iter().flat_map(move |(template, physical)| {
            let resources = template["Resources"].as_object().into_iter().flatten();
            let of_kind = resources.filter(move |(_, resource)| resource["Type"] == kind);
            of_kind.map(|(logical, resource)| (&resource["Properties"], physical.get(logical).map(String::as_str)))
        })
    }
}
