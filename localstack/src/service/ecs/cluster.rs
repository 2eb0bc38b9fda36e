//! Clusters.

use serde_json::{Value, json};

use super::{capacity, invalid, model, shape};
use crate::records::{Record, RecordType, Records, WriteLock, page, tags_of, texts};
use crate::service::Call;
use crate::{AwsError, Context, Desired, Resource, Schema};

pub const CLUSTERS: Records = Records("ecs.clusters");

pub struct Cluster;

impl RecordType for Cluster {
    const TYPE: &'static str = "AWS::ECS::Cluster";
    const RECORDS: Records = CLUSTERS;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "ClusterName",
                "ClusterSettings",
                "Configuration",
                "CapacityProviders",
                "DefaultCapacityProviderStrategy",
                "ServiceConnectDefaults",
                "Tags",
            ],
            create_only: &["ClusterName"],
            attributes: &["Arn"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        record.id = record
            .text("ClusterName")
            .unwrap_or_else(|| desired.generated_name(255));
        if CLUSTERS.get(cx, &record.id)?.is_some() {
            return Err(invalid(format!("A cluster named {} exists already.", record.id)));
        }
        Ok(record)
    }

    fn resource(cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Arn", arn(cx, &record.id))
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        empty(cx, &record.id)
    }
}

pub struct CapacityProviders;

impl RecordType for CapacityProviders {
    const TYPE: &'static str = "AWS::ECS::ClusterCapacityProviderAssociations";
    const RECORDS: Records = capacity::ASSOCIATIONS;

    fn schema() -> Schema {
        Schema {
            properties: &["Cluster", "CapacityProviders", "DefaultCapacityProviderStrategy"],
            required: &["Cluster", "CapacityProviders", "DefaultCapacityProviderStrategy"],
            create_only: &["Cluster"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        record.id = named(cx, record.text("Cluster").as_deref())?.id;
        Ok(record)
    }
}

pub fn arn(cx: &Context, name: &str) -> String {
    cx.arn("ecs", &format!("cluster/{name}"))
}

/// The cluster that a caller names by name or ARN; `default` when none is named.
pub fn named(cx: &Context, name: Option<&str>) -> Result<Record, AwsError> {
    let name = name.unwrap_or("default");
    CLUSTERS
        .get(cx, name.rsplit('/').next().unwrap_or(name))?
        .ok_or_else(|| AwsError::new("ClusterNotFoundException", "Cluster not found."))
}

pub fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let lock = cx.extension::<WriteLock>();
    let _guard = lock.lock();
    let name = call.text("clusterName").unwrap_or_else(|| "default".into());
    if let Some(there) = CLUSTERS.get(cx, &name)? {
        return Ok(json!({"cluster": description(cx, &there)?}));
    }
    let mut record = Record::from_properties(&name, json!({"ClusterName": name}));
    record.tags = tags_of(&call.input["tags"]);
    CLUSTERS.put(cx, &record)?;
    Ok(json!({"cluster": description(cx, &record)?}))
}

pub fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut wanted = call.texts("clusters");
    if wanted.is_empty() {
        wanted.push("default".into());
    }
    let (mut clusters, mut failures) = (Vec::new(), Vec::new());
    for name in wanted {
        match named(cx, Some(&name)) {
            Ok(record) => clusters.push(description(cx, &record)?),
            Err(_) => {
                let arn = if name.starts_with("arn:") { name } else { arn(cx, &name) };
                failures.push(json!({"arn": arn, "reason": "MISSING"}));
            }
        }
    }
    Ok(json!({"clusters": clusters, "failures": failures}))
}

pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let arns: Vec<String> = CLUSTERS.list(cx)?.iter().map(|record| arn(cx, &record.id)).collect();
    let limit = call.integer("maxResults").unwrap_or(100).clamp(1, 100) as usize;
    let (arns, next) = page(arns, limit, call.text("nextToken").as_deref())?;
    Ok(super::with_token(json!({"clusterArns": arns}), next))
}

pub fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let lock = cx.extension::<WriteLock>();
    let _guard = lock.lock();
    let record = named(cx, Some(&call.required("cluster")?))?;
    empty(cx, &record.id)?;
    let mut shown = description(cx, &record)?;
    shown["status"] = "INACTIVE".into();
    CLUSTERS.delete(cx, &record.id)?;
    Ok(json!({"cluster": shown}))
}

fn empty(cx: &Context, name: &str) -> Result<(), AwsError> {
    let in_use = |what: &str| {
        Err(AwsError::new(
            format!("ClusterContains{what}Exception"),
            format!("The Cluster cannot be deleted while {what} are active."),
        ))
    };
    if model::services(cx)?
        .iter()
        .any(|s| s.cluster == name && s.status != "INACTIVE")
    {
        return in_use("Services");
    }
    if model::tasks(cx)?.iter().any(|t| t.cluster == name && t.is_live()) {
        return in_use("Tasks");
    }
    Ok(())
}

fn description(cx: &Context, record: &Record) -> Result<Value, AwsError> {
    let tasks = model::tasks(cx)?;
    let count = |wanted: &dyn Fn(model::Status) -> bool| {
        tasks
            .iter()
            .filter(|t| t.cluster == record.id && wanted(t.last_status))
            .count()
    };
    let active = model::services(cx)?
        .iter()
        .filter(|s| s.cluster == record.id && s.status == "ACTIVE")
        .count();
    let tags: Vec<Value> = record.tags.iter().map(|(k, v)| json!({"key": k, "value": v})).collect();
    Ok(json!({
        "clusterArn": arn(cx, &record.id), "clusterName": record.id, "status": "ACTIVE",
        "registeredContainerInstancesCount": 0, "activeServicesCount": active,
        "runningTasksCount": count(&|s| s == model::Status::Running),
        "pendingTasksCount": count(&|s| s < model::Status::Running),
        "statistics": [], "tags": tags,
        "settings": shape::members(record.properties.get("ClusterSettings").unwrap_or(&json!([]))),
        "capacityProviders": texts(record.properties.get("CapacityProviders")),
        "defaultCapacityProviderStrategy":
            shape::members(record.properties.get("DefaultCapacityProviderStrategy").unwrap_or(&json!([]))),
    }))
}
