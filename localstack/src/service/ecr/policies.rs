//! The lifecycle policy and the policy of a repository: properties of the repository, stored and not applied.

use serde_json::{Map, Value, json};

use super::model;
use super::repository::Repository;
use crate::records::{RecordType, now, seconds};
use crate::service::input::only;
use crate::{AwsError, Call, Context};

/// One kind of policy.
pub struct Kind {
    /// The member of the API with the policy's text.
    member: &'static str,
    /// The path of the property, and of the text in it.
    property: (&'static str, Option<&'static str>),
    missing: &'static str,
    /// The member of a policy that must be a list.
    list: &'static str,
}

pub const LIFECYCLE: Kind = Kind {
    member: "lifecyclePolicyText",
    property: ("LifecyclePolicy", Some("LifecyclePolicyText")),
    missing: "LifecyclePolicyNotFoundException",
    list: "rules",
};
pub const REPOSITORY: Kind = Kind {
    member: "policyText",
    property: ("RepositoryPolicyText", None),
    missing: "RepositoryPolicyNotFoundException",
    list: "Statement",
};

/// Sets, returns or deletes a policy.
pub async fn call(cx: &Context, call: &Call, kind: &Kind) -> Result<Value, AwsError> {
    only(
        call,
        "InvalidParameterException",
        &["registryId", "repositoryName", kind.member, "force"],
    )?;
    let record = model::repository(cx, &call.required("repositoryName")?)?;
    let response = |text: String| {
        let mut response = json!({"registryId": cx.account(), "repositoryName": record.id, kind.member: text});
        if kind.member == LIFECYCLE.member && call.operation != "PutLifecyclePolicy" {
            response["lastEvaluatedAt"] = seconds(now());
        }
        response
    };
    let (property, inner) = kind.property;
    let stored = record.properties.get(property);
    let stored = stored.and_then(|value| inner.map_or(Some(value), |inner| value.get(inner)));
    let stored = stored.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let value = if call.operation.starts_with("Put") || call.operation.starts_with("Set") {
        let text = call.required(kind.member)?;
        check(&text, kind)?;
        match inner {
            None => serde_json::from_str(&text).ok(),
            Some(inner) => Some(json!({ inner: text })),
        }
    } else {
        let missing = || {
            let what = if inner.is_some() {
                "Lifecycle policy"
            } else {
                "Repository policy"
            };
            let message = format!(
                "{what} does not exist for the repository with name '{}' in the registry with id '{}'",
                record.id,
                cx.account()
            );
            AwsError::new(kind.missing, message)
        };
        let text = stored.ok_or_else(missing)?;
        if call.operation.starts_with("Get") {
            return Ok(response(text));
        }
        cx.update_resource(Repository::TYPE, &record.id, |properties| {
            properties.shift_remove(property);
            Ok(())
        })
        .await?;
        return Ok(response(text));
    };
    cx.update_resource(Repository::TYPE, &record.id, |properties: &mut Map<String, Value>| {
        properties.insert(property.to_owned(), value.unwrap_or_default());
        Ok(())
    })
    .await?;
    Ok(response(call.required(kind.member)?))
}

fn check(text: &str, kind: &Kind) -> Result<(), AwsError> {
    let document: Option<Value> = serde_json::from_str(text).ok();
    let list = document.map(|mut document| document[kind.list].take());
    if kind.member == REPOSITORY.member {
        let statements = match list {
            Some(Value::Array(list)) => list,
            Some(one @ Value::Object(_)) => vec![one],
            _ => Vec::new(),
        };
        let has = |statement: &Value, one: &str| !statement[one].is_null() || !statement[format!("Not{one}")].is_null();
        let is_valid = |statement: &Value| {
            matches!(statement["Effect"].as_str(), Some("Allow" | "Deny"))
                && has(statement, "Action")
                && has(statement, "Principal")
        };
        if !statements.is_empty() && statements.iter().all(is_valid) {
            return Ok(());
        }
        return Err(AwsError::new(
            "InvalidParameterException",
            "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'",
        ));
    }
    if list.is_some_and(|list| list.is_array() || list.is_object()) {
        return Ok(());
    }
    Err(AwsError::new(
        "InvalidParameterException",
        format!(
            "Invalid parameter at '{}' failed to satisfy constraint: 'Invalid policy text'",
            kind.member
        ),
    ))
}
