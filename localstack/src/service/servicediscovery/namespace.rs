//! Namespaces: `AWS::ServiceDiscovery::{PrivateDnsNamespace, PublicDnsNamespace, HttpNamespace}` and the operations on them.

use std::marker::PhantomData;

use serde_json::{Value, json};

use super::instance::soa_ttl;
use super::model::{NAMESPACES, SERVICES, is_http, kind, namespace_of, new_id, take_request_id};
use super::{filter, operation};
use crate::records::{Record, RecordType, Records, seconds};
use crate::service::Call;
use crate::service::input::{only, properties};
use crate::{AwsError, Context, Desired, Resource, Schema};

/// A kind of namespace.
pub trait Kind: Send + Sync + 'static {
    /// The name of the API.
    const KIND: &'static str;
    const SCHEMA: Schema;
    const TYPE: &'static str;
}

/// Names that resolve in a VPC; here, in every task.
pub struct PrivateDns;
/// Names that resolve everywhere; here, in every task. There is no Route 53 here to show their hosted zone.
pub struct PublicDns;
/// No names: `DiscoverInstances` alone finds the instances.
pub struct Http;

const DNS_ATTRIBUTES: &[&str] = &["Arn", "Id", "HostedZoneId"];
const NO_SCHEMA: Schema = Schema {
    properties: &[],
    required: &[],
    create_only: &[],
    attributes: &[],
    write_only: &[],
};

impl Kind for PrivateDns {
    const KIND: &'static str = "DNS_PRIVATE";
    const SCHEMA: Schema = Schema {
        properties: &["Name", "Vpc", "Description", "Properties", "Tags"],
        required: &["Name", "Vpc"],
        create_only: &["Name", "Vpc"],
        attributes: DNS_ATTRIBUTES,
        ..NO_SCHEMA
    };
    const TYPE: &'static str = "AWS::ServiceDiscovery::PrivateDnsNamespace";
}

impl Kind for PublicDns {
    const KIND: &'static str = "DNS_PUBLIC";
    const SCHEMA: Schema = Schema {
        properties: &["Name", "Description", "Properties", "Tags"],
        required: &["Name"],
        create_only: &["Name"],
        attributes: DNS_ATTRIBUTES,
        ..NO_SCHEMA
    };
    const TYPE: &'static str = "AWS::ServiceDiscovery::PublicDnsNamespace";
}

impl Kind for Http {
    const KIND: &'static str = "HTTP";
    const SCHEMA: Schema = Schema {
        properties: &["Name", "Description", "Tags"],
        required: &["Name"],
        create_only: &["Name"],
        attributes: &["Arn", "Id"],
        ..NO_SCHEMA
    };
    const TYPE: &'static str = "AWS::ServiceDiscovery::HttpNamespace";
}

pub struct Namespace<K>(PhantomData<K>);

impl<K: Kind> RecordType for Namespace<K> {
    const TYPE: &'static str = K::TYPE;
    const RECORDS: Records = NAMESPACES;

    fn schema() -> Schema {
        K::SCHEMA
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new(new_id("ns"), desired);
        take_request_id(&mut record);
        record.computed.insert("Type".into(), K::KIND.into());
        let name = record.text("Name").unwrap_or_default();
        let label = |l: &str| {
            !l.is_empty() && l.len() <= 63 && l.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        };
        let is_valid = if K::KIND == Http::KIND {
            !name.is_empty() && name.len() <= 1024 && name.chars().all(|c| ('!'..='~').contains(&c))
        } else {
            name.split('.').all(label)
        };
        if !is_valid {
            return Err(AwsError::new(
                "InvalidInput",
                format!("The namespace name {name} is not valid."),
            ));
        }
        let same = |r: &Record| {
            r.text("Name").as_ref() == Some(&name) && kind(r) == K::KIND && r.text("Vpc") == record.text("Vpc")
        };
        if NAMESPACES.find(cx, same)?.is_some() {
            return Err(AwsError::new(
                "NamespaceAlreadyExists",
                format!("A namespace of this kind has the name {name} already."),
            ));
        }
        Ok(record)
    }

    fn resource(cx: &Context, record: &Record) -> Resource {
        let resource = Resource::new(&record.id)
            .with("Id", record.id.clone())
            .with("Arn", arn(cx, &record.id));
        if is_http(record) {
            return resource;
        }
        resource.with("HostedZoneId", hosted_zone(record))
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

/// `CreatePrivateDnsNamespace`, `CreatePublicDnsNamespace` and `CreateHttpNamespace`.
pub async fn create<K: Kind>(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let members = [K::SCHEMA.properties, &["CreatorRequestId"]].concat();
    only(call, "InvalidInput", &members)?;
    for member in K::SCHEMA.required {
        if call.text(member).is_none() {
            let message = format!("The parameter {member} is required.");
            return Err(AwsError::new("InvalidInput", message));
        }
    }
    let names: Vec<(&str, &str)> = members.iter().map(|member| (*member, *member)).collect();
    let desired = Value::Object(properties(&call.input, &names));
    let created = cx.create_resource(K::TYPE, desired).await?;
    operation::done(cx, "CREATE_NAMESPACE", &json!({"NAMESPACE": created.physical_id}))
}

/// `UpdatePrivateDnsNamespace`, `UpdatePublicDnsNamespace` and `UpdateHttpNamespace`.
pub async fn update<K: Kind>(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    only(call, "InvalidInput", &["Id", "UpdaterRequestId", "Namespace"])?;
    let namespace = found(cx, call)?;
    if kind(&namespace) != K::KIND {
        let message = format!("The namespace {} is of the type {}.", namespace.id, kind(&namespace));
        return Err(AwsError::new("InvalidInput", message));
    }
    let names = ["Description", "Properties"].map(|member| (member, member));
    let changed = properties(&call.input["Namespace"], &names);
    cx.update_resource(K::TYPE, &namespace.id, |properties| {
        properties.extend(changed);
        Ok(())
    })
    .await?;
    operation::done(cx, "UPDATE_NAMESPACE", &json!({"NAMESPACE": namespace.id}))
}

/// `DeleteNamespace`, which refuses a namespace with services.
pub async fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let namespace = found(cx, call)?;
    let type_name = match kind(&namespace).as_str() {
        Http::KIND => Http::TYPE,
        PublicDns::KIND => PublicDns::TYPE,
        _ => PrivateDns::TYPE,
    };
    cx.delete_resource(type_name, &namespace.id).await?;
    operation::done(cx, "DELETE_NAMESPACE", &json!({"NAMESPACE": namespace.id}))
}

/// Returns the namespace that a call names by its ID or ARN.
fn found(cx: &Context, call: &Call) -> Result<Record, AwsError> {
    let id = call.required("Id")?;
    let record = NAMESPACES.get(cx, id.rsplit('/').next().unwrap_or(&id))?;
    record.ok_or_else(|| AwsError::new("NamespaceNotFound", id))
}

fn arn(cx: &Context, id: &str) -> String {
    cx.arn("servicediscovery", &format!("namespace/{id}"))
}

pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut found = NAMESPACES.list(cx)?;
    filter::apply(
        call,
        &mut found,
        &["NAME", "HTTP_NAME", "TYPE"],
        |record, name| match name {
            "TYPE" => Some(kind(record)),
            _ => record.text("Name"),
        },
    )?;
    let shown = found.iter().map(|record| description(cx, record)).collect();
    filter::page_of(call, "Namespaces", shown)
}

pub fn get(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let record = found(cx, call)?;
    let mut shown = description(cx, &record);
    if let Some(id) = record.computed("CreatorRequestId") {
        shown["CreatorRequestId"] = id.into();
    }
    Ok(json!({"Namespace": shown}))
}

fn description(cx: &Context, record: &Record) -> Value {
    let services = SERVICES.list(cx).unwrap_or_default();
    let count = services.iter().filter(|s| namespace_of(s) == record.id).count();
    // An HTTP namespace has this form on AWS (`GetNamespace`, example).
    let dns = if is_http(record) {
        json!({"SOA": {}})
    } else {
        json!({"HostedZoneId": hosted_zone(record), "SOA": {"TTL": soa_ttl(record)}})
    };
    let mut shown = json!({
        "Id": record.id, "Arn": arn(cx, &record.id), "Name": record.text("Name"), "Type": kind(record),
        "ServiceCount": count, "CreateDate": seconds(record.created),
        "Properties": {"DnsProperties": dns, "HttpProperties": {"HttpName": record.text("Name")}},
    });
    if let Some(text) = record.text("Description") {
        shown["Description"] = text.into();
    }
    shown
}
