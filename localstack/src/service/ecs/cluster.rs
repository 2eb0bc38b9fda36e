//! Clusters.

use serde_json::{Value, json};

use super::error::invalid_parameter;
use super::members::{lower_camel, tag_list, with_next_token};
use super::model::{self, CAPACITY_PROVIDER_ASSOCIATIONS, CLUSTERS, cluster_arn};
use crate::records::{Record, RecordType, Records, WriteLock, page, tags_of, texts};
use crate::service::Call;
use crate::{AwsError, Context, Desired, Resource, Schema};

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
            return Err(invalid_parameter(format!(
                "A cluster named {} already exists.",
                record.id
            )));
        }
        Ok(record)
    }

    fn resource(cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Arn", cluster_arn(cx, &record.id))
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        check_empty(cx, &record.id)
    }
}

pub struct CapacityProviders;

impl RecordType for CapacityProviders {
    const TYPE: &'static str = "AWS::ECS::ClusterCapacityProviderAssociations";
    const RECORDS: Records = CAPACITY_PROVIDER_ASSOCIATIONS;

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
        record.id = model::cluster(cx, record.text("Cluster").as_deref())?.id;
        Ok(record)
    }
}

pub fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let lock = cx.extension::<WriteLock>();
    let _guard = lock.lock();
    let name = call.text("clusterName").unwrap_or_else(|| "default".into());
    if let Some(existing) = CLUSTERS.get(cx, &name)? {
        return Ok(json!({"cluster": description(cx, &existing)?}));
    }
    let mut record = Record::from_properties(&name, json!({"ClusterName": name}));
    record.tags = tags_of(&call.input["tags"]);
    CLUSTERS.put(cx, &record)?;
    Ok(json!({"cluster": description(cx, &record)?}))
}

pub fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut names = call.texts("clusters");
    if names.is_empty() {
        names.push("default".into());
    }
    let (mut clusters, mut failures) = (Vec::new(), Vec::new());
    for name in names {
        if let Ok(record) = model::cluster(cx, Some(&name)) {
            clusters.push(description(cx, &record)?);
        } else {
            let arn = if name.starts_with("arn:") {
                name
            } else {
                cluster_arn(cx, &name)
            };
            failures.push(json!({"arn": arn, "reason": "MISSING"}));
        }
    }
    Ok(json!({"clusters": clusters, "failures": failures}))
}

pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let arns: Vec<String> = CLUSTERS
        .list(cx)?
        .iter()
        .map(|record| cluster_arn(cx, &record.id))
        .collect();
    let limit = call.limit("maxResults", 100, 1..=100);
    let (arns, next) = page(arns, limit, call.text("nextToken").as_deref())?;
    Ok(with_next_token(json!({"clusterArns": arns}), next))
}

pub fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let lock = cx.extension::<WriteLock>();
    let _guard = lock.lock();
    let record = model::cluster(cx, Some(&call.required("cluster")?))?;
    check_empty(cx, &record.id)?;
    let mut description = description(cx, &record)?;
    description["status"] = "INACTIVE".into();
    CLUSTERS.delete(cx, &record.id)?;
    Ok(json!({"cluster": description}))
}

/// Checks that a cluster has no active services and no running tasks.
fn check_empty(cx: &Context, name: &str) -> Result<(), AwsError> {
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
    let count = |has_status: &dyn Fn(model::Status) -> bool| {
        tasks
            .iter()
            .filter(|t| t.cluster == record.id && has_status(t.last_status))
            .count()
    };
    let active = model::services(cx)?
        .iter()
        .filter(|s| s.cluster == record.id && s.status == "ACTIVE")
        .count();
    let members = |property: &str| lower_camel(record.properties.get(property).unwrap_or(&json!([])));
    Ok(json!({
        "clusterArn": cluster_arn(cx, &record.id), "clusterName": record.id, "status": "ACTIVE",
        "registeredContainerInstancesCount": 0, "activeServicesCount": active,
        "runningTasksCount": count(&|s| s == model::Status::Running),
        "pendingTasksCount": count(&|s| s < model::Status::Running),
        "statistics": [], "tags": tag_list(&record.tags), "settings": members("ClusterSettings"),
        "capacityProviders": texts(record.properties.get("CapacityProviders")),
        "defaultCapacityProviderStrategy": members("DefaultCapacityProviderStrategy"),
    }))
}
