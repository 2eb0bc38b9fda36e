//! What the principal that deploys must be allowed to do, as IAM policies.
//!
//! CloudFormation acts with the caller's own permissions. Which ones a resource type needs is in its resource provider
//! schema ("handlers"), so the policy follows from the templates; what `deployer` itself calls is listed here. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::stacks::Plan;
use cfn::schema;

/// Characters that a managed policy may have, white space not counted (IAM User Guide: "IAM and AWS STS quotas").
pub const MANAGED_POLICY: usize = 6144;

/// What `deployer` calls itself, by IAM service prefix; a test holds it against the sources.
pub const OWN: &[(&str, &[&str])] = &[
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
            "DetectStackResourceDrift",
            "ExecuteChangeSet",
            "GetTemplate",
            "ListStackResources",
            "RollbackStack",
            "UpdateTerminationProtection",
            "ValidateTemplate",
        ],
    ),
    (
        "ec2",
        &[
            "DeleteNetworkInterface",
            "DescribeAccountAttributes",
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
            "DescribeRules",
            "DescribeTargetHealth",
            "ModifyLoadBalancerAttributes",
        ],
    ),
    ("kafka", &["GetBootstrapBrokers", "ListClustersV2", "ListTopics"]),
    ("kms", &["DescribeKey"]),
    (
        "logs",
        &["DeleteLogGroup", "DescribeLogGroups", "FilterLogEvents", "GetLogEvents"],
    ),
    ("pricing", &["GetProducts"]),
    ("rds", &["DescribeDBSnapshots"]),
    ("secretsmanager", &["ListSecrets"]),
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

/// What pushing an image to ECR takes (Amazon ECR User Guide: "IAM permissions for pushing an image").
const PUSH: &[&str] = &[
    "BatchCheckLayerAvailability",
    "BatchGetImage",
    "CompleteLayerUpload",
    "GetDownloadUrlForLayer",
    "InitiateLayerUpload",
    "PutImage",
    "UploadLayerPart",
];

/// CloudFormation reads a large template from its bucket with the caller's own permissions.
const READ: &[&str] = &["GetObject"];

/// Services that answer in one region, or a few, for all (AWS General Reference: "AWS services with global endpoints").
const GLOBAL: &[&str] = &["iam", "pricing", "route53", "sts"];

/// The statements, one a service; regional ones hold in `region` alone when it is given.
pub fn statements(plan: &Plan, region: Option<&str>) -> Vec<Value> {
    let mut services: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut allow = |action: &str| {
        if let Some((service, name)) = action.split_once(':') {
            // one schema spells a prefix `Kafka`; IAM does not mind, a reader does
            services
                .entry(service.to_ascii_lowercase())
                .or_default()
                .insert(name.to_owned());
        }
    };
    let resources = || plan.stacks.iter().flat_map(|stack| resources(&stack.template));
    for action in resources()
        .filter_map(kind)
        .filter_map(schema::of)
        .flat_map(|s| s.permissions())
    {
        allow(action);
    }
    for (service, names) in OWN.iter().chain(&[("ecr", PUSH), ("s3", READ)]) {
        names.iter().for_each(|name| allow(&format!("{service}:{name}")));
    }
    let passed = services.get_mut("iam").is_some_and(|iam| iam.remove("PassRole"));
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
    if passed {
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

/// The statements as policy documents, each small enough for a managed policy; a large service has several statements.
pub fn documents(statements: Vec<Value>) -> Vec<Value> {
    let size = |statement: &Value| statement.to_string().len() + 1;
    let room = MANAGED_POLICY - policy(&[]).to_string().len();
    let mut documents: Vec<Vec<Value>> = Vec::new();
    let mut used = 0;
    for statement in statements {
        if documents.is_empty() || used + size(&statement) > room {
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

/// A policy document of these statements.
pub fn policy(statements: &[Value]) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn resources(template: &Value) -> impl Iterator<Item = &Value> {
    template["Resources"]
        .as_object()
        .into_iter()
        .flat_map(|all| all.values())
}

fn kind(resource: &Value) -> Option<&str> {
    resource["Type"].as_str()
}

/// The services that may assume this resource, when it is a role.
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

/// `application-autoscaling` as `ApplicationAutoscaling`: a statement's id has letters and digits only.
fn sid(service: &str) -> String {
    let words = service.split('-').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    words.collect()
}

#[cfg(test)]
mod tests;
