//! Private DNS namespaces.

use serde_json::{Value, json};

use super::instance::soa_ttl;
use super::model::{NAMESPACES, SERVICES, namespace_of, new_id};
use super::operation;
use crate::records::{Record, RecordType, Records, seconds, texts};
use crate::service::Call;
use crate::service::input::{only, properties};
use crate::{AwsError, Context, Desired, Resource, Schema};

pub struct Namespace;

impl RecordType for Namespace {
    const TYPE: &'static str = "AWS::ServiceDiscovery::PrivateDnsNamespace";
    const RECORDS: Records = NAMESPACES;

    fn schema() -> Schema {
        Schema {
            properties: &["Name", "Vpc", "Description", "Properties", "Tags"],
            required: &["Name", "Vpc"],
            create_only: &["Name", "Vpc"],
            attributes: &["Arn", "Id", "HostedZoneId"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let record = Record::new(new_id("ns"), desired);
        let name = record.text("Name").unwrap_or_default();
        let label =
            |l: &str| !l.is_empty() && l.len() <= 63 && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !name.split('.').all(label) {
            return Err(AwsError::new(
                "InvalidInput",
                format!("The namespace name {name} is not a DNS name."),
            ));
        }
        let same = |r: &Record| r.text("Name").as_ref() == Some(&name) && r.text("Vpc") == record.text("Vpc");
        if NAMESPACES.find(cx, same)?.is_some() {
            return Err(AwsError::new(
                "NamespaceAlreadyExists",
                format!("The VPC already has a namespace {name}."),
            ));
        }
        Ok(record)
    }

    fn resource(cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id)
            .with("Id", record.id.clone())
            .with("Arn", arn(cx, &record.id))
            .with("HostedZoneId", hosted_zone(record))
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        match SERVICES.find(cx, |s| namespace_of(s) == record.id)? {
            Some(_) => Err(AwsError::new(
                "ResourceInUse",
                format!("The namespace {} has services.", record.id),
            )),
            None => Ok(()),
        }
    }
}

fn hosted_zone(record: &Record) -> String {
    format!("Z{}", record.id.trim_start_matches("ns-").to_uppercase())
}

/// `CreatePrivateDnsNamespace`.
pub async fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    const MEMBERS: [&str; 6] = ["Name", "CreatorRequestId", "Description", "Vpc", "Tags", "Properties"];
    only(call, "InvalidInput", &MEMBERS)?;
    let names = ["Name", "Description", "Vpc", "Tags", "Properties"].map(|member| (member, member));
    for member in ["Name", "Vpc"] {
        if call.text(member).is_none() {
            return Err(AwsError::new(
                "InvalidInput",
                format!("The parameter {member} is required."),
            ));
        }
    }
    let desired = Value::Object(properties(&call.input, &names));
    let created = cx.create_resource(Namespace::TYPE, desired).await?;
    operation::done(cx, "CREATE_NAMESPACE", &created.physical_id)
}

/// `UpdatePrivateDnsNamespace`.
pub async fn update(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    only(call, "InvalidInput", &["Id", "UpdaterRequestId", "Namespace"])?;
    let id = found(cx, call)?.id;
    let change = &call.input["Namespace"];
    let names = ["Description", "Properties"].map(|member| (member, member));
    let changed = properties(change, &names);
    cx.update_resource(Namespace::TYPE, &id, |properties| {
        properties.extend(changed);
        Ok(())
    })
    .await?;
    operation::done(cx, "UPDATE_NAMESPACE", &id)
}

/// `DeleteNamespace`, which refuses a namespace with services.
pub async fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let id = found(cx, call)?.id;
    cx.delete_resource(Namespace::TYPE, &id).await?;
    operation::done(cx, "DELETE_NAMESPACE", &id)
}

/// Returns the namespace that a call names by its ID or ARN.
fn found(cx: &Context, call: &Call) -> Result<Record, AwsError> {
    let id = call.required("Id")?;
    let record = NAMESPACES.get(cx, id.rsplit('/').next().unwrap_or(&id))?;
    record.ok_or_else(|| AwsError::new("NamespaceNotFound", format!("No namespace has the id {id}.")))
}

fn arn(cx: &Context, id: &str) -> String {
    cx.arn("servicediscovery", &format!("namespace/{id}"))
}

pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut found = NAMESPACES.list(cx)?;
    for filter in call.list("Filters") {
        let values = texts(filter.get("Values"));
        match filter.get("Name").and_then(Value::as_str) {
            Some("NAME") => found.retain(|r| r.text("Name").is_some_and(|n| values.contains(&n))),
            Some("TYPE") => found.retain(|_| values.iter().any(|v| v == "DNS_PRIVATE")),
            other => {
                return Err(AwsError::new(
                    "InvalidInput",
                    format!(
                        "The embedded endpoint supports the filters NAME and TYPE, not {}.",
                        other.unwrap_or("a filter without a Name")
                    ),
                ));
            }
        }
    }
    Ok(json!({"Namespaces": found.iter().map(|r| description(cx, r)).collect::<Vec<_>>()}))
}

pub fn get(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    Ok(json!({"Namespace": description(cx, &found(cx, call)?)}))
}

fn description(cx: &Context, record: &Record) -> Value {
    let services = SERVICES.list(cx).unwrap_or_default();
    let count = services.iter().filter(|s| namespace_of(s) == record.id).count();
    json!({
        "Id": record.id, "Arn": arn(cx, &record.id), "Name": record.text("Name"), "Type": "DNS_PRIVATE",
        "Description": record.text("Description").unwrap_or_default(), "ServiceCount": count,
        "Properties": {
            "DnsProperties": {"HostedZoneId": hosted_zone(record), "SOA": {"TTL": soa_ttl(record)}},
            "HttpProperties": {"HttpName": record.text("Name")},
        },
        "CreateDate": seconds(record.created),
    })
}
