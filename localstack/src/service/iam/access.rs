//! What a role may do (IAM User Guide, "Policy evaluation logic"), for those few doors here that ask.
//!
//! Policies of the role alone count, with its boundary. Conditions are not evaluated: a statement under one allows
//! nothing, and denies always.

use serde_json::Value;

use super::{policy, role};
use crate::{AwsError, Context};

/// Whether the role with this ARN may do that. The error is why not, in words.
pub fn allows(cx: &Context, role: &str, action: &str, resource: &str) -> Result<(), String> {
    let known = role::with_arn(cx, role).map_err(|error| error.message)?;
    let Some(known) = known else {
        return Err(format!("the role {role} does not exist any more"));
    };
    let unreadable = |error: AwsError| error.message;
    let own = policy::documents(cx, &known).map_err(unreadable)?;
    decide(&own, action, resource).map_err(|why| format!("{why} {role} {action} on {resource}"))?;
    let Some(boundary) = known.text("PermissionsBoundary") else {
        return Ok(());
    };
    let limits: Vec<Value> = policy::managed(cx, &boundary)
        .map_err(unreadable)?
        .into_iter()
        .collect();
    decide(&limits, action, resource)
        .map_err(|_| format!("the boundary {boundary} keeps {role} from {action} on {resource}"))
}

/// An explicit denial wins; without any allowance nothing is allowed.
fn decide(documents: &[Value], action: &str, resource: &str) -> Result<(), &'static str> {
    let mut allowed = false;
    for statement in documents.iter().flat_map(statements) {
        let fits = concerns(&statement, "Action", action, true) && concerns(&statement, "Resource", resource, false);
        match (fits, statement["Effect"].as_str()) {
            (true, Some("Deny")) => return Err("a policy denies"),
            (true, Some("Allow")) => allowed |= statement.get("Condition").is_none(),
            _ => {}
        }
    }
    if allowed { Ok(()) } else { Err("no policy allows") }
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

/// Whether `member`, or the reverse of `Not…`, names this.
fn concerns(statement: &Value, member: &str, wanted: &str, any_case: bool) -> bool {
    let names = |value: &Value| {
        let names: Vec<&str> = match value {
            Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
            value => value.as_str().into_iter().collect(),
        };
        names.iter().any(|pattern| match any_case {
            true => matches(
                pattern.to_ascii_lowercase().as_bytes(),
                wanted.to_ascii_lowercase().as_bytes(),
            ),
            false => matches(pattern.as_bytes(), wanted.as_bytes()),
        })
    };
    match (statement.get(member), statement.get(format!("Not{member}"))) {
        (Some(named), _) => names(named),
        (None, Some(spared)) => !names(spared),
        (None, None) => false,
    }
}

/// `*` stands for anything, `?` for one character. It goes back to the last `*` alone, so that no pattern takes long.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(letter) if *letter == b'?' || *letter == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|rest| *rest == b'*')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::service::testing::{context_with, create};

    const CLUSTER: &str = "arn:aws:kafka:us-east-1:0:cluster/events/1-2-3";
    const CONNECT: &str = "kafka-cluster:Connect";

    fn document(effect: &str, action: Value, resource: &str) -> Value {
        json!({"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": action, "Resource": resource}]})
    }

    #[test]
    fn a_denial_wins_over_an_allowance_and_silence_denies() {
        let allow = document("Allow", json!(["kafka-cluster:ReadData", CONNECT]), CLUSTER);
        let ask = |documents: &[Value]| decide(documents, CONNECT, CLUSTER);
        assert_eq!(ask(&[]), Err("no policy allows"));
        assert_eq!(ask(std::slice::from_ref(&allow)), Ok(()));
        let deny = document("Deny", json!("kafka-cluster:*"), "*");
        assert_eq!(ask(&[allow.clone(), deny]), Err("a policy denies"));
        for (action, resource, fits) in [
            (json!("*"), "*", true),
            (json!("KAFKA-cluster:connect"), CLUSTER, true),
            (json!("kafka-cluster:Conn?ct"), "arn:aws:kafka:*:cluster/events/*", true),
            (json!("kafka-cluster:Describe*"), "*", false),
            (json!(CONNECT), "arn:aws:kafka:*:cluster/others/*", false),
            (json!(CONNECT), "arn:aws:kafka:us-east-1:0:cluster/EVENTS/1-2-3", false),
        ] {
            assert_eq!(
                ask(&[document("Allow", action.clone(), resource)]).is_ok(),
                fits,
                "{action} {resource}"
            );
        }
        let but = json!({"Statement": {"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}});
        assert_eq!(ask(&[Value::String(but.to_string())]), Ok(()));
        let mut under = allow;
        under["Statement"][0]["Condition"] = json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}});
        assert_eq!(ask(&[under]), Err("no policy allows"), "a condition is not evaluated");
    }

    #[tokio::test]
    async fn policies_of_every_kind_count_and_a_role_that_is_gone_may_nothing() {
        let (cx, _folder) = context_with(vec![crate::service::iam::service()]);
        let trust = json!({"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}});
        let mut made = Vec::new();
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
            made.push(role.attributes["Arn"].as_str().unwrap().to_owned());
        }
        let policy = json!({
            "ManagedPolicyName": "connect", "Roles": ["attached"], "PolicyDocument": document("Allow", json!(CONNECT), "*"),
        });
        create(&cx, "AWS::IAM::ManagedPolicy", "P", policy).await.unwrap();
        let ask = |role: &str| allows(&cx, role, CONNECT, CLUSTER);
        assert_eq!(
            ask(&made[0]),
            Err(format!("no policy allows {} {CONNECT} on {CLUSTER}", made[0]))
        );
        assert_eq!((ask(&made[1]), ask(&made[2])), (Ok(()), Ok(())));
        assert!(ask(&made[3]).unwrap_err().starts_with("the boundary"));
        let gone = ask("arn:aws:iam::000000000000:role/gone").unwrap_err();
        assert!(gone.ends_with("does not exist any more"), "{gone}");
    }
}
