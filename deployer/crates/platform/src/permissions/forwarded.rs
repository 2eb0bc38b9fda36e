//! Requests that AWS services make in the caller's name, which no provider schema lists.
//!
//! A service that encrypts with a customer managed key, or that works with another service, calls KMS or that service with the
//! rights of the principal who called it (IAM User Guide: "Forward access sessions"). Each row has AWS's source.

use serde_json::Value;

/// Actions that a resource with a property requires besides those of its provider schema.
pub struct Forwarded {
    /// The CloudFormation type.
    pub resource_type: &'static str,
    /// The path of the property, through the first element of a list; empty for every resource of the type.
    pub property: &'static [&'static str],
    /// The actions.
    pub actions: &'static [&'static str],
    /// The AWS service that calls KMS, if the actions are those of KMS with the key's data: `kms:ViaService` limits them to it.
    pub via: Option<&'static str>,
    /// The title of AWS's page.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the reader and for the tests"))]
    pub source: &'static str,
}

const SECRET_KEY: &[&str] = &["kms:Decrypt", "kms:GenerateDataKey"];
const GRANT: &[&str] = &["kms:CreateGrant", "kms:DescribeKey"];
const LOG_DELIVERY: &[&str] = &[
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
];

/// All rows, by type.
pub const FORWARDED: &[Forwarded] = &[
    Forwarded {
        resource_type: "AWS::ApplicationAutoScaling::ScalableTarget",
        property: &[],
        actions: &[
            "cloudwatch:DeleteAlarms",
            "cloudwatch:DescribeAlarms",
            "cloudwatch:PutMetricAlarm",
            "ecs:DescribeServices",
            "ecs:UpdateService",
        ],
        via: None,
        source: "Application Auto Scaling User Guide: Identity-based policy examples, permissions to register and scale",
    },
    Forwarded {
        resource_type: "AWS::EC2::FlowLog",
        property: &[],
        actions: &["logs:CreateLogDelivery", "logs:DeleteLogDelivery"],
        via: None,
        source: "Amazon VPC User Guide: Control the use of flow logs",
    },
    Forwarded {
        resource_type: "AWS::EC2::FlowLog",
        property: &["DeliverLogsPermissionArn"],
        actions: &["iam:PassRole"],
        via: None,
        source: "Amazon VPC User Guide: IAM role for publishing flow logs to CloudWatch Logs, passing a role",
    },
    Forwarded {
        resource_type: "AWS::ECR::Repository",
        property: &["EncryptionConfiguration", "KmsKey"],
        actions: &["kms:CreateGrant", "kms:DescribeKey", "kms:RetireGrant"],
        via: None,
        source: "Amazon ECR User Guide: Encryption at rest, required IAM permissions",
    },
    Forwarded {
        resource_type: "AWS::ECS::Service",
        property: &["LoadBalancers", "AdvancedConfiguration", "RoleArn"],
        actions: &["iam:PassRole"],
        via: None,
        source: "Amazon ECS Developer Guide: Permissions required for Amazon ECS blue/green, linear, and canary deployments",
    },
    Forwarded {
        resource_type: "AWS::ECS::TaskDefinition",
        property: &["ExecutionRoleArn"],
        actions: &["iam:PassRole"],
        via: None,
        source: "Amazon ECS Developer Guide: Task execution IAM role",
    },
    Forwarded {
        resource_type: "AWS::ECS::TaskDefinition",
        property: &["TaskRoleArn"],
        actions: &["iam:PassRole"],
        via: None,
        source: "Amazon ECS Developer Guide: Task IAM role",
    },
    Forwarded {
        resource_type: "AWS::ElasticLoadBalancingV2::LoadBalancer",
        property: &[],
        actions: &[
            "ec2:DescribeInternetGateways",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcs",
        ],
        via: None,
        source: "Elastic Load Balancing: AWS managed policy ElasticLoadBalancingFullAccess",
    },
    Forwarded {
        resource_type: "AWS::MSK::Cluster",
        property: &[],
        actions: &[
            "ec2:CreateTags",
            "ec2:CreateVpcEndpoint",
            "ec2:DeleteVpcEndpoints",
            "ec2:DescribeRouteTables",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcAttribute",
            "ec2:DescribeVpcEndpoints",
            "ec2:DescribeVpcs",
        ],
        via: None,
        source: "Amazon MSK Developer Guide: AWS managed policy AmazonMSKFullAccess",
    },
    Forwarded {
        resource_type: "AWS::MSK::Cluster",
        property: &["EncryptionInfo", "EncryptionAtRest", "DataVolumeKMSKeyId"],
        actions: GRANT,
        via: None,
        source: "Amazon MSK Developer Guide: AWS managed policy AmazonMSKFullAccess",
    },
    Forwarded {
        resource_type: "AWS::MSK::Cluster",
        property: &["LoggingInfo", "BrokerLogs"],
        actions: LOG_DELIVERY,
        via: None,
        source: "Amazon CloudWatch Logs User Guide: Enable logging from AWS services, V1 permissions",
    },
    Forwarded {
        resource_type: "AWS::RDS::DBInstance",
        property: &["KmsKeyId"],
        actions: GRANT,
        via: None,
        source: "Amazon RDS User Guide: AWS KMS key management, authorizing use of a customer managed key",
    },
    Forwarded {
        resource_type: "AWS::RDS::DBInstance",
        property: &["ManageMasterUserPassword"],
        actions: &[
            "kms:DescribeKey",
            "secretsmanager:CreateSecret",
            "secretsmanager:TagResource",
        ],
        via: None,
        source: "Amazon RDS User Guide: Password management with Amazon RDS and AWS Secrets Manager, permissions required",
    },
    Forwarded {
        resource_type: "AWS::RDS::DBInstance",
        property: &["MasterUserSecret", "KmsKeyId"],
        actions: SECRET_KEY,
        via: Some("secretsmanager"),
        source: "Amazon RDS User Guide: Password management with Amazon RDS and AWS Secrets Manager, permissions required",
    },
    Forwarded {
        resource_type: "AWS::RDS::DBInstance",
        property: &["MonitoringRoleArn"],
        actions: &["iam:PassRole"],
        via: None,
        source: "Amazon RDS User Guide: Setting up Enhanced Monitoring, passing the role",
    },
    Forwarded {
        resource_type: "AWS::RDS::DBInstance",
        property: &["PerformanceInsightsKMSKeyId"],
        actions: GRANT,
        via: None,
        source: "Amazon RDS User Guide: Configuring an AWS KMS policy for Performance Insights",
    },
    Forwarded {
        resource_type: "AWS::SecretsManager::Secret",
        property: &["KmsKeyId"],
        actions: SECRET_KEY,
        via: Some("secretsmanager"),
        source: "AWS Secrets Manager User Guide: Secret encryption and decryption, permissions for the KMS key",
    },
    Forwarded {
        resource_type: "AWS::ServiceDiscovery::PrivateDnsNamespace",
        property: &[],
        actions: &[
            "ec2:DescribeRegions",
            "ec2:DescribeVpcs",
            "route53:CreateHostedZone",
            "route53:GetHostedZone",
            "route53:ListHostedZonesByName",
        ],
        via: None,
        source: "AWS Cloud Map Developer Guide: API permissions reference",
    },
];

/// Service-linked roles that a service creates for its first resource in an account, in the caller's name (the "Service-linked
/// roles" page of each service).
const LINKED_ROLES: &[(&str, &[&str])] = &[
    ("AWS::ECS::Cluster", &["ecs.amazonaws.com"]),
    (
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        &["elasticloadbalancing.amazonaws.com"],
    ),
    (
        "AWS::MSK::Cluster",
        &["delivery.logs.amazonaws.com", "kafka.amazonaws.com"],
    ),
    ("AWS::RDS::DBInstance", &["rds.amazonaws.com"]),
];

/// Returns true if the row applies to a resource.
pub fn applies(row: &Forwarded, resource: &Value) -> bool {
    let property = row
        .property
        .iter()
        .try_fold(&resource["Properties"], |at, step| at.get(0).unwrap_or(at).get(step));
    resource["Type"] == row.resource_type && (row.property.is_empty() || property.is_some())
}

/// Returns the services whose linked roles a resource requires.
pub fn linked_roles(resource: &Value) -> Vec<String> {
    if resource["Type"] == "AWS::ApplicationAutoScaling::ScalableTarget" {
        let namespace = resource["Properties"]["ServiceNamespace"].as_str().unwrap_or("ecs");
        return vec![format!("{namespace}.application-autoscaling.amazonaws.com")];
    }
    let found = LINKED_ROLES.iter().find(|(kind, _)| resource["Type"] == *kind);
    found
        .map(|(_, services)| services.iter().map(|&service| service.to_owned()).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::manifest::{Rollout, Steps};
    use crate::stacks::plan;
    use crate::testing::plan_of;

    #[test]
    fn every_row_names_a_source_and_a_type_of_the_templates() {
        let (mut manifest, _) = plan_of("prod");
        let public = manifest.services.iter_mut().find(|service| service.name == "web");
        public.expect("the public service").rollout = Rollout::Shifting {
            steps: Steps::BlueGreen,
            bake_minutes: 5,
        };
        let plan = plan(&manifest);
        let templates = plan.stacks.iter().map(|stack| &stack.template["Resources"]);
        let resources: Vec<&Value> = templates
            .filter_map(Value::as_object)
            .flat_map(|all| all.values())
            .collect();
        let unused: BTreeSet<&str> = FORWARDED
            .iter()
            .filter(|row| !resources.iter().any(|resource| applies(row, resource)))
            .map(|row| row.resource_type)
            .collect();
        assert_eq!(unused, BTreeSet::new());
        assert!(FORWARDED.iter().all(|row| row.source.contains(": ")));
    }
}
