//! Service-linked roles: `AWS::IAM::ServiceLinkedRole` and `CreateServiceLinkedRole`.

use serde_json::{Value, json};

use super::model::{self, ROLES, generate_id};
use super::role;
use crate::records::{Record, RecordType, Records, WriteLock};
use crate::service::Call;
use crate::{AwsError, Context, Desired, Resource, Schema};

/// Principals and their roles, where the name does not follow from the principal ("Using service-linked roles" in the guide of
/// each service).
const NAMES: &[(&str, &str)] = &[
    ("ecs", "ECS"),
    ("rds", "RDS"),
    ("elasticloadbalancing", "ElasticLoadBalancing"),
    ("kafka", "Kafka"),
    ("ecs.application-autoscaling", "ApplicationAutoScaling_ECSService"),
    ("kafka.application-autoscaling", "ApplicationAutoScaling_KafkaCluster"),
    ("rds.application-autoscaling", "ApplicationAutoScaling_RDSCluster"),
];

pub struct ServiceLinkedRole;

impl RecordType for ServiceLinkedRole {
    const TYPE: &'static str = "AWS::IAM::ServiceLinkedRole";
    const RECORDS: Records = ROLES;

    fn schema() -> Schema {
        Schema {
            properties: &["AWSServiceName", "CustomSuffix", "Description"],
            create_only: &["AWSServiceName", "CustomSuffix"],
            attributes: &["RoleName"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        fill(cx, Record::new("", desired))
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("RoleName", record.id.clone())
    }
}

pub fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let lock = cx.extension::<WriteLock>();
    let _guard = lock.lock();
    let record = fill(cx, Record::from_properties("", call.input.clone()))?;
    ROLES.put(cx, &record)?;
    Ok(json!({"Role": role::description(cx, &record)}))
}

/// `DeleteServiceLinkedRole`, which is done when it answers, and the status of such a deletion.
pub async fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    if call.operation == "GetServiceLinkedRoleDeletionStatus" {
        let task = call.required("DeletionTaskId")?;
        let parts: Vec<&str> = task.split('/').collect();
        let &["task", "aws-service-role", _, name, _] = parts.as_slice() else {
            return Err(invalid(format!("Invalid deletion task id: {task}")));
        };
        let status = if ROLES.get(cx, name)?.is_none() { "SUCCEEDED" } else { "NOT_STARTED" };
        return Ok(json!({"Status": status}));
    }
    let role = model::role(cx, &call.required("RoleName")?)?;
    let Some(service) = role.text("AWSServiceName") else {
        return Err(invalid(format!("The role {} is not a service-linked role.", role.id)));
    };
    cx.delete_resource(ServiceLinkedRole::TYPE, &role.id).await?;
    let task = format!("task/aws-service-role/{service}/{}/{}", role.id, uuid::Uuid::new_v4());
    Ok(json!({"DeletionTaskId": task}))
}

/// Names the role and its trust policy.
fn fill(cx: &Context, mut record: Record) -> Result<Record, AwsError> {
    let required = || AwsError::validation("AWSServiceName is required.");
    let service = record.text("AWSServiceName").ok_or_else(required)?;
    let principal = service.strip_suffix(".amazonaws.com").filter(|name| !name.is_empty());
    let principal =
        principal.ok_or_else(|| invalid(format!("The service name {service} is not a service principal.")))?;
    let known = NAMES.iter().find(|(known, _)| *known == principal);
    let stem = known.map_or_else(|| camel_case(principal), |(_, stem)| (*stem).to_owned());
    let suffix = record.text("CustomSuffix").map(|suffix| format!("_{suffix}"));
    let name = format!("AWSServiceRoleFor{stem}{}", suffix.unwrap_or_default());
    if ROLES.get(cx, &name)?.is_some() {
        return Err(invalid(format!(
            "Service role name {name} has been taken in this account, please try a different suffix."
        )));
    }
    record.id = name;
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}},
    ]});
    record.properties.insert("AssumeRolePolicyDocument".into(), trust);
    record.computed.insert("RoleId".into(), generate_id("AROA").into());
    record
        .computed
        .insert("Path".into(), format!("/aws-service-role/{service}/").into());
    Ok(record)
}

fn camel_case(principal: &str) -> String {
    let word = |word: &str| {
        let mut chars = word.chars();
        let first = chars.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(chars).collect::<String>()
    };
    principal.split(['.', '-']).map(word).collect()
}

fn invalid(message: String) -> AwsError {
    AwsError::new("InvalidInput", message)
}
