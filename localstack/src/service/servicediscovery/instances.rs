//! The operations on the instances of a service.

use std::net::Ipv4Addr;

use serde_json::{Map, Value, json};

use super::model::{self, InstanceRecord, NAMESPACES, SERVICES, instances, namespace_of};
use super::{filter, operation};
use crate::records::{Record, WriteLock, tags_of};
use crate::service::Call;
use crate::service::input::only;
use crate::{AwsError, Context};

/// `RegisterInstance`, which replaces an instance with the same id.
pub fn register(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    only(
        call,
        "InvalidInput",
        &["ServiceId", "InstanceId", "CreatorRequestId", "Attributes"],
    )?;
    let attributes = tags_of(&call.input["Attributes"]);
    let address = attributes.get("AWS_INSTANCE_IPV4");
    if let Some(bad) = address.filter(|a| a.parse::<Ipv4Addr>().is_err()) {
        return Err(AwsError::new(
            "InvalidInput",
            format!("AWS_INSTANCE_IPV4 is not an IPv4 address: {bad}"),
        ));
    }
    let instance = InstanceRecord {
        id: call.required("InstanceId")?,
        is_unhealthy: attributes
            .get("AWS_INIT_HEALTH_STATUS")
            .is_some_and(|status| status == "UNHEALTHY"),
        attributes,
        creator_request_id: call.text("CreatorRequestId"),
    };
    change(cx, call, "REGISTER_INSTANCE", &instance.id, |service| {
        instance.put(cx, service)
    })
}

pub fn deregister(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let id = call.required("InstanceId")?;
    change(cx, call, "DEREGISTER_INSTANCE", &id, |service| {
        if model::delete_instance(cx, service, &id)? {
            Ok(())
        } else {
            Err(AwsError::new("InstanceNotFound", id.clone()))
        }
    })
}

/// Changes an instance, gives the instances of its service another revision, and records the operation.
fn change(
    cx: &Context,
    call: &Call,
    kind: &str,
    id: &str,
    change: impl FnOnce(&str) -> Result<(), AwsError>,
) -> Result<Value, AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let mut service = model::service(cx, &call.required("ServiceId")?)?;
    let next = revision_of(&service) + 1;
    service.computed.insert("Revision".into(), next.into());
    cx.store().transaction(|| {
        change(&service.id)?;
        SERVICES.put(cx, &service)?;
        operation::done(cx, kind, &json!({"SERVICE": service.id, "INSTANCE": id}))
    })
}

fn revision_of(service: &Record) -> u64 {
    service
        .computed
        .get("Revision")
        .and_then(Value::as_u64)
        .unwrap_or_default()
}

fn find(cx: &Context, service: &Record, id: &str) -> Result<InstanceRecord, AwsError> {
    let found = instances(cx, &service.id)?
        .into_iter()
        .find(|instance| instance.id == id);
    found.ok_or_else(|| AwsError::new("InstanceNotFound", id))
}

pub fn get(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let service = model::service(cx, &call.required("ServiceId")?)?;
    let instance = find(cx, &service, &call.required("InstanceId")?)?;
    let mut shown = json!({"Id": instance.id, "Attributes": instance.attributes});
    if let Some(id) = instance.creator_request_id {
        shown["CreatorRequestId"] = id.into();
    }
    Ok(json!({"Instance": shown}))
}

pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let record = model::service(cx, &call.required("ServiceId")?)?;
    let found = instances(cx, &record.id)?;
    let shown = found.iter().map(|i| json!({"Id": i.id, "Attributes": i.attributes}));
    filter::page_of(call, "Instances", shown.collect())
}

fn status(instance: &InstanceRecord) -> &'static str {
    if instance.is_unhealthy { "UNHEALTHY" } else { "HEALTHY" }
}

/// `GetInstancesHealthStatus`.
pub fn health(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let service = model::service(cx, &call.required("ServiceId")?)?;
    let asked = call.texts("Instances");
    let found = instances(cx, &service.id)?;
    if let Some(missing) = asked
        .iter()
        .find(|id| !found.iter().any(|instance| instance.id == **id))
    {
        return Err(AwsError::new("InstanceNotFound", missing.clone()));
    }
    let shown = found
        .iter()
        .filter(|instance| asked.is_empty() || asked.contains(&instance.id));
    let shown: Vec<Value> = shown.map(|instance| json!([instance.id, status(instance)])).collect();
    let page = filter::page_of(call, "Status", shown)?;
    let items = page["Status"].as_array().into_iter().flatten();
    let by_id: Map<String, Value> = items
        .filter_map(|item| Some((item[0].as_str()?.to_owned(), item[1].clone())))
        .collect();
    let mut response = page.clone();
    response["Status"] = by_id.into();
    Ok(response)
}

/// `UpdateInstanceCustomHealthStatus`, which needs a custom health check.
pub fn set_health(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let service = model::service(cx, &call.required("ServiceId")?)?;
    let mut instance = find(cx, &service, &call.required("InstanceId")?)?;
    if !service.properties.contains_key("HealthCheckCustomConfig") {
        let message = format!("The service {} has no custom health check.", service.id);
        return Err(AwsError::new("CustomHealthNotFound", message));
    }
    instance.is_unhealthy = match call.required("Status")?.as_str() {
        "HEALTHY" => false,
        "UNHEALTHY" => true,
        other => return Err(AwsError::new("InvalidInput", format!("Status cannot be {other}."))),
    };
    instance.put(cx, &service.id)?;
    Ok(json!({}))
}

/// Returns the service that a call names by its namespace and its name.
fn named(cx: &Context, call: &Call) -> Result<Record, AwsError> {
    let (namespace, name) = (call.required("NamespaceName")?, call.required("ServiceName")?);
    let missing = || AwsError::new("NamespaceNotFound", "Namespace not found");
    let parents = NAMESPACES.list(cx)?;
    let parents: Vec<_> = parents.iter().filter(|n| n.has("Name", &namespace)).collect();
    parents.first().ok_or_else(missing)?;
    let found = SERVICES.find(cx, |service| {
        let parent = namespace_of(service);
        service.has("Name", &name) && parents.iter().any(|one| one.id == parent)
    })?;
    found.ok_or_else(|| AwsError::new("ServiceNotFound", format!("No service is named {name}.")))
}

pub fn revision(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    Ok(json!({"InstancesRevision": revision_of(&named(cx, call)?)}))
}

pub fn discover(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    only(
        call,
        "InvalidInput",
        &[
            "NamespaceName",
            "ServiceName",
            "MaxResults",
            "QueryParameters",
            "OptionalParameters",
            "HealthStatus",
        ],
    )?;
    let service = named(cx, call)?;
    let has = |instance: &InstanceRecord, member: &str| {
        let given = tags_of(&call.input[member]);
        given
            .iter()
            .all(|(key, value)| instance.attributes.get(key) == Some(value))
    };
    let mut found = instances(cx, &service.id)?;
    found.retain(|instance| has(instance, "QueryParameters"));
    // The optional parameters narrow the result only if something is left.
    if found.iter().any(|instance| has(instance, "OptionalParameters")) {
        found.retain(|instance| has(instance, "OptionalParameters"));
    }
    match call.text("HealthStatus").as_deref().unwrap_or("HEALTHY") {
        "ALL" => {}
        "UNHEALTHY" => found.retain(|instance| instance.is_unhealthy),
        "HEALTHY_OR_ELSE_ALL" if found.iter().all(|instance| instance.is_unhealthy) => {}
        _ => found.retain(|instance| !instance.is_unhealthy),
    }
    found.truncate(call.limit("MaxResults", 100, 1..=1000));
    let shown: Vec<Value> = found
        .iter()
        .map(|instance| {
            json!({
                "InstanceId": instance.id, "NamespaceName": call.text("NamespaceName"), "ServiceName": call.text("ServiceName"),
                "HealthStatus": status(instance), "Attributes": instance.attributes,
            })
        })
        .collect();
    Ok(json!({"Instances": shown, "InstancesRevision": revision_of(&service)}))
}
