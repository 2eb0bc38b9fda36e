//! Service-linked roles: `AWS::IAM::ServiceLinkedRole` and `CreateServiceLinkedRole`.

use serde_json::{Value, json};

use super::model::{self, ROLES, generate_id};
use super::role;
use crate::records::{Record, RecordType, Records, WriteLock};
use crate::service::Call;
use crate::{AwsError, Context, Desired, Resource, Schema};

/// Principals of services with their roles, and the managed policies of these (see the file).
const RECORDED: &str = include_str!("service_linked_roles.txt");
/// The same for scaling targets without a recording ("Service-linked roles for Application Auto Scaling").
const SCALING: [(&str, &str); 5] = [
    ("ecs.application-autoscaling", "ECSService"),
    ("kafka.application-autoscaling", "KafkaCluster"),
    ("rds.application-autoscaling", "RDSCluster"),
    ("custom-resource.application-autoscaling", "CustomResource"),
    ("dynamodb.application-autoscaling", "DynamoDBTable"),
];

/// A service's role: the part of its name that follows `AWSServiceRoleFor`, its policy, and whether its name may have a suffix.
struct Known {
    stem: String,
    policy: Option<&'static str>,
    may_have_suffix: bool,
}

fn known(principal: &str) -> Known {
    let recorded = RECORDED.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let mut recorded = recorded.filter(|fields| fields[0] == principal);
    if let Some(fields) = recorded.next() {
        return Known {
            stem: fields[1].to_owned(),
            policy: fields.get(2).copied(),
            may_have_suffix: fields.contains(&"suffix"),
        };
    }
    let scaling = SCALING.iter().find(|(known, _)| *known == principal);
    let of_scaling = scaling.map(|(_, target)| format!("ApplicationAutoScaling_{target}"));
    Known {
        stem: of_scaling.unwrap_or_else(|| camel_case(principal)),
        policy: None,
        may_have_suffix: true,
    }
}

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
    let lock = cx.shared::<WriteLock>();
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
        let status = if ROLES.get(cx, name)?.is_none() {
            "SUCCEEDED"
        } else {
            "NOT_STARTED"
        };
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
    let Known {
        stem,
        policy,
        may_have_suffix,
    } = known(principal);
    let suffix = record.text("CustomSuffix").map(|suffix| format!("_{suffix}"));
    if suffix.is_some() && !may_have_suffix {
        return Err(invalid(format!("Custom suffix is not allowed for {service}")));
    }
    let name = format!("AWSServiceRoleFor{stem}{}", suffix.unwrap_or_default());
    if ROLES.get(cx, &name)?.is_some() {
        return Err(invalid(format!(
            "Service role name {name} has been taken in this account, please try a different suffix."
        )));
    }
    record.id = name;
    if let Some(policy) = policy {
        let arn = format!("{}/aws-service-role/{policy}", super::managed::PREFIX);
        record.properties.insert("ManagedPolicyArns".into(), json!([arn]));
    }
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
