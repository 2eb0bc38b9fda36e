//! Evaluation of a role's policies (IAM User Guide, "Policy evaluation logic").
//!
//! The role's own policies and its permissions boundary count. Conditions are not evaluated: a statement with a
//! condition allows nothing, and denies in every case.

use serde_json::Value;

use super::attached;
use super::model;
use crate::service::wildcard;
use crate::{AwsError, Context};

/// The reason why a role may not perform an action.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error("the role {0} does not exist")]
    UnknownRole(String),
    #[error("no policy allows {role} to perform {action} on {resource}")]
    NotAllowed {
        role: String,
        action: String,
        resource: String,
    },
    #[error("a policy denies {role} the action {action} on {resource}")]
    Denied {
        role: String,
        action: String,
        resource: String,
    },
    #[error("the permissions boundary {boundary} does not allow {role} to perform {action} on {resource}")]
    OutsideBoundary {
        boundary: String,
        role: String,
        action: String,
        resource: String,
    },
    #[error(transparent)]
    Records(#[from] AwsError),
}

/// Checks that the role with this ARN may perform the action.
///
/// # Errors
/// Returns an [`AccessError`] if it may not, or if the state cannot be read.
pub fn check(cx: &Context, role: &str, action: &str, resource: &str) -> Result<(), AccessError> {
    // The root user may do everything.
    if role == format!("arn:aws:iam::{}:root", cx.account()) {
        return Ok(());
    }
    let record = model::with_arn(cx, role)?.ok_or_else(|| AccessError::UnknownRole(role.to_owned()))?;
    let (role, action, resource) = (role.to_owned(), action.to_owned(), resource.to_owned());
    match decide(&attached::documents(cx, &record)?, &action, &resource) {
        Decision::Allowed => {}
        Decision::Denied => return Err(AccessError::Denied { role, action, resource }),
        Decision::NotAllowed => return Err(AccessError::NotAllowed { role, action, resource }),
    }
    let Some(boundary) = record.text("PermissionsBoundary") else {
        return Ok(());
    };
    let document = attached::managed_document(cx, &boundary)?;
    match decide(document.as_slice(), &action, &resource) {
        Decision::Allowed => Ok(()),
        Decision::Denied | Decision::NotAllowed => Err(AccessError::OutsideBoundary {
            boundary,
            role,
            action,
            resource,
        }),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Allowed,
    /// No statement applies: an implicit denial.
    NotAllowed,
    /// A statement denies; this wins over every statement that allows.
    Denied,
}

fn decide(documents: &[Value], action: &str, resource: &str) -> Decision {
    let mut decision = Decision::NotAllowed;
    for statement in documents.iter().flat_map(statements) {
        if !covers(&statement, "Action", action, true) || !covers(&statement, "Resource", resource, false) {
            continue;
        }
        match statement["Effect"].as_str() {
            Some("Deny") => return Decision::Denied,
            Some("Allow") if statement.get("Condition").is_none() => decision = Decision::Allowed,
            _ => {}
        }
    }
    decision
}

fn statements(document: &Value) -> Vec<Value> {
    let parsed;
    let document = match document {
        Value::String(text) => {
            parsed = serde_json::from_str(text).unwrap_or_default();
            &parsed
        }
        other => other,
    };
    match &document["Statement"] {
        Value::Array(list) => list.clone(),
        Value::Object(_) => vec![document["Statement"].clone()],
        _ => Vec::new(),
    }
}

/// Returns whether the member's patterns match the name, or those of `Not…` do not.
fn covers(statement: &Value, member: &str, name: &str, ignore_case: bool) -> bool {
    let matches = |patterns: &Value| {
        let patterns: Vec<&str> = match patterns {
            Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
            pattern => pattern.as_str().into_iter().collect(),
        };
        patterns.iter().any(|pattern| {
            if ignore_case {
                wildcard::matches(&pattern.to_ascii_lowercase(), &name.to_ascii_lowercase())
            } else {
                wildcard::matches(pattern, name)
            }
        })
    };
    match (statement.get(member), statement.get(format!("Not{member}"))) {
        (Some(included), _) => matches(included),
        (None, Some(excluded)) => !matches(excluded),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::service::testing::{context_with, create};

    const CLUSTER: &str = "arn:aws:kafka:us-east-1:0:cluster/events/1-2-3";
    const CONNECT: &str = "kafka-cluster:Connect";

    #[expect(clippy::needless_pass_by_value, reason = "callers write `json!` in place")]
    fn document(effect: &str, action: Value, resource: &str) -> Value {
        json!({"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": action, "Resource": resource}]})
    }

    #[test]
    fn a_denial_wins_and_the_default_is_to_deny() {
        let allow = document("Allow", json!(["kafka-cluster:ReadData", CONNECT]), CLUSTER);
        let decide = |documents: &[Value]| super::decide(documents, CONNECT, CLUSTER);
        assert_eq!(decide(&[]), Decision::NotAllowed);
        assert_eq!(decide(std::slice::from_ref(&allow)), Decision::Allowed);
        let deny = document("Deny", json!("kafka-cluster:*"), "*");
        assert_eq!(decide(&[allow.clone(), deny]), Decision::Denied);
        for (action, resource, allowed) in [
            (json!("*"), "*", true),
            (json!("KAFKA-cluster:connect"), CLUSTER, true),
            (json!("kafka-cluster:Conn?ct"), "arn:aws:kafka:*:cluster/events/*", true),
            (json!("kafka-cluster:Describe*"), "*", false),
            (json!(CONNECT), "arn:aws:kafka:*:cluster/others/*", false),
            (json!(CONNECT), "arn:aws:kafka:us-east-1:0:cluster/EVENTS/1-2-3", false),
        ] {
            let decision = decide(&[document("Allow", action.clone(), resource)]);
            assert_eq!(decision == Decision::Allowed, allowed, "{action} {resource}");
        }
        let not_action = json!({"Statement": {"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}});
        assert_eq!(decide(&[Value::String(not_action.to_string())]), Decision::Allowed);
        let mut conditional = allow;
        conditional["Statement"][0]["Condition"] = json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}});
        assert_eq!(
            decide(&[conditional]),
            Decision::NotAllowed,
            "conditions are not evaluated"
        );
    }

    #[tokio::test]
    async fn policies_of_every_kind_count_and_a_deleted_role_is_rejected() {
        let (cx, _folder) = context_with(vec![crate::service::iam::service()]);
        let trust = json!({"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}});
        let mut arns = Vec::new();
        for name in ["bare", "inline", "attached", "bound"] {
            let mut properties = json!({"RoleName": name, "AssumeRolePolicyDocument": trust});
            if name == "inline" || name == "bound" {
                let policy = document("Allow", json!(CONNECT), CLUSTER);
                properties["Policies"] = json!([{"PolicyName": "p", "PolicyDocument": policy}]);
            }
            if name == "bound" {
                properties["PermissionsBoundary"] = "arn:aws:iam::000000000000:policy/nothing".into();
            }
            let role = create(&cx, "AWS::IAM::Role", name, properties).await.unwrap();
            arns.push(role.attributes["Arn"].as_str().unwrap().to_owned());
        }
        let policy = json!({
            "ManagedPolicyName": "connect", "Roles": ["attached"], "PolicyDocument": document("Allow", json!(CONNECT), "*"),
        });
        create(&cx, "AWS::IAM::ManagedPolicy", "P", policy).await.unwrap();
        let check = |role: &str| check(&cx, role, CONNECT, CLUSTER);
        assert!(check(&arns[1]).is_ok() && check(&arns[2]).is_ok());
        let errors =
            [&arns[0], &arns[3], "arn:aws:iam::000000000000:role/deleted"].map(|role| check(role).unwrap_err());
        assert!(matches!(
            errors,
            [
                AccessError::NotAllowed { .. },
                AccessError::OutsideBoundary { .. },
                AccessError::UnknownRole(_)
            ]
        ));
        insta::assert_snapshot!(errors.map(|error| error.to_string()).join("\n"), @"
        no policy allows arn:aws:iam::000000000000:role/bare to perform kafka-cluster:Connect on arn:aws:kafka:us-east-1:0:cluster/events/1-2-3
        the permissions boundary arn:aws:iam::000000000000:policy/nothing does not allow arn:aws:iam::000000000000:role/bound to perform kafka-cluster:Connect on arn:aws:kafka:us-east-1:0:cluster/events/1-2-3
        the role arn:aws:iam::000000000000:role/deleted does not exist
        ");
    }
}
