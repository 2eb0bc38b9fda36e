//! The managed policies of AWS that are known here, with their documents (AWS Managed Policy Reference Guide).

use serde_json::{Value, json};

/// The ARNs of the managed policies of AWS begin so.
pub const PREFIX: &str = "arn:aws:iam::aws:policy";

/// The path and name of a policy, and its statements: actions, which are allowed on every resource.
const POLICIES: [(&str, &[&str]); 6] = [
    ("/AdministratorAccess", &["*"]),
    (
        "/service-role/AmazonECSTaskExecutionRolePolicy",
        &[
            "ecr:GetAuthorizationToken",
            "ecr:BatchCheckLayerAvailability",
            "ecr:GetDownloadUrlForLayer",
            "ecr:BatchGetImage",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
        ],
    ),
    (
        "/AmazonEC2ContainerRegistryReadOnly",
        &[
            "ecr:GetAuthorizationToken",
            "ecr:BatchCheckLayerAvailability",
            "ecr:GetDownloadUrlForLayer",
            "ecr:GetRepositoryPolicy",
            "ecr:DescribeRepositories",
            "ecr:ListImages",
            "ecr:DescribeImages",
            "ecr:BatchGetImage",
            "ecr:GetLifecyclePolicy",
            "ecr:GetLifecyclePolicyPreview",
            "ecr:ListTagsForResource",
            "ecr:DescribeImageScanFindings",
        ],
    ),
    ("/AmazonS3FullAccess", &["s3:*", "s3-object-lambda:*"]),
    (
        "/AmazonS3ReadOnlyAccess",
        &[
            "s3:Get*",
            "s3:List*",
            "s3:Describe*",
            "s3-object-lambda:Get*",
            "s3-object-lambda:List*",
        ],
    ),
    (
        "/service-role/AWSLambdaBasicExecutionRole",
        &["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
    ),
];

/// Returns the document of a policy of AWS, if it is known here.
pub fn document(arn: &str) -> Option<Value> {
    let name = arn.strip_prefix(PREFIX)?;
    let (_, actions) = POLICIES.iter().find(|(known, _)| *known == name)?;
    let action = match actions {
        [one] => json!(one),
        several => json!(several),
    };
    Some(json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}],
    }))
}

/// Returns the ARNs of the known policies.
pub fn arns() -> impl Iterator<Item = String> {
    POLICIES.iter().map(|(name, _)| format!("{PREFIX}{name}"))
}
