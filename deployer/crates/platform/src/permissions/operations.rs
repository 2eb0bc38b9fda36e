//! Operations that `deployer` itself calls.

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
            "DescribeRouteTables",
            "DescribeSecurityGroupRules",
            "DescribeSecurityGroups",
            "DescribeSubnets",
            "DescribeVpcAttribute",
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
            "DescribeServiceDeployments",
            "DescribeServices",
            "DescribeTaskDefinition",
            "DescribeTasks",
            "ListServiceDeployments",
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
    ("route53", &["GetHostedZone"]),
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
        &[
            "DeleteParameter",
            "DescribeParameters",
            "GetParameter",
            "GetParametersByPath",
            "PutParameter",
        ],
    ),
    ("sts", &["GetCallerIdentity"]),
];

/// Operations that push an image to ECR (Amazon ECR User Guide: "IAM permissions for pushing an image").
pub(super) const PUSH: &[&str] = &[
    "BatchCheckLayerAvailability",
    "BatchGetImage",
    "CompleteLayerUpload",
    "GetDownloadUrlForLayer",
    "InitiateLayerUpload",
    "PutImage",
    "UploadLayerPart",
];

/// CloudFormation reads a large template from its bucket with the caller's permissions.
pub(super) const READ: &[&str] = &["GetObject"];
