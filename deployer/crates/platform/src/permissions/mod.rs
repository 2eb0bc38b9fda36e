//! IAM policies that a deployment requires.
//!
//! CloudFormation acts with the caller's permissions. A resource type's provider schema ("handlers") lists those that it
//! requires, so the policy follows from the templates; the operations that `deployer` itself calls are listed here. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::stacks::Plan;
use cfn::schema;

/// Maximum size of a managed policy, in characters without white space (IAM User Guide: "IAM and AWS STS quotas").
pub const MAX_MANAGED_POLICY: usize = 6144;

/// Operations that `deployer` itself calls, by IAM service prefix; a test compares them with the sources.
pub const OWN_OPERATIONS: &[(&str, &[&str])] = &[
    ("acm", &["DescribeCertificate"]),
    (
        "cloudformation",
        &[
            "CancelUpdateStack",
            "ContinueUpdateRollback",
            "CreateChangeSet",
            "DeleteChangeSet",
            "DeleteStack",
            "DescribeChangeSet",
            "DescribeStackDriftDetectionStatus",
            "DescribeStackEvents",
            "DescribeStackResourceDrifts",
            "DescribeStacks",
            "DetectStackDrift",
            "ExecuteChangeSet",
            "GetTemplate",
            "ListStackResources",
            "RollbackStack",
            "UpdateTerminationProtection",
            "ValidateTemplate",
        ],
    ),
    ("cloudwatch", &["GetMetricStatistics"]),
    (
        "ec2",
        &[
            "DeleteNetworkInterface",
            "DescribeAddresses",
            "DescribeAvailabilityZones",
            "DescribeNatGateways",
            "DescribeNetworkInterfaces",
            "DescribeSecurityGroupRules",
            "DescribeSecurityGroups",
            "DescribeSubnets",
            "DescribeVpcEndpoints",
            "DescribeVpcs",
        ],
    ),
    (
        "ecr",
        &[
            "BatchDeleteImage",
            "DescribeRepositories",
            "GetAuthorizationToken",
            "ListImages",
        ],
    ),
    (
        "ecs",
        &[
            "DeregisterTaskDefinition",
            "DescribeClusters",
            "DescribeServices",
            "DescribeTaskDefinition",
            "DescribeTasks",
            "ListServices",
            "ListTaskDefinitions",
            "ListTasks",
            "RegisterTaskDefinition",
            "UpdateService",
        ],
    ),
    (
        "elasticloadbalancing",
        &[
            "DescribeListeners",
            "DescribeLoadBalancerAttributes",
            "DescribeLoadBalancers",
            "DescribeRules",
            "DescribeTargetHealth",
            "ModifyLoadBalancerAttributes",
        ],
    ),
    ("iam", &["CreateServiceLinkedRole", "GetRole"]),
    (
        "kafka",
        &[
            "DescribeClusterV2",
            "GetBootstrapBrokers",
            "ListClustersV2",
            "ListTopics",
        ],
    ),
    ("kms", &["DescribeKey"]),
    (
        "logs",
        &[
            "DeleteLogGroup",
            "DescribeLogGroups",
            "FilterLogEvents",
            "GetLogEvents",
            "PutRetentionPolicy",
        ],
    ),
    ("pricing", &["GetProducts"]),
    (
        "rds",
        &[
            "DescribeAccountAttributes",
            "DescribeDBInstances",
            "DescribeDBSnapshots",
            "DescribeOrderableDBInstanceOptions",
            "ModifyDBInstance",
        ],
    ),
    (
        "secretsmanager",
        &["DescribeSecret", "ListSecretVersionIds", "ListSecrets"],
    ),
    ("servicequotas", &["GetAWSDefaultServiceQuota", "GetServiceQuota"]),
    (
        "s3",
        &[
            "CreateBucket",
            "DeleteBucket",
            "DeleteObject",
            "ListBucket",
            "PutBucketPublicAccessBlock",
            "PutLifecycleConfiguration",
            "PutObject",
        ],
    ),
    (
        "ssm",
        &["DeleteParameter", "GetParameter", "GetParametersByPath", "PutParameter"],
    ),
    ("sts", &["GetCallerIdentity"]),
];

/// Operations that push an image to ECR (Amazon ECR User Guide: "IAM permissions for pushing an image").
const PUSH: &[&str] = &[
    "BatchCheckLayerAvailability",
    "BatchGetImage",
    "CompleteLayerUpload",
    "GetDownloadUrlForLayer",
    "InitiateLayerUpload",
    "PutImage",
    "UploadLayerPart",
];

/// CloudFormation reads a large template from its bucket with the caller's permissions.
const READ: &[&str] = &["GetObject"];

/// Services whose endpoints serve all regions (AWS General Reference: "AWS services with global endpoints").
const GLOBAL: &[&str] = &["iam", "pricing", "route53", "sts"];

/// Returns the statements, one for each service; with a `region`, those of regional services apply to that region alone.
pub fn statements(plan: &Plan, region: Option<&str>) -> Vec<Value> {
    let mut services: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut allow = |action: &str| {
        if let Some((service, name)) = action.split_once(':') {
            // One schema spells a prefix `Kafka`; IAM ignores case.
            services
                .entry(service.to_ascii_lowercase())
                .or_default()
                .insert(name.to_owned());
        }
    };
    let resources = || plan.stacks.iter().flat_map(|stack| resources(&stack.template));
    for action in resources()
        .filter_map(resource_type)
        .filter_map(schema::of)
        .flat_map(|s| s.permissions())
    {
        allow(action);
    }
    for (service, names) in OWN_OPERATIONS.iter().chain(&[("ecr", PUSH), ("s3", READ)]) {
        names.iter().for_each(|name| allow(&format!("{service}:{name}")));
    }
    let passes_roles = services.get_mut("iam").is_some_and(|iam| iam.remove("PassRole"));
    let mut statements: Vec<Value> = services
        .iter()
        .map(|(service, names)| {
            let actions: Vec<String> = names.iter().map(|name| format!("{service}:{name}")).collect();
            let mut statement = json!({
                "Sid": sid(service),
                "Effect": "Allow",
                "Action": actions,
                "Resource": "*",
            });
            if let Some(region) = region.filter(|_| !GLOBAL.contains(&service.as_str())) {
                statement["Condition"] = json!({ "StringEquals": { "aws:RequestedRegion": region } });
            }
            statement
        })
        .collect();
    if passes_roles {
        let users: BTreeSet<&str> = resources().flat_map(assumed_by).collect();
        statements.push(json!({
            "Sid": "PassRoles",
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": "*",
            "Condition": { "StringEquals": { "iam:PassedToService": users } },
        }));
    }
    statements
}

/// Returns the statements as policy documents that are small enough for managed policies.
pub fn documents(statements: Vec<Value>) -> Vec<Value> {
    let size = |statement: &Value| statement.to_string().len() + 1;
    let available = MAX_MANAGED_POLICY - policy(&[]).to_string().len();
    let mut documents: Vec<Vec<Value>> = Vec::new();
    let mut used = 0;
    for statement in statements {
        if documents.is_empty() || used + size(&statement) > available {
            documents.push(Vec::new());
            used = 0;
        }
        used += size(&statement);
        if let Some(last) = documents.last_mut() {
            last.push(statement);
        }
    }
    documents.iter().map(|statements| policy(statements)).collect()
}

/// Returns a policy document of these statements.
pub fn policy(statements: &[Value]) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn resources(template: &Value) -> impl Iterator<Item = &Value> {
    template["Resources"]
        .as_object()
        .into_iter()
        .flat_map(|all| all.values())
}

fn resource_type(resource: &Value) -> Option<&str> {
    resource["Type"].as_str()
}

/// Returns the services that may assume this resource, if it is a role.
fn assumed_by(resource: &Value) -> Vec<&str> {
    let statements = resource["Properties"]["AssumeRolePolicyDocument"]["Statement"].as_array();
    let principals = statements.into_iter().flatten().map(|s| &s["Principal"]["Service"]);
    principals
        .flat_map(|service| match service {
            Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect::<Vec<_>>(),
        })
        .collect()
}

/// Returns `ApplicationAutoscaling` for `application-autoscaling`: a statement ID has letters and digits alone.
fn sid(service: &str) -> String {
    let parts = service.split('-').map(|part| {
        let mut characters = part.chars();
        let first = characters.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(characters).collect::<String>()
    });
    parts.collect()
}

#[cfg(test)]
mod tests;
