//! The KMS key that encrypts what this platform keeps: databases, topics, images, secrets, logs and alarms' messages.

use serde_json::{Value, json};

use super::inputs::Inputs;
use super::{Stack, name_of};
use crate::manifest::Manifest;
use cfn::template::{Resource, Template, sub};

/// The stack's short name, and the output with the key's ARN.
const SHORT: &str = "keys";
const OUTPUT: &str = "KeyArn";
/// Why an environment without a key of its own is no fault.
const OWN_KEY: &str =
    "encrypted under AWS's own key: a disposable environment does without one of its own (customer_key)";

/// None where AWS's own keys are good enough.
pub fn stack(manifest: &Manifest) -> Option<Stack> {
    if !manifest.customer_key {
        return None;
    }
    let mut template = Template::new(format!("{}: the key that encrypts what is kept", manifest.prefix()));
    let key = Resource::new("AWS::KMS::Key")
        .with(
            "Description",
            format!("{}: databases, topics, images, secrets and logs", manifest.prefix()),
        )
        .with("EnableKeyRotation", true)
        .with("PendingWindowInDays", 30)
        .with("KeyPolicy", policy());
    // without the key its snapshots are noise
    let key = template.add(
        "Key",
        if manifest.protected {
            key.retained()
        } else {
            key.deleted()
        },
    );
    template.output(OUTPUT, "The key", key.attribute("Arn"));
    Some(Stack {
        name: name_of(manifest, SHORT),
        short: SHORT.into(),
        template: template.to_json(),
        parameters: Vec::new(),
        depends_on: Vec::new(),
    })
}

/// The key's ARN as a parameter of another stack, where the platform has a key of its own.
pub fn arn(manifest: &Manifest, template: &mut Template, inputs: &mut Inputs) -> Option<Value> {
    let parameter = (OUTPUT, "String", "The key that encrypts what is kept");
    manifest
        .customer_key
        .then(|| inputs.take(manifest, template, parameter, SHORT))
}

/// The resource under the platform's own key, or with the reason why it has none for the `check` of checkov that asks.
pub fn encrypting(resource: Resource, property: &str, key: Option<Value>, check: &'static str) -> Resource {
    match key {
        Some(key) => resource.with(property, key),
        None => resource.waiving(check, OWN_KEY),
    }
}

/// The account decides by IAM; beyond that only CloudWatch, which calls in nobody's name.
fn policy() -> Value {
    let logs = sub(
        "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:*",
        [],
    );
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TheAccountByItsIamPolicies",
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
                "Sid": "AlarmsToTheEncryptedTopic",
                "Effect": "Allow",
                "Principal": { "Service": "cloudwatch.amazonaws.com" },
                "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
                "Resource": "*",
                "Condition": { "StringEquals": { "aws:SourceAccount": { "Ref": "AWS::AccountId" } } },
            },
        ],
    })
}
