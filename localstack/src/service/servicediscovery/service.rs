//! Cloud Map services. Each has its own loopback address, which stays the same until the service is deleted.

use serde_json::{Value, json};

use super::model::{self, NAMESPACES, SERVICES, is_http, namespace_of, new_id, service_arn, take_request_id};
use super::{filter, operation};
use crate::records::{Record, RecordType, Records, seconds};
use crate::service::Call;
use crate::service::input::{only, properties};
use crate::{AwsError, Context, Desired, Resource, Schema};

pub struct DiscoveryService;

impl RecordType for DiscoveryService {
    const TYPE: &'static str = "AWS::ServiceDiscovery::Service";
    const RECORDS: Records = SERVICES;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "Name",
                "NamespaceId",
                "Description",
                "DnsConfig",
                "HealthCheckConfig",
                "HealthCheckCustomConfig",
                "ServiceAttributes",
                "Type",
                "Tags",
            ],
            required: &[],
            create_only: &["Name", "NamespaceId", "HealthCheckCustomConfig", "Type"],
            attributes: &["Arn", "Id", "Name"],
            write_only: &[],
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new(new_id("srv"), desired);
        let namespace = namespace_of(&record);
        let missing = || AwsError::new("NamespaceNotFound", namespace.clone());
        let parent = NAMESPACES.get(cx, &namespace)?.ok_or_else(missing)?;
        take_request_id(&mut record);
        let name = record
            .text("Name")
            .unwrap_or_else(|| desired.generated_name(63).to_lowercase());
        record.properties.insert("Name".into(), name.clone().into());
        let others = SERVICES.list(cx)?;
        if others
            .iter()
            .any(|s| s.text("Name").as_ref() == Some(&name) && namespace_of(s) == namespace)
        {
            return Err(AwsError::new(
                "ServiceAlreadyExists",
                format!("The namespace already has a service {name}."),
            ));
        }
        // Only names of DNS need an address.
        if is_http(&parent) || record.has("Type", "HTTP") || !record.properties.contains_key("DnsConfig") {
            return Ok(record);
        }
        let taken: Vec<String> = others.iter().filter_map(|s| s.computed("Address")).collect();
        let block = cx.loopback()?;
        let free = (1..=254)
            .map(|n| block.service_name(n).to_string())
            .find(|address| !taken.contains(address));
        let Some(free) = free else {
            return Err(AwsError::new(
                "ResourceLimitExceeded",
                "The embedded endpoint has addresses for 254 services, and all are in use.",
            ));
        };
        record.computed.insert("Address".into(), free.into());
        Ok(record)
    }

    fn resource(cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id)
            .with("Id", record.id.clone())
            .with("Arn", service_arn(cx, &record.id))
            .with("Name", record.text("Name").unwrap_or_default())
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        model::delete_instances(cx, &record.id)
    }
}

/// The members that become properties.
const STORED: [&str; 9] = [
    "Name",
    "NamespaceId",
    "Description",
    "DnsConfig",
    "HealthCheckConfig",
    "HealthCheckCustomConfig",
    "Type",
    "Tags",
    "CreatorRequestId",
];

/// `CreateService`.
pub async fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    only(call, "InvalidInput", &STORED)?;
    call.required("Name")?;
    let desired = properties(&call.input, &STORED.map(|member| (member, member)));
    let created = cx
        .create_resource(DiscoveryService::TYPE, Value::Object(desired))
        .await?;
    Ok(json!({"Service": shown(cx, &model::service(cx, &created.physical_id)?)}))
}

/// `UpdateService`: the routing policy and the namespace of the DNS configuration stay. DNS records and a health check that the
/// request omits are deleted (API reference).
pub async fn update(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    only(call, "InvalidInput", &["Id", "Service"])?;
    let id = model::service(cx, &call.required("Id")?)?.id;
    let change = call.input["Service"].clone();
    cx.update_resource(DiscoveryService::TYPE, &id, |properties| {
        if let Some(text) = change.get("Description") {
            properties.insert("Description".into(), text.clone());
        }
        if let Some(records) = change.pointer("/DnsConfig/DnsRecords") {
            let config = properties.entry("DnsConfig").or_insert_with(|| json!({}));
            config["DnsRecords"] = records.clone();
        } else if let Some(config) = properties.shift_remove("DnsConfig")
            && let Some(namespace) = config.get("NamespaceId")
        {
            properties.entry("NamespaceId").or_insert_with(|| namespace.clone());
        }
        match change.get("HealthCheckConfig") {
            Some(check) => properties.insert("HealthCheckConfig".into(), check.clone()),
            None => properties.shift_remove("HealthCheckConfig"),
        };
        Ok(())
    })
    .await?;
    operation::done(cx, "UPDATE_SERVICE", &json!({"SERVICE": id}))
}

/// `DeleteService`, which refuses a service with instances.
pub async fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let id = model::service(cx, &call.required("Id")?)?.id;
    if !model::instances(cx, &id)?.is_empty() {
        let message = format!("The service {id} has registered instances.");
        return Err(AwsError::new("ResourceInUse", message));
    }
    cx.delete_resource(DiscoveryService::TYPE, &id).await?;
    Ok(json!({}))
}

pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut found = SERVICES.list(cx)?;
    filter::apply(call, &mut found, &["NAMESPACE_ID"], |record, _| {
        Some(namespace_of(record))
    })?;
    let shown = found.iter().map(|record| description(cx, record)).collect();
    filter::page_of(call, "Services", shown)
}

pub fn get(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let record = model::service(cx, &call.required("Id")?)?;
    Ok(json!({"Service": shown(cx, &record)}))
}

fn shown(cx: &Context, record: &Record) -> Value {
    let mut shown = description(cx, record);
    shown["NamespaceId"] = namespace_of(record).into();
    if let Some(id) = record.computed("CreatorRequestId") {
        shown["CreatorRequestId"] = id.into();
    }
    shown
}

fn description(cx: &Context, record: &Record) -> Value {
    let is_dns = record.properties.contains_key("DnsConfig") && record.computed("Address").is_some();
    let kind = if is_dns { "DNS_HTTP" } else { "HTTP" };
    let mut shown = json!({
        "Id": record.id, "Arn": service_arn(cx, &record.id), "Name": record.text("Name"), "Type": kind, "CreateDate": seconds(record.created),
        "InstanceCount": model::instances(cx, &record.id).map_or(0, |i| i.len()),
    });
    for member in [
        "Description",
        "DnsConfig",
        "HealthCheckConfig",
        "HealthCheckCustomConfig",
    ] {
        if let Some(value) = record.properties.get(member) {
            shown[member] = value.clone();
        }
    }
    shown
}
