//! Clusters.

use serde_json::{Map, Value, json};

use super::capacity;
use super::error::invalid_parameter;
use super::members::{lower_camel, tag_list, upper_camel, with_next_token};
use super::model::{self, CAPACITY_PROVIDER_ASSOCIATIONS, CLUSTERS, cluster_arn};
use crate::records::{Record, RecordType, Records, WriteLock, page, texts};
use crate::service::Call;
use crate::service::input::only;
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
        check(&record)?;
        Ok(record)
    }

    fn update(_cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        check(record)
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

/// The members of `CreateCluster` and `UpdateCluster` that become properties.
const STORED: [(&str, &str); 5] = [
    ("settings", "ClusterSettings"),
    ("configuration", "Configuration"),
    ("capacityProviders", "CapacityProviders"),
    ("defaultCapacityProviderStrategy", "DefaultCapacityProviderStrategy"),
    ("serviceConnectDefaults", "ServiceConnectDefaults"),
];

/// Returns the members of an input that become properties, in the form of a template.
fn stored(input: &Value) -> Map<String, Value> {
    let given = STORED
        .iter()
        .filter_map(|(member, property)| Some(((*property).to_owned(), upper_camel(input.get(member)?))));
    given.collect()
}

/// `CreateCluster`, which returns the cluster if it exists.
pub async fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let members = [&STORED.map(|(member, _)| member)[..], &["clusterName", "tags"]].concat();
    only(call, "InvalidParameterException", &members)?;
    let name = call.text("clusterName").unwrap_or_else(|| "default".into());
    if let Some(existing) = CLUSTERS.get(cx, &name)? {
        return Ok(json!({"cluster": description(cx, &existing)?}));
    }
    let mut desired = stored(&call.input);
    desired.insert("ClusterName".into(), name.into());
    desired.insert("Tags".into(), call.list("tags").into());
    let created = cx.create_resource(Cluster::TYPE, Value::Object(desired)).await?;
    let record = model::cluster(cx, Some(&created.physical_id))?;
    Ok(json!({"cluster": description(cx, &record)?}))
}

/// `UpdateCluster`, `UpdateClusterSettings` and `PutClusterCapacityProviders`.
pub async fn update(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let members: &[&str] = match call.operation.as_str() {
        "UpdateCluster" => &["cluster", "settings", "configuration", "serviceConnectDefaults"],
        "UpdateClusterSettings" => &["cluster", "settings"],
        _ => &["cluster", "capacityProviders", "defaultCapacityProviderStrategy"],
    };
    only(call, "InvalidParameterException", members)?;
    let id = model::cluster(cx, Some(&call.required("cluster")?))?.id;
    if call.operation == "PutClusterCapacityProviders" {
        // The new providers replace also those of an association.
        CAPACITY_PROVIDER_ASSOCIATIONS.delete(cx, &id)?;
    }
    let set = |properties: &mut Map<String, Value>| {
        properties.extend(stored(&call.input));
        Ok(())
    };
    cx.update_resource(Cluster::TYPE, &id, set).await?;
    let record = model::cluster(cx, Some(&id))?;
    Ok(json!({"cluster": description(cx, &record)?}))
}

fn check(record: &Record) -> Result<(), AwsError> {
    let strategy = record
        .properties
        .get("DefaultCapacityProviderStrategy")
        .and_then(Value::as_array);
    let providers = texts(record.properties.get("CapacityProviders"));
    capacity::check(&providers, strategy.map_or(&[], Vec::as_slice), "CapacityProvider")
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
    let lock = cx.shared::<WriteLock>();
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
    let association = CAPACITY_PROVIDER_ASSOCIATIONS.get(cx, &record.id)?;
    let members = |property: &str| {
        let own = record.properties.get(property).and_then(Value::as_array);
        let more = association
            .as_ref()
            .and_then(|record| record.properties.get(property)?.as_array());
        let all = own.into_iter().flatten().chain(more.into_iter().flatten());
        lower_camel(&all.cloned().collect())
    };
    let mut shown = json!({
        "clusterArn": cluster_arn(cx, &record.id), "clusterName": record.id, "status": "ACTIVE",
        "registeredContainerInstancesCount": 0, "activeServicesCount": active,
        "runningTasksCount": count(&|s| s == model::Status::Running),
        "pendingTasksCount": count(&|s| s < model::Status::Running),
        "statistics": [], "tags": tag_list(&record.tags), "settings": members("ClusterSettings"),
        "capacityProviders": members("CapacityProviders"),
        "defaultCapacityProviderStrategy": members("DefaultCapacityProviderStrategy"),
    });
    for (member, property) in [
        ("configuration", "Configuration"),
        ("serviceConnectDefaults", "ServiceConnectDefaults"),
    ] {
        if let Some(value) = record.properties.get(property) {
            shown[member] = lower_camel(value);
        }
    }
    Ok(shown)
}
