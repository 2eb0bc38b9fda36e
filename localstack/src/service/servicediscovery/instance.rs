//! Instances of Cloud Map services, and the DNS names that resolve to them.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::{Value, json};

use super::model::{self, InstanceRecord, NAMESPACES, SERVICES, instances, namespace_of, new_id};
use crate::records::{Record, scalar, tags_of};
use crate::runtime::discovery::DnsTtl;
use crate::service::Call;
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
        let namespace = namespaces.iter().find(|n| n.id == namespace_of(&record));
        let soa_ttl = namespace.map_or(DEFAULT_SOA_TTL, soa_ttl);
        let (Some(namespace), Some(address)) = (
            namespace.and_then(|n| n.text("Name")),
            record.computed("Address").and_then(|a| a.parse().ok()),
        ) else {
            continue;
        };
        let instances = instances(cx, &record.id)?.into_iter().map(|instance| Instance {
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

pub fn register(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let record = model::service(cx, &call.required("ServiceId")?)?;
    let id = call.required("InstanceId")?;
    let attributes = tags_of(&call.input["Attributes"]);
    if let Some(bad) = attributes
        .get("AWS_INSTANCE_IPV4")
        .filter(|a| a.parse::<Ipv4Addr>().is_err())
    {
        return Err(AwsError::new(
            "InvalidInput",
            format!("AWS_INSTANCE_IPV4 is not an IPv4 address: {bad}"),
        ));
    }
    InstanceRecord { id, attributes }.put(cx, &record.id)?;
    Ok(json!({"OperationId": new_id("op")}))
}

pub fn deregister(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let record = model::service(cx, &call.required("ServiceId")?)?;
    let id = call.required("InstanceId")?;
    if !model::delete_instance(cx, &record.id, &id)? {
        return Err(AwsError::new(
            "InstanceNotFound",
            format!("The service has no instance {id}."),
        ));
    }
    Ok(json!({"OperationId": new_id("op")}))
}

pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let record = model::service(cx, &call.required("ServiceId")?)?;
    let found = instances(cx, &record.id)?;
    let shown: Vec<Value> = found
        .iter()
        .map(|i| json!({"Id": i.id, "Attributes": i.attributes}))
        .collect();
    Ok(json!({"Instances": shown}))
}

pub fn discover(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (namespace, name) = (call.required("NamespaceName")?, call.required("ServiceName")?);
    let missing = || AwsError::new("NamespaceNotFound", format!("No namespace is named {namespace}."));
    let parent = NAMESPACES
        .find(cx, |n| n.has("Name", &namespace))?
        .ok_or_else(missing)?;
    let record = SERVICES.find(cx, |s| s.has("Name", &name) && namespace_of(s) == parent.id)?;
    let record = record.ok_or_else(|| AwsError::new("ServiceNotFound", format!("No service is named {name}.")))?;
    let found = instances(cx, &record.id)?;
    let shown: Vec<Value> = found
        .iter()
        .map(|i| {
            json!({
                "InstanceId": i.id, "NamespaceName": namespace, "ServiceName": name, "HealthStatus": "HEALTHY",
                "Attributes": i.attributes,
            })
        })
        .collect();
    Ok(json!({"Instances": shown, "InstancesRevision": found.len()}))
}
