//! Creation, change and deletion of clusters by calls, and the cluster's policy. Calls return when the work is done.

use serde_json::{Map, Value, json};

use super::cluster_policy::ClusterPolicy;
use super::model::{self, STATE};
use crate::records::{Record, RecordType, Records, iso, now, page, texts};
use crate::{AwsError, Call, Context};

const CLUSTER: &str = "AWS::MSK::Cluster";
/// The operations that changed clusters, by ARN.
const OPERATIONS: Records = Records("kafka.operations");

fn bad_request(message: impl Into<String>) -> AwsError {
    AwsError::new("BadRequestException", message)
}

/// Converts the names of the API to those of a template.
fn upper_camel(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let members = object.iter().map(|(key, value)| {
                let mut chars = key.chars();
                let first = chars.next().map(|c| c.to_ascii_uppercase());
                let key = match key.as_str() {
                    "ebsStorageInfo" => "EBSStorageInfo".to_owned(),
                    _ => first.into_iter().chain(chars).collect(),
                };
                (key, upper_camel(value))
            });
            Value::Object(members.collect::<Map<_, _>>())
        }
        Value::Array(list) => list.iter().map(upper_camel).collect(),
        other => other.clone(),
    }
}

/// Creates a cluster from the members of `CreateCluster`, or from those in `provisioned` of `CreateClusterV2`.
pub async fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut input = call.input.as_object().cloned().unwrap_or_default();
    if input.contains_key("serverless") {
        return Err(bad_request(
            "The embedded endpoint does not support serverless clusters. Create a provisioned one, which supports IAM authentication too.",
        ));
    }
    if let Some(Value::Object(provisioned)) = input.shift_remove("provisioned") {
        input.extend(provisioned);
    } else if call.operation == "CreateClusterV2" {
        return Err(bad_request("Specify either provisioned or serverless."));
    }
    let tags = input.shift_remove("tags");
    let mut properties = upper_camel(&Value::Object(input));
    if let Some(tags) = tags {
        properties["Tags"] = tags;
    }
    let known = cx
        .resource_type(CLUSTER)
        .map(|kind| kind.schema().properties)
        .unwrap_or_default();
    let mut members = properties.as_object().into_iter().flatten();
    if let Some((name, _)) = members.find(|(name, _)| !known.contains(&name.as_str())) {
        return Err(bad_request(format!(
            "The embedded endpoint does not support the parameter {name}."
        )));
    }
    check_supported(&properties)?;
    check_network(cx, &properties["BrokerNodeGroupInfo"]).await?;
    let created = cx.create_resource(CLUSTER, properties).await?;
    let record = model::cluster(cx, &created.physical_id)?;
    let mut response = json!({
        "clusterArn": record.id, "clusterName": record.text("ClusterName"), "state": record.computed(STATE),
    });
    if call.operation == "CreateClusterV2" {
        response["clusterType"] = "PROVISIONED".into();
    }
    Ok(response)
}

/// Refuses what the broker would ignore: its clients authenticate with IAM or not at all.
fn check_supported(properties: &Value) -> Result<(), AwsError> {
    let is_given = |pointer: &str| match properties.pointer(pointer) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Array(list)) => !list.is_empty(),
        Some(_) => true,
    };
    let refused = [
        "/ClientAuthentication/Sasl/Scram/Enabled",
        "/ClientAuthentication/Tls/Enabled",
        "/ClientAuthentication/Tls/CertificateAuthorityArnList",
        "/BrokerNodeGroupInfo/ZoneIds",
    ];
    match refused.into_iter().find(|pointer| is_given(pointer)) {
        Some(pointer) => {
            let name = pointer.trim_start_matches('/').replace('/', ".");
            Err(bad_request(format!(
                "The embedded endpoint does not support the parameter {name}."
            )))
        }
        None => Ok(()),
    }
}

/// Checks that the subnets and the security groups exist.
async fn check_network(cx: &Context, group: &Value) -> Result<(), AwsError> {
    for (member, operation, selector) in [
        ("ClientSubnets", "DescribeSubnets", "SubnetIds"),
        ("SecurityGroups", "DescribeSecurityGroups", "GroupIds"),
    ] {
        let ids = texts(group.get(member));
        if !ids.is_empty() {
            let found = cx.call("ec2", operation, json!({selector: ids})).await;
            found.map_err(|error| bad_request(error.message))?;
        }
    }
    Ok(())
}

pub async fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let record = cluster(cx, call)?;
    cx.delete_resource(CLUSTER, &record.id).await?;
    Ok(json!({"clusterArn": record.id, "state": "DELETING"}))
}

/// Returns the cluster of a call, whose version must be the current one.
fn cluster(cx: &Context, call: &Call) -> Result<Record, AwsError> {
    let record = model::cluster(cx, &call.required("clusterArn")?)?;
    match call.text("currentVersion").filter(|version| version != model::VERSION) {
        None => Ok(record),
        Some(other) => Err(bad_request(format!(
            "You need to specify the current version of the cluster, which is {}, not {other}.",
            model::VERSION
        ))),
    }
}

/// Changes a cluster by one of the Update operations, and records the operation.
pub async fn update(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let record = cluster(cx, call)?;
    let volumes = call.list("targetBrokerEBSVolumeInfo");
    let has_throughput = volumes
        .iter()
        .any(|volume| volume.get("provisionedThroughput").is_some());
    if has_throughput || call.input.get("topicReassignment").is_some() {
        let message =
            "The embedded endpoint does not support the parameters provisionedThroughput and topicReassignment.";
        return Err(bad_request(message));
    }
    let change = |member: &str| call.input.get(member).map(upper_camel);
    let given = |member: &str| change(member).ok_or_else(|| bad_request(format!("The parameter {member} is missing.")));
    let changes: Vec<(&str, Value)> = match call.operation.as_str() {
        "UpdateBrokerCount" => vec![("/NumberOfBrokerNodes", given("targetNumberOfBrokerNodes")?)],
        "UpdateBrokerType" => vec![("/BrokerNodeGroupInfo/InstanceType", given("targetInstanceType")?)],
        "UpdateBrokerStorage" => {
            // "If you want to update all brokers, use ALL": brokers have one size here.
            let size = match volumes.as_slice() {
                [one] if one["kafkaBrokerNodeId"] == "All" || one["kafkaBrokerNodeId"] == "ALL" => {
                    one["volumeSizeGB"].clone()
                }
                _ => {
                    return Err(bad_request(
                        "The embedded endpoint changes the storage of all brokers only: kafkaBrokerNodeId must be All.",
                    ));
                }
            };
            vec![("/BrokerNodeGroupInfo/StorageInfo/EBSStorageInfo/VolumeSize", size)]
        }
        "UpdateClusterConfiguration" => vec![("/ConfigurationInfo", given("configurationInfo")?)],
        "UpdateClusterKafkaVersion" => {
            let mut changes = vec![("/KafkaVersion", given("targetKafkaVersion")?)];
            changes.extend(change("configurationInfo").map(|info| ("/ConfigurationInfo", info)));
            changes
        }
        "UpdateSecurity" => [
            ("clientAuthentication", "/ClientAuthentication"),
            ("encryptionInfo", "/EncryptionInfo"),
        ]
        .iter()
        .filter_map(|(member, path)| Some((*path, change(member)?)))
        .collect(),
        _ => [
            ("enhancedMonitoring", "/EnhancedMonitoring"),
            ("openMonitoring", "/OpenMonitoring"),
            ("loggingInfo", "/LoggingInfo"),
        ]
        .iter()
        .filter_map(|(member, path)| Some((*path, change(member)?)))
        .collect(),
    };
    let update = cx.update_resource(CLUSTER, &record.id, |properties| {
        let mut all = Value::Object(std::mem::take(properties));
        for (path, value) in changes {
            set(&mut all, path, value);
        }
        check_supported(&all)?;
        *properties = all.as_object().cloned().unwrap_or_default();
        Ok(())
    });
    update.await?;
    let id = format!(
        "{}/{}",
        record.id.replacen(":cluster/", ":cluster-operation/", 1),
        uuid::Uuid::new_v4()
    );
    // The types of AWS's own operations (`aws kafka describe-cluster-operation`).
    let kind = match call.operation.as_str() {
        "UpdateBrokerCount" => "INCREASE_BROKER_COUNT",
        "UpdateBrokerStorage" => "INCREASE_BROKER_STORAGE",
        "UpdateBrokerType" => "UPDATE_BROKER_TYPE",
        "UpdateClusterConfiguration" => "UPDATE_CLUSTER_CONFIGURATION",
        "UpdateClusterKafkaVersion" => "UPDATE_CLUSTER_KAFKA_VERSION",
        "UpdateSecurity" => "UPDATE_SECURITY",
        _ => "UPDATE_MONITORING",
    };
    let properties = json!({"ClusterArn": record.id, "OperationType": kind, "EndTime": now()});
    OPERATIONS.put(cx, &Record::from_properties(&id, properties))?;
    Ok(json!({"clusterArn": record.id, "clusterOperationArn": id}))
}

/// Sets the value at a path such as `/A/B`.
fn set(value: &mut Value, path: &str, new: Value) {
    let mut at = value;
    for step in path.split('/').skip(1) {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[step];
    }
    *at = new;
}

fn shown_operation(operation: &Record) -> Value {
    let end = operation
        .properties
        .get("EndTime")
        .and_then(Value::as_i64)
        .unwrap_or(operation.created);
    json!({
        "clusterArn": operation.text("ClusterArn"), "operationArn": operation.id, "operationType": operation.text("OperationType"),
        "operationState": "UPDATE_COMPLETE", "creationTime": iso(operation.created), "endTime": iso(end),
    })
}

pub fn operation(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let arn = call.required("clusterOperationArn")?;
    let missing = || {
        AwsError::new(
            "NotFoundException",
            format!("The cluster operation {arn} does not exist."),
        )
        .with_status(404)
    };
    let found = OPERATIONS.get(cx, &arn)?.ok_or_else(missing)?;
    Ok(json!({"clusterOperationInfo": shown_operation(&found)}))
}

pub fn operations(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let cluster = model::cluster(cx, &call.required("clusterArn")?)?;
    let mut found = OPERATIONS.list(cx)?;
    found.retain(|operation| operation.has("ClusterArn", &cluster.id));
    found.sort_by_key(|operation| std::cmp::Reverse(operation.created));
    let limit = call.limit("maxResults", 100, 1..=100);
    let (found, next) = page(found, limit, call.text("nextToken").as_deref())?;
    let shown: Vec<Value> = found.iter().map(shown_operation).collect();
    let mut response = json!({"clusterOperationInfoList": shown});
    if let Some(next) = next {
        response["nextToken"] = next.into();
    }
    Ok(response)
}

/// Deletes what is kept about a cluster beside its record.
pub fn forget(cx: &Context, cluster: &str) -> Result<(), AwsError> {
    for operation in OPERATIONS
        .list(cx)?
        .iter()
        .filter(|operation| operation.has("ClusterArn", cluster))
    {
        OPERATIONS.delete(cx, &operation.id)?;
    }
    ClusterPolicy::RECORDS.delete(cx, cluster).map(drop)
}

pub fn policy(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let cluster = model::cluster(cx, &call.required("clusterArn")?)?;
    let missing = || AwsError::new("NotFoundException", "The cluster has no policy.").with_status(404);
    let record = ClusterPolicy::RECORDS.get(cx, &cluster.id)?.ok_or_else(missing)?;
    let policy = match record.properties.get("Policy") {
        Some(Value::String(text)) => text.clone(),
        document => document.cloned().unwrap_or_default().to_string(),
    };
    Ok(json!({"currentVersion": ClusterPolicy::version(&record), "policy": policy}))
}

pub async fn put_policy(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let cluster = model::cluster(cx, &call.required("clusterArn")?)?;
    let policy = call.text("policy").unwrap_or_default();
    if !serde_json::from_str::<Value>(&policy).is_ok_and(|document| document.get("Statement").is_some()) {
        return Err(bad_request("The policy is not a JSON document with statements."));
    }
    let before = ClusterPolicy::RECORDS.get(cx, &cluster.id)?;
    let current = before.as_ref().map(ClusterPolicy::version).unwrap_or_default();
    if let Some(given) = call
        .text("currentVersion")
        .filter(|given| !given.is_empty() && *given != current)
    {
        return Err(bad_request(format!(
            "Version mismatch: expected {current}, got {given}"
        )));
    }
    if before.is_some() {
        let update = cx.update_resource(ClusterPolicy::TYPE, &cluster.id, |properties| {
            properties.insert("Policy".into(), policy.into());
            Ok(())
        });
        update.await?;
    } else {
        let properties = json!({"ClusterArn": cluster.id, "Policy": policy});
        cx.create_resource(ClusterPolicy::TYPE, properties).await?;
    }
    let record = ClusterPolicy::RECORDS.get(cx, &cluster.id)?;
    Ok(json!({"currentVersion": record.as_ref().map(ClusterPolicy::version)}))
}

pub async fn delete_policy(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let cluster = model::cluster(cx, &call.required("clusterArn")?)?;
    if cx.delete_resource(ClusterPolicy::TYPE, &cluster.id).await? {
        return Ok(json!({}));
    }
    Err(AwsError::new("NotFoundException", "The cluster has no policy.").with_status(404))
}
