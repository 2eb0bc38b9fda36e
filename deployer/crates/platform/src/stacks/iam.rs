//! IAM documents, without wildcards.

use serde_json::{Value, json};

use cfn::template::{pseudo, sub};

/// Who may assume a role: this service of AWS, and only on behalf of this account (IAM: the confused deputy problem).
pub fn trust(service: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow", "Principal": { "Service": service }, "Action": "sts:AssumeRole",
            "Condition": { "StringEquals": { "aws:SourceAccount": pseudo("AccountId") } },
        }],
    })
}

/// An inline policy.
pub fn policy(name: &str, statements: Vec<Value>) -> Value {
    json!({ "PolicyName": name, "PolicyDocument": { "Version": "2012-10-17", "Statement": statements } })
}

/// One statement; `resources` is an ARN or a list of them.
pub fn allow(actions: &[&str], resources: Value) -> Value {
    json!({ "Effect": "Allow", "Action": actions, "Resource": resources })
}

/// Reading what `key` encrypts, through one service of AWS alone.
pub fn decrypt(key: &Value, service: &str) -> Value {
    let via = sub(&format!("{service}.${{AWS::Region}}.amazonaws.com"), []);
    json!({
        "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": key,
        "Condition": { "StringEquals": { "kms:ViaService": via } },
    })
}
