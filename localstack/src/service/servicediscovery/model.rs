//! Cloud Map records: namespaces, services and their instances.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::records::{Record, Records};
use crate::{AwsError, Context};

pub const NAMESPACES: Records = Records("servicediscovery.namespaces");
pub const SERVICES: Records = Records("servicediscovery.services");
const INSTANCES: &str = "servicediscovery.instances";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InstanceRecord {
    pub id: String,
    pub attributes: IndexMap<String, String>,
    #[serde(default)]
    pub creator_request_id: Option<String>,
    /// True if `UpdateInstanceCustomHealthStatus` said so.
    #[serde(default)]
    pub is_unhealthy: bool,
}

impl InstanceRecord {
    pub fn put(&self, cx: &Context, service: &str) -> Result<(), AwsError> {
        Ok(cx.store().put(INSTANCES, &instance_key(service, &self.id), self)?)
    }
}

/// Returns a new ID: the prefix, a hyphen and 16 characters of base32.
pub fn new_id(prefix: &str) -> String {
    format!("{prefix}-{}", random(16))
}

/// Returns random characters of base32.
pub fn random(length: usize) -> String {
    const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";
    (0..length)
        .map(|_| ALPHABET[rand::random_range(0..ALPHABET.len())] as char)
        .collect()
}

/// Returns the kind of a namespace, such as `HTTP`.
pub fn kind(namespace: &Record) -> String {
    namespace.computed("Type").unwrap_or_else(|| "DNS_PRIVATE".into())
}

pub fn is_http(namespace: &Record) -> bool {
    kind(namespace) == "HTTP"
}

/// Moves the id of the request that creates a resource to the values that are no properties.
pub fn take_request_id(record: &mut Record) {
    if let Some(id) = record.properties.shift_remove("CreatorRequestId") {
        record.computed.insert("CreatorRequestId".into(), id);
    }
}

/// Returns a service by ID or ARN.
///
/// # Errors
/// `ServiceNotFound`.
pub fn service(cx: &Context, id: &str) -> Result<Record, AwsError> {
    SERVICES
        .get(cx, id.rsplit('/').next().unwrap_or(id))?
        .ok_or_else(|| AwsError::new("ServiceNotFound", id))
}

pub fn service_arn(cx: &Context, id: &str) -> String {
    cx.arn("servicediscovery", &format!("service/{id}"))
}

/// Returns the namespace ID of a service.
pub fn namespace_of(service: &Record) -> String {
    let nested = service
        .properties
        .get("DnsConfig")
        .and_then(|d| d.get("NamespaceId"))
        .and_then(Value::as_str);
    service
        .text("NamespaceId")
        .or(nested.map(str::to_owned))
        .unwrap_or_default()
}

/// Returns the instances of a service.
pub fn instances(cx: &Context, service: &str) -> Result<Vec<InstanceRecord>, AwsError> {
    let prefix = instance_key(service, "");
    let all = cx.store().list::<InstanceRecord>(INSTANCES)?;
    Ok(all
        .into_iter()
        .filter(|(key, _)| key.starts_with(&prefix))
        .map(|(_, instance)| instance)
        .collect())
}

/// Deletes an instance and returns true if it existed.
pub fn delete_instance(cx: &Context, service: &str, id: &str) -> Result<bool, AwsError> {
    Ok(cx.store().delete(INSTANCES, &instance_key(service, id))?)
}

pub fn delete_instances(cx: &Context, service: &str) -> Result<(), AwsError> {
    for instance in instances(cx, service)? {
        delete_instance(cx, service, &instance.id)?;
    }
    Ok(())
}

fn instance_key(service: &str, id: &str) -> String {
    format!("{service}/{id}")
}
