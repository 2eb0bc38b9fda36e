//! Cloud Map services. Each has its own loopback address, which stays the same until the service is deleted.

use serde_json::{Value, json};

use super::model::{self, NAMESPACES, SERVICES, namespace_of, new_id, service_arn};
use super::operation;
use crate::records::{Record, RecordType, Records, seconds, texts};
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
        if NAMESPACES.get(cx, &namespace)?.is_none() {
            return Err(AwsError::new(
                "NamespaceNotFound",
                format!("No namespace has the id {namespace}."),
            ));
        }
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
const STORED: [&str; 7] = [
    "Name",
    "NamespaceId",
    "Description",
    "DnsConfig",
    "HealthCheckConfig",
    "HealthCheckCustomConfig",
    "Tags",
];

/// `CreateService`.
pub async fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    only(call, "InvalidInput", &[&STORED[..], &["CreatorRequestId"]].concat())?;
    call.required("Name")?;
    let desired = properties(&call.input, &STORED.map(|member| (member, member)));
    let created = cx
        .create_resource(DiscoveryService::TYPE, Value::Object(desired))
        .await?;
    Ok(json!({"Service": shown(cx, &model::service(cx, &created.physical_id)?)}))
}

/// `UpdateService`: the routing policy and the namespace of the DNS configuration stay.
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
        }
        if let Some(check) = change.get("HealthCheckConfig") {
            properties.insert("HealthCheckConfig".into(), check.clone());
        }
        Ok(())
    })
    .await?;
    operation::done(cx, "UPDATE_SERVICE", &id)
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
    for filter in call.list("Filters") {
        let values = texts(filter.get("Values"));
        match filter.get("Name").and_then(Value::as_str) {
            Some("NAMESPACE_ID") => found.retain(|r| values.contains(&namespace_of(r))),
            other => {
                return Err(AwsError::new(
                    "InvalidInput",
                    format!(
                        "The embedded endpoint supports the filter NAMESPACE_ID, not {}.",
                        other.unwrap_or("a filter without a Name")
                    ),
                ));
            }
        }
    }
    Ok(json!({"Services": found.iter().map(|r| description(cx, r)).collect::<Vec<_>>()}))
}

pub fn get(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let record = model::service(cx, &call.required("Id")?)?;
    Ok(json!({"Service": shown(cx, &record)}))
}

fn shown(cx: &Context, record: &Record) -> Value {
    let mut shown = description(cx, record);
    shown["NamespaceId"] = namespace_of(record).into();
    shown
}

fn description(cx: &Context, record: &Record) -> Value {
    let mut shown = json!({
        "Id": record.id, "Arn": service_arn(cx, &record.id), "Name": record.text("Name"), "Type": if record.properties.contains_key("DnsConfig") { "DNS_HTTP" } else { "HTTP" },
        "Description": record.text("Description").unwrap_or_default(), "CreateDate": seconds(record.created),
        "InstanceCount": model::instances(cx, &record.id).map_or(0, |i| i.len()),
    });
    for member in ["DnsConfig", "HealthCheckConfig", "HealthCheckCustomConfig"] {
        if let Some(value) = record.properties.get(member) {
            shown[member] = value.clone();
        }
    }
    shown
}
