//! Configurations and tags by calls. The members are those of the wire, in lower camel case.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::configuration::{Configuration, revision};
use super::model::{self, CLUSTERS};
use crate::records::{Record, RecordType, WriteLock, iso, tags_of, texts};
use crate::{AwsError, Call, Context};

/// The versions of Apache Kafka that MSK offers (MSK Developer Guide, "Supported Apache Kafka versions").
const VERSIONS: [&str; 8] = [
    "3.6.0",
    "3.7.x",
    "3.7.x.kraft",
    "3.8.x",
    "3.8.x.kraft",
    "3.9.x",
    "3.9.x.kraft",
    "4.0.x.kraft",
];

pub fn versions() -> Value {
    let shown = VERSIONS.map(|version| json!({"version": version, "status": "ACTIVE"}));
    json!({ "kafkaVersions": shown })
}

fn bad_request(message: impl Into<String>) -> AwsError {
    AwsError::new("BadRequestException", message)
}

/// Returns the text of `server.properties`, which the wire has as base64.
fn server_properties(call: &Call) -> Result<String, AwsError> {
    let given = call.text("serverProperties");
    let given = given.ok_or_else(|| bad_request("The parameter serverProperties is missing."))?;
    let decoded = BASE64_STANDARD.decode(given).ok();
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| bad_request("The value of serverProperties is not base64 of UTF-8 text."))
}

/// Refuses a member that the operation does not have.
fn check_members(call: &Call, known: &[&str]) -> Result<(), AwsError> {
    let mut members = call.input.as_object().into_iter().flatten();
    match members.find(|(name, _)| !known.contains(&name.as_str())) {
        Some((name, _)) => Err(bad_request(format!("The parameter {name} is not supported."))),
        None => Ok(()),
    }
}

pub async fn create_configuration(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    check_members(call, &["name", "description", "kafkaVersions", "serverProperties"])?;
    let name = call.text("name").unwrap_or_default();
    // MSK API Reference, `CreateConfiguration`.
    let valid = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !valid {
        return Err(bad_request(format!("The configuration name '{name}' is invalid.")));
    }
    let mut properties = json!({"Name": name, "ServerProperties": server_properties(call)?});
    for (member, property) in [("description", "Description"), ("kafkaVersions", "KafkaVersionsList")] {
        if let Some(value) = call.input.get(member) {
            properties[property] = value.clone();
        }
    }
    let created = cx.create_resource(Configuration::TYPE, properties).await?;
    let record = Configuration::find(cx, &created.physical_id)?;
    Ok(json!({
        "arn": record.id, "name": name, "creationTime": iso(record.created), "state": "ACTIVE",
        "latestRevision": latest(&record),
    }))
}

pub async fn update_configuration(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    check_members(call, &["arn", "description", "serverProperties"])?;
    let record = Configuration::find(cx, &call.required("arn")?)?;
    let text = server_properties(call)?;
    let update = cx.update_resource(Configuration::TYPE, &record.id, |properties| {
        properties.insert("ServerProperties".into(), text.into());
        properties.shift_remove("Description");
        if let Some(description) = call.input.get("description") {
            properties.insert("Description".into(), description.clone());
        }
        Ok(())
    });
    update.await?;
    let record = Configuration::find(cx, &record.id)?;
    Ok(json!({"arn": record.id, "latestRevision": latest(&record)}))
}

pub async fn delete_configuration(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let record = Configuration::find(cx, &call.required("arn")?)?;
    let uses = |cluster: &Record| {
        let arn = cluster
            .properties
            .get("ConfigurationInfo")
            .and_then(|info| info.get("Arn"));
        arn.is_some_and(|arn| *arn == record.id.as_str())
    };
    if let Some(user) = CLUSTERS.find(cx, uses)? {
        return Err(bad_request(format!("The configuration is in use by {}.", user.id)));
    }
    cx.delete_resource(Configuration::TYPE, &record.id).await?;
    Ok(json!({"arn": record.id, "state": "DELETING"}))
}

/// Describes a configuration, as `DescribeConfiguration` and `ListConfigurations` do.
pub fn configuration(record: &Record) -> Value {
    json!({
        "arn": record.id, "name": record.text("Name"), "description": record.text("Description").unwrap_or_default(),
        "creationTime": iso(record.created), "state": "ACTIVE",
        "kafkaVersions": texts(record.properties.get("KafkaVersionsList")), "latestRevision": latest(record),
    })
}

fn latest(record: &Record) -> Value {
    json!({
        "creationTime": iso(record.created), "revision": revision(record),
        "description": record.text("Description").unwrap_or_default(),
    })
}

pub fn describe_configuration(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    Ok(configuration(&Configuration::find(cx, &call.required("arn")?)?))
}

/// Describes one revision with its properties; AWS keeps all of them.
pub fn describe_revision(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let record = Configuration::find(cx, &call.required("arn")?)?;
    let number = call.integer("revision");
    let found = Configuration::revisions(&record)
        .into_iter()
        .find(|(one, _)| Some(*one) == number);
    let missing = || AwsError::new("NotFoundException", "This configuration revision doesn't exist.").with_status(404);
    let (number, properties) = found.ok_or_else(missing)?;
    Ok(json!({
        "arn": record.id, "revision": number, "creationTime": iso(record.created),
        "description": record.text("Description").unwrap_or_default(),
        "serverProperties": BASE64_STANDARD.encode(properties),
    }))
}

/// Changes the tags of a cluster.
pub fn tag(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let tags = tags_of(call.input.get("tags").unwrap_or(&Value::Null));
    change_tags(cx, call, |record| {
        record.inherited.retain(|key| !tags.contains_key(key));
        record.tags.extend(tags.clone());
    })
}

pub fn untag(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut keys = call.texts("tagKeys");
    keys.extend(call.text("tagKeys"));
    change_tags(cx, call, |record| record.tags.retain(|key, _| !keys.contains(key)))
}

fn change_tags(cx: &Context, call: &Call, apply: impl FnOnce(&mut Record)) -> Result<Value, AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let mut record = model::cluster(cx, &call.required("resourceArn")?)?;
    apply(&mut record);
    CLUSTERS.put(cx, &record)?;
    Ok(json!({}))
}
