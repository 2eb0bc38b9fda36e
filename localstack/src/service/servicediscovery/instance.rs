//! Instances of Cloud Map services, and the DNS names that resolve to them.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::Value;

use super::model::{self, NAMESPACES, SERVICES, instances, namespace_of};
use crate::records::{Record, scalar};
use crate::runtime::discovery::DnsTtl;
use crate::{AwsError, Context};

/// The TTL of the SOA record of a namespace that sets none, in seconds (aws-app-mesh-roadmap, issue 221).
const DEFAULT_SOA_TTL: u64 = 300;
/// The TTL of a record without one, in seconds: the console's default.
const DEFAULT_RECORD_TTL: u64 = 60;

/// One instance behind a name.
#[derive(Debug, Clone)]
pub struct Instance {
    pub id: String,
    pub address: Option<Ipv4Addr>,
    pub port: Option<u16>,
}

/// A service's DNS name, its stable address, and its instances.
#[derive(Debug, Clone)]
pub struct Name {
    pub fqdn: String,
    pub address: Ipv4Addr,
    pub service_arn: String,
    /// The time for which a resolver keeps the name's answers.
    pub ttl: DnsTtl,
    pub instances: Vec<Instance>,
}

/// Returns all names of all private DNS namespaces.
///
/// # Errors
/// A failed read of the store.
pub fn names(cx: &Context) -> Result<Vec<Name>, AwsError> {
    let namespaces = NAMESPACES.list(cx)?;
    let mut found = Vec::new();
    for record in SERVICES.list(cx)? {
        if !record.properties.contains_key("DnsConfig") {
            continue;
        }
        let namespace = namespaces.iter().find(|n| n.id == namespace_of(&record));
        let soa_ttl = namespace.map_or(DEFAULT_SOA_TTL, soa_ttl);
        let (Some(namespace), Some(address)) = (
            namespace.and_then(|n| n.text("Name")),
            record.computed("Address").and_then(|a| a.parse().ok()),
        ) else {
            continue;
        };
        // Unhealthy instances are left out, unless there are no others (`HealthCheckCustomConfig`).
        let mut found_instances = instances(cx, &record.id)?;
        if found_instances.iter().any(|instance| !instance.is_unhealthy) {
            found_instances.retain(|instance| !instance.is_unhealthy);
        }
        let instances = found_instances.into_iter().map(|instance| Instance {
            address: instance
                .attributes
                .get("AWS_INSTANCE_IPV4")
                .and_then(|a| a.parse().ok()),
            port: instance
                .attributes
                .get("AWS_INSTANCE_PORT")
                .and_then(|p| p.parse().ok()),
            id: instance.id,
        });
        found.push(Name {
            fqdn: format!("{}.{namespace}", record.text("Name").unwrap_or_default()),
            address,
            service_arn: model::service_arn(cx, &record.id),
            ttl: DnsTtl {
                positive: Duration::from_secs(record_ttl(&record)),
                negative: Duration::from_secs(soa_ttl),
            },
            instances: instances.collect(),
        });
    }
    Ok(found)
}

/// Returns the TTL of a namespace's SOA record, in seconds.
pub fn soa_ttl(namespace: &Record) -> u64 {
    let properties = namespace.properties.get("Properties");
    seconds(properties.and_then(|properties| properties.pointer("/DnsProperties/SOA/TTL"))).unwrap_or(DEFAULT_SOA_TTL)
}

/// Returns the TTL of a service's DNS records, in seconds.
fn record_ttl(service: &Record) -> u64 {
    let config = service.properties.get("DnsConfig");
    seconds(config.and_then(|config| config.pointer("/DnsRecords/0/TTL"))).unwrap_or(DEFAULT_RECORD_TTL)
}

fn seconds(value: Option<&Value>) -> Option<u64> {
    value.and_then(scalar)?.parse().ok()
}
