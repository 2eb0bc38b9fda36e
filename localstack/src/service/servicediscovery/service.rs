//! Cloud Map services: each has a loopback address of its own, the same for as long as it lives.

use serde_json::{Value, json};

use super::namespace::NAMESPACES;
use crate::records::{Record, RecordType, Records, seconds, texts};
use crate::service::Call;
use crate::{AwsError, Context, Desired, Resource, Schema};

pub const SERVICES: Records = Records("servicediscovery.services");

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
        let mut record = Record::new(super::id("srv"), desired);
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
                format!("The namespace has a service {name} already."),
            ));
        }
        let taken: Vec<String> = others.iter().filter_map(|s| s.computed("Address")).collect();
        let free = (1..=254)
            .map(|n| cx.loopback().service_name(n).to_string())
            .find(|address| !taken.contains(address));
        let Some(free) = free else {
            return Err(AwsError::new(
                "ResourceLimitExceeded",
                "The embedded endpoint has addresses for 254 names.",
            ));
        };
        record.computed.insert("Address".into(), free.into());
        Ok(record)
    }

    fn resource(cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id)
            .with("Id", record.id.clone())
            .with("Arn", arn(cx, &record.id))
            .with("Name", record.text("Name").unwrap_or_default())
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        super::instance::forget_all(cx, &record.id)
    }
}

pub fn arn(cx: &Context, id: &str) -> String {
    cx.arn("servicediscovery", &format!("service/{id}"))
}

pub fn namespace_of(record: &Record) -> String {
    let nested = record
        .properties
        .get("DnsConfig")
        .and_then(|d| d.get("NamespaceId"))
        .and_then(Value::as_str);
    record
        .text("NamespaceId")
        .or(nested.map(str::to_owned))
        .unwrap_or_default()
}

pub fn named(cx: &Context, id: &str) -> Result<Record, AwsError> {
    SERVICES
        .get(cx, id.rsplit('/').next().unwrap_or(id))?
        .ok_or_else(|| AwsError::new("ServiceNotFound", format!("No service has the id {id}.")))
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
                    format!("The filter {other:?} is not known here."),
                ));
            }
        }
    }
    Ok(json!({"Services": found.iter().map(|r| description(cx, r)).collect::<Vec<_>>()}))
}

pub fn get(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let record = named(cx, &call.required("Id")?)?;
    let mut shown = description(cx, &record);
    shown["NamespaceId"] = namespace_of(&record).into();
    Ok(json!({"Service": shown}))
}

fn description(cx: &Context, record: &Record) -> Value {
    let mut shown = json!({
        "Id": record.id, "Arn": arn(cx, &record.id), "Name": record.text("Name"), "Type": "DNS_HTTP",
        "Description": record.text("Description").unwrap_or_default(), "CreateDate": seconds(record.created),
        "InstanceCount": super::instance::of(cx, &record.id).map(|i| i.len()).unwrap_or(0),
    });
    for member in ["DnsConfig", "HealthCheckConfig", "HealthCheckCustomConfig"] {
        if let Some(value) = record.properties.get(member) {
            shown[member] = value.clone();
        }
    }
    shown
}
