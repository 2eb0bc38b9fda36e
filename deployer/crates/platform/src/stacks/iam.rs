//! IAM policy documents, without wildcards.

use serde_json::{Value, json};

use cfn::template::{pseudo, sub};

/// Returns a trust policy: this AWS service may assume the role, on behalf of this account alone (IAM: the confused deputy
/// problem).
pub fn trust(service: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow", "Principal": { "Service": service }, "Action": "sts:AssumeRole",
            "Condition": { "StringEquals": { "aws:SourceAccount": pseudo("AccountId") } },
        }],
    })
}

/// Returns an inline policy.
pub fn policy(name: &str, statements: &[Value]) -> Value {
    json!({ "PolicyName": name, "PolicyDocument": { "Version": "2012-10-17", "Statement": statements } })
}

/// Returns a statement that allows actions; `resources` is an ARN or a list of ARNs.
pub fn allow(actions: &[&str], resources: &Value) -> Value {
    json!({ "Effect": "Allow", "Action": actions, "Resource": resources })
}

/// Returns a statement that allows decryption with `key` through one AWS service alone.
pub fn decrypt(key: &Value, service: &str) -> Value {
    let via = sub(&format!("{service}.${{AWS::Region}}.amazonaws.com"), []);
    json!({
        "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": key,
        "Condition": { "StringEquals": { "kms:ViaService": via } },
    })
}
