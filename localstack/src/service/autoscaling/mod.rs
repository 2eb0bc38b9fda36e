//! Application Auto Scaling: targets keep the desired count of a service between their bounds.
//!
//! Policies are stored only, because the endpoint has no metrics. So are targets of broker storage, which only the disk
//! limits.

#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::input::retag;
use crate::records::{Record, RecordType, Records, page, record_type, seconds, texts};
use crate::service::Call;
use crate::{AwsError, Context, Desired, Failure, Resource, ResourceType, Schema, Service};

const TARGETS: Records = Records("autoscaling.targets");
const POLICIES: Records = Records("autoscaling.policies");
/// The supported namespaces and dimensions, with the last part of the service-linked role.
const SCALABLE: [(&str, &str, &str); 2] = [
    ("ecs", "ecs:service:DesiredCount", "ECSService"),
    ("kafka", "kafka:broker-storage:VolumeSize", "KafkaCluster"),
];

/// Returns the Application Auto Scaling service.
pub fn service() -> Arc<dyn Service> {
    Arc::new(AutoScaling)
}

struct AutoScaling;

#[async_trait]
impl Service for AutoScaling {
    fn name(&self) -> &'static str {
        "application-autoscaling"
    }

    fn types(&self) -> Vec<Arc<dyn ResourceType>> {
        vec![
            Arc::new(ScalableTarget {
                record: record_type::<Target>(),
            }),
            record_type::<Policy>(),
        ]
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        match call.operation.as_str() {
            "RegisterScalableTarget" => return write::register(cx, &call).await,
            "DeregisterScalableTarget" => return write::deregister(cx, &call).await,
            "PutScalingPolicy" => return write::put_policy(cx, &call).await,
            "DeleteScalingPolicy" => return write::delete_policy(cx, &call).await,
            "TagResource" | "UntagResource" => {
                let id = tagged(cx, &call)?.id;
                retag(cx, TARGETS, &id, &call.input["Tags"], &call.input["TagKeys"])?;
                return Ok(json!({}));
            }
            "ListTagsForResource" => {
                let tags = tagged(cx, &call)?.tags;
                let tags: Map<String, Value> = tags.into_iter().map(|(key, value)| (key, value.into())).collect();
                return Ok(json!({"Tags": tags}));
            }
            _ => {}
        }
        let namespace = call.required("ServiceNamespace")?;
        let resources = [
            texts(call.input.get("ResourceIds")),
            texts(call.input.get("ResourceId")),
        ]
        .concat();
        let resources = resources.into_iter().chain(call.text("ResourceId")).collect::<Vec<_>>();
        let requested = |r: &Record| {
            r.computed("Namespace").as_deref() == Some(&namespace)
                && (resources.is_empty() || r.computed("ResourceId").is_some_and(|id| resources.contains(&id)))
        };
        match call.operation.as_str() {
            "DescribeScalableTargets" => {
                let found = TARGETS.list(cx)?;
                let found = found.iter().filter(|r| requested(r)).map(|r| target(cx, r));
                shown(&call, "ScalableTargets", found.collect())
            }
            "DescribeScalingPolicies" => {
                let names = texts(call.input.get("PolicyNames"));
                let is_named =
                    |r: &&Record| names.is_empty() || r.text("PolicyName").is_some_and(|name| names.contains(&name));
                let found = POLICIES.list(cx)?;
                let found = found.iter().filter(|r| requested(r)).filter(is_named).map(policy);
                shown(&call, "ScalingPolicies", found.collect())
            }
            // No policy is ever evaluated, so there are no activities.
            "DescribeScalingActivities" => shown(&call, "ScalingActivities", Vec::new()),
            other => Err(AwsError::not_implemented("application-autoscaling", other)),
        }
    }
}

/// Returns one page of a list; it has at most 50 items (API reference, `MaxResults`).
fn shown(call: &Call, list: &str, found: Vec<Value>) -> Result<Value, AwsError> {
    let (found, next) = page(
        found,
        call.limit("MaxResults", 50, 1..=50),
        call.text("NextToken").as_deref(),
    )
    .map_err(|error| AwsError::new("InvalidNextTokenException", error.message))?;
    Ok(json!({list: found, "NextToken": next}))
}

/// The resource type of targets. It stores the target and then moves the service's desired count between its bounds.
struct ScalableTarget {
    record: Arc<dyn ResourceType>,
}

#[async_trait]
impl ResourceType for ScalableTarget {
    fn name(&self) -> &'static str {
        self.record.name()
    }

    fn schema(&self) -> Schema {
        self.record.schema()
    }

    async fn create(&self, cx: &Context, desired: &Desired) -> Result<Resource, Failure> {
        let created = self.record.create(cx, desired).await?;
        if let Err(error) = clamp(cx, &created.physical_id).await {
            self.record
                .delete(cx, &created.physical_id, &desired.properties)
                .await?;
            return Err(error.into());
        }
        Ok(created)
    }

    async fn update(&self, cx: &Context, id: &str, previous: &Value, desired: &Desired) -> Result<Resource, Failure> {
        let updated = self.record.update(cx, id, previous, desired).await?;
        clamp(cx, id).await?;
        Ok(updated)
    }

    async fn delete(&self, cx: &Context, id: &str, properties: &Value) -> Result<(), Failure> {
        self.record.delete(cx, id, properties).await
    }

    async fn read(&self, cx: &Context, id: &str) -> Result<Option<Value>, Failure> {
        self.record.read(cx, id).await
    }
}

struct Target;

impl RecordType for Target {
    const TYPE: &'static str = "AWS::ApplicationAutoScaling::ScalableTarget";
    const RECORDS: Records = TARGETS;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "MaxCapacity",
                "MinCapacity",
                "ResourceId",
                "RoleARN",
                "ScalableDimension",
                "ScheduledActions",
                "ServiceNamespace",
                "SuspendedState",
                "Tags",
            ],
            required: &[
                "MaxCapacity",
                "MinCapacity",
                "ResourceId",
                "ScalableDimension",
                "ServiceNamespace",
            ],
            create_only: &["ResourceId", "ScalableDimension", "ServiceNamespace"],
            attributes: &["Id"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        let text = |property: &str| record.text(property).unwrap_or_default();
        let (resource, dimension, namespace) =
            (text("ResourceId"), text("ScalableDimension"), text("ServiceNamespace"));
        let supported = |(of, name, _): &(&str, &str, &str)| *of == namespace && *name == dimension;
        if !SCALABLE.iter().any(supported) {
            let all = SCALABLE.map(|(_, name, _)| name).join(" and ");
            let reason = format!("The embedded endpoint scales {all} only, not {namespace} {dimension}.");
            return Err(AwsError::new("ValidationException", reason));
        }
        record.id = format!("{resource}|{dimension}|{namespace}");
        if TARGETS.get(cx, &record.id)?.is_some() {
            return Err(AwsError::new("AlreadyExists", format!("{} already exists", record.id)));
        }
        record.computed.insert("Namespace".into(), namespace.into());
        record.computed.insert("ResourceId".into(), resource.into());
        bounds(&record)?;
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Id", record.id.clone())
    }

    fn update(_cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        bounds(record).map(drop)
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        // As on AWS: "Deregistering a scalable target deletes the scaling policies that are associated with it."
        for policy in POLICIES
            .list(cx)?
            .iter()
            .filter(|p| p.computed("Target").as_ref() == Some(&record.id))
        {
            POLICIES.delete(cx, &policy.id)?;
        }
        Ok(())
    }
}

struct Policy;

impl RecordType for Policy {
    const TYPE: &'static str = "AWS::ApplicationAutoScaling::ScalingPolicy";
    const RECORDS: Records = POLICIES;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "PolicyName",
                "PolicyType",
                "ResourceId",
                "ScalableDimension",
                "ScalingTargetId",
                "ServiceNamespace",
                "StepScalingPolicyConfiguration",
                "TargetTrackingScalingPolicyConfiguration",
                "PredictiveScalingPolicyConfiguration",
            ],
            required: &["PolicyName", "PolicyType"],
            create_only: &[
                "PolicyName",
                "ResourceId",
                "ScalableDimension",
                "ScalingTargetId",
                "ServiceNamespace",
            ],
            attributes: &["Arn"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        let text = |property: &str| record.text(property).unwrap_or_default();
        let target = record.text("ScalingTargetId").unwrap_or_else(|| {
            format!(
                "{}|{}|{}",
                text("ResourceId"),
                text("ScalableDimension"),
                text("ServiceNamespace")
            )
        });
        let missing = || {
            let reason = format!("No scalable target registered for {}", target.replace('|', ", "));
            AwsError::new("ObjectNotFoundException", reason)
        };
        let found = TARGETS.get(cx, &target)?.ok_or_else(missing)?;
        let resource = found.text("ResourceId").unwrap_or_default();
        let namespace = found.text("ServiceNamespace").unwrap_or_default();
        let name = text("PolicyName");
        record.id = cx.arn(
            "autoscaling",
            &format!(
                "scalingPolicy:{}:resource/{namespace}/{resource}:policyName/{name}",
                Uuid::new_v4()
            ),
        );
        let dimension = found.text("ScalableDimension").unwrap_or_default();
        record.computed.insert("Target".into(), target.into());
        record.computed.insert("Namespace".into(), namespace.into());
        record.computed.insert("Dimension".into(), dimension.into());
        record.computed.insert("ResourceId".into(), resource.into());
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Arn", record.id.clone())
    }
}

/// Returns the target whose tags a call reads or changes.
fn tagged(cx: &Context, call: &Call) -> Result<Record, AwsError> {
    let arn = call.required("ResourceARN")?;
    let found = TARGETS.find(cx, |record| target_arn(cx, record) == arn)?;
    found.ok_or_else(|| AwsError::new("ResourceNotFoundException", format!("{arn} does not exist")))
}

/// Returns the ARN of a target, which is constant for its resource and dimension.
fn target_arn(cx: &Context, target: &Record) -> String {
    let digest = hex::encode(Sha256::digest(target.id.as_bytes()));
    cx.arn("application-autoscaling", &format!("scalable-target/{}", &digest[..32]))
}

fn bounds(target: &Record) -> Result<(i64, i64), AwsError> {
    let bound = |property: &str| target.text(property).and_then(|text| text.parse::<i64>().ok());
    match (bound("MinCapacity"), bound("MaxCapacity")) {
        (Some(min), Some(max)) if 0 <= min && min <= max => Ok((min, max)),
        _ => Err(AwsError::new(
            "ValidationException",
            "MinCapacity and MaxCapacity must be whole numbers, and MinCapacity cannot be greater than MaxCapacity.",
        )),
    }
}

/// Moves the desired count of the target's service between the target's bounds.
async fn clamp(cx: &Context, target: &str) -> Result<(), AwsError> {
    let Some(record) = TARGETS.get(cx, target)? else {
        return Ok(());
    };
    let (min, max) = bounds(&record)?;
    if !record.has("ServiceNamespace", "ecs") {
        return Ok(());
    }
    let resource = record.text("ResourceId").unwrap_or_default();
    let steps: Vec<&str> = resource.split('/').collect();
    let ["service", cluster, service] = steps[..] else {
        let reason = format!("ResourceId must be service/CLUSTER/SERVICE; it is '{resource}'.");
        return Err(AwsError::new("ValidationException", reason));
    };
    let input = json!({"cluster": cluster, "services": [service]});
    let response = cx.call("ecs", "DescribeServices", input).await?;
    let missing = || AwsError::new("ValidationException", format!("ECS service doesn't exist: {resource}"));
    let count = response["services"][0]["desiredCount"].as_i64().ok_or_else(missing)?;
    let clamped = count.clamp(min, max);
    if clamped != count {
        let change = json!({"cluster": cluster, "service": service, "desiredCount": clamped});
        cx.call("ecs", "UpdateService", change).await?;
    }
    Ok(())
}

fn target(cx: &Context, record: &Record) -> Value {
    let (min, max) = bounds(record).unwrap_or_default();
    let is_suspended = |member: &str| {
        let state = record
            .properties
            .get("SuspendedState")
            .and_then(|state| state.get(member));
        state.is_some_and(|flag| flag == true || flag == "true")
    };
    let namespace = record.text("ServiceNamespace").unwrap_or_default();
    let role = SCALABLE
        .iter()
        .find(|(of, ..)| *of == namespace)
        .map_or("", |(.., role)| role);
    json!({
        "ServiceNamespace": namespace, "ResourceId": record.text("ResourceId"),
        "ScalableDimension": record.text("ScalableDimension"),
        "ScalableTargetARN": target_arn(cx, record), "MinCapacity": min, "MaxCapacity": max, "CreationTime": seconds(record.created),
        "RoleARN": record.text("RoleARN").unwrap_or_else(|| format!(
            "arn:aws:iam::{}:role/aws-service-role/{namespace}.application-autoscaling.amazonaws.com/\
             AWSServiceRoleForApplicationAutoScaling_{role}",
            cx.account(),
        )),
        "SuspendedState": {
            "DynamicScalingInSuspended": is_suspended("DynamicScalingInSuspended"),
            "DynamicScalingOutSuspended": is_suspended("DynamicScalingOutSuspended"),
            "ScheduledScalingSuspended": is_suspended("ScheduledScalingSuspended"),
        },
    })
}

fn policy(record: &Record) -> Value {
    let mut item = json!({
        "PolicyARN": record.id, "PolicyName": record.text("PolicyName"), "PolicyType": record.text("PolicyType"),
        "ServiceNamespace": record.computed("Namespace"), "ResourceId": record.computed("ResourceId"),
        "ScalableDimension": record.computed("Dimension"),
        "Alarms": [], "CreationTime": seconds(record.created),
    });
    for member in [
        "TargetTrackingScalingPolicyConfiguration",
        "StepScalingPolicyConfiguration",
    ] {
        record
            .properties
            .get(member)
            .into_iter()
            .for_each(|value| item[member] = value.clone());
    }
    item
}
