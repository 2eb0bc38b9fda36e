//! Instances of Cloud Map services, and the names under which they are reached.

use std::net::Ipv4Addr;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::namespace::NAMESPACES;
use super::service::{self, SERVICES};
use crate::records::tags_of;
use crate::service::Call;
use crate::{AwsError, Context};

const INSTANCES: &str = "servicediscovery.instances";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InstanceRecord {
    pub id: String,
    pub attributes: IndexMap<String, String>,
}

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
    pub instances: Vec<Instance>,
}

/// Every name of every private DNS namespace.
pub fn names(cx: &Context) -> Result<Vec<Name>, AwsError> {
    let namespaces = NAMESPACES.list(cx)?;
    let mut found = Vec::new();
    for record in SERVICES.list(cx)? {
        let namespace = namespaces.iter().find(|n| n.id == service::namespace_of(&record));
        let (Some(namespace), Some(address)) = (
            namespace.and_then(|n| n.text("Name")),
            record.computed("Address").and_then(|a| a.parse().ok()),
        ) else {
            continue;
        };
        let instances = of(cx, &record.id)?.into_iter().map(|kept| Instance {
            address: kept.attributes.get("AWS_INSTANCE_IPV4").and_then(|a| a.parse().ok()),
            port: kept.attributes.get("AWS_INSTANCE_PORT").and_then(|p| p.parse().ok()),
            id: kept.id,
        });
        found.push(Name {
            fqdn: format!("{}.{namespace}", record.text("Name").unwrap_or_default()),
            address,
            service_arn: service::arn(cx, &record.id),
            instances: instances.collect(),
        });
    }
    Ok(found)
}

pub fn register(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let record = service::named(cx, &call.required("ServiceId")?)?;
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
    cx.store().put(
        INSTANCES,
        &format!("{}/{id}", record.id),
        &InstanceRecord { id, attributes },
    )?;
    Ok(json!({"OperationId": super::id("op")}))
}

pub fn deregister(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let record = service::named(cx, &call.required("ServiceId")?)?;
    let id = call.required("InstanceId")?;
    if !cx.store().delete(INSTANCES, &format!("{}/{id}", record.id))? {
        return Err(AwsError::new(
            "InstanceNotFound",
            format!("The service has no instance {id}."),
        ));
    }
    Ok(json!({"OperationId": super::id("op")}))
}

pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let record = service::named(cx, &call.required("ServiceId")?)?;
    let found = of(cx, &record.id)?;
    let shown: Vec<Value> = found
        .iter()
        .map(|i| json!({"Id": i.id, "Attributes": i.attributes}))
        .collect();
    Ok(json!({"Instances": shown}))
}

pub fn discover(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (namespace, name) = (call.required("NamespaceName")?, call.required("ServiceName")?);
    let within = NAMESPACES.find(cx, |n| n.has("Name", &namespace))?;
    let within =
        within.ok_or_else(|| AwsError::new("NamespaceNotFound", format!("No namespace is named {namespace}.")))?;
    let record = SERVICES.find(cx, |s| s.has("Name", &name) && service::namespace_of(s) == within.id)?;
    let record = record.ok_or_else(|| AwsError::new("ServiceNotFound", format!("No service is named {name}.")))?;
    let found = of(cx, &record.id)?;
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

pub fn of(cx: &Context, service: &str) -> Result<Vec<InstanceRecord>, AwsError> {
    let prefix = format!("{service}/");
    let all = cx.store().list::<InstanceRecord>(INSTANCES)?;
    Ok(all
        .into_iter()
        .filter(|(key, _)| key.starts_with(&prefix))
        .map(|(_, kept)| kept)
        .collect())
}

pub fn forget_all(cx: &Context, service: &str) -> Result<(), AwsError> {
    for instance in of(cx, service)? {
        cx.store().delete(INSTANCES, &format!("{service}/{}", instance.id))?;
    }
    Ok(())
}
