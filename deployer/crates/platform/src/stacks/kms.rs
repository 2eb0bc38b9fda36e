//! The KMS key that encrypts stored data: databases, topics, images, secrets, logs and notifications.

use serde_json::{Value, json};

use super::inputs::Inputs;
use super::{Stack, name_of};
use crate::manifest::Manifest;
use cfn::template::{Resource, Template, sub};

/// The stack's short name.
const STACK: &str = "keys";
/// The output with the key's ARN.
const OUTPUT: &str = "KeyArn";
/// Reason why an AWS managed key encrypts.
const NO_CUSTOMER_KEY: &str =
    "encrypted with an AWS managed key; environments with customer_key have a customer managed one";

/// Returns the stack of the key; `None` if AWS's own keys encrypt.
pub fn stack(manifest: &Manifest) -> Option<Stack> {
    if !manifest.customer_key {
        return None;
    }
    let mut template = Template::new(format!("{}: the KMS key of stored data", manifest.prefix()));
    let key = Resource::new("AWS::KMS::Key")
        .with(
            "Description",
            format!("{}: databases, topics, images, secrets and logs", manifest.prefix()),
        )
        .with("EnableKeyRotation", true)
        .with("PendingWindowInDays", 30)
        .with("KeyPolicy", policy());
    // Snapshots cannot be restored without the key.
    let key = template.add(
        "Key",
        if manifest.protected {
            key.retained_once_created()
        } else {
            key.deleted()
        },
    );
    template.output(OUTPUT, "ARN of the KMS key", key.attribute("Arn"));
    Some(Stack {
        name: name_of(manifest, STACK),
        short_name: STACK.into(),
        template: template.to_json(),
        parameters: Vec::new(),
        depends_on: Vec::new(),
    })
}

/// Returns the key's ARN as a parameter of another stack; `None` if AWS's own keys encrypt.
pub fn arn(manifest: &Manifest, template: &mut Template, inputs: &mut Inputs) -> Option<Value> {
    let parameter = (OUTPUT, "String", "ARN of the KMS key");
    manifest
        .customer_key
        .then(|| inputs.output(manifest, template, parameter, STACK))
}

/// Encrypts a resource with the platform's key; without one, skips checkov's `check` with the reason.
pub fn encrypting(resource: Resource, property: &str, key: Option<Value>, check: &'static str) -> Resource {
    match key {
        Some(key) => resource.with(property, key),
        None => resource.skip_check(check, NO_CUSTOMER_KEY),
    }
}

/// Delegates access to the account's IAM policies, and allows CloudWatch, which has no identity of the account.
fn policy() -> Value {
    let logs = sub(
        "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:*",
        [],
    );
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AccountByIamPolicies",
                "Effect": "Allow",
                "Principal": { "AWS": sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root", []) },
                "Action": "kms:*",
                "Resource": "*",
            },
            {
                "Sid": "LogGroupsOfThisAccount",
                "Effect": "Allow",
                "Principal": { "Service": sub("logs.${AWS::Region}.amazonaws.com", []) },
                "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
                "Resource": "*",
                "Condition": { "ArnLike": { "kms:EncryptionContext:aws:logs:arn": logs } },
            },
            {
                "Sid": "AlarmsToEncryptedTopic",
                "Effect": "Allow",
                "Principal": { "Service": "cloudwatch.amazonaws.com" },
                "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
                "Resource": "*",
                "Condition": { "StringEquals": { "aws:SourceAccount": { "Ref": "AWS::AccountId" } } },
            },
        ],
    })
}
