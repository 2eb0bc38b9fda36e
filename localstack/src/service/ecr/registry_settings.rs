//! Settings of the registry: its policy, which is stored, and its scanning configuration. Nothing is replicated, and no image is
//! scanned.

use serde_json::{Value, json};

use super::images;
use super::model::{self, REPOSITORIES};
use crate::records::{Record, Records, WriteLock};
use crate::service::input::only;
use crate::service::wildcard;
use crate::{AwsError, Call, Context};

const SETTINGS: Records = Records("ecr.registry-settings");
const POLICY: &str = "PolicyText";
const SCANNING: &str = "ScanningConfiguration";
/// The actions that a registry policy may allow ("Private registry permissions").
const ACTIONS: [&str; 4] = [
    "ecr:ReplicateImage",
    "ecr:CreateRepository",
    "ecr:BatchImportUpstreamImage",
    "ecr:*",
];

pub fn call(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let invalid = |message: &str| Err(AwsError::new("InvalidParameterException", message));
    match call.operation.as_str() {
        "DescribeRegistry" => Ok(json!({"registryId": cx.account(), "replicationConfiguration": {"rules": []}})),
        "PutReplicationConfiguration" => {
            let rules = call.input["replicationConfiguration"]["rules"].as_array();
            let mut destinations = rules
                .into_iter()
                .flatten()
                .filter_map(|rule| rule["destinations"].as_array())
                .flatten();
            let is_own = |one: &Value| one["region"] == cx.region() && one["registryId"] == cx.account();
            if destinations.any(is_own) {
                return invalid(
                    "Invalid parameter at 'replicationConfiguration' failed to satisfy constraint: 'Replication destination cannot be the same as the source registry'",
                );
            }
            if rules.is_some_and(|rules| !rules.is_empty()) {
                return Err(AwsError::not_implemented(
                    "ecr",
                    "PutReplicationConfiguration with rules",
                ));
            }
            Ok(json!({"replicationConfiguration": {"rules": []}}))
        }
        "GetRegistryScanningConfiguration" => Ok(json!({
            "registryId": cx.account(), "scanningConfiguration": scanning(&settings(cx)?),
        })),
        "BatchGetRepositoryScanningConfiguration" => scanning_of_repositories(cx, call),
        "StartImageScan" | "DescribeImageScanFindings" => scan(cx, call),
        _ => change(cx, call),
    }
}

fn settings(cx: &Context) -> Result<Record, AwsError> {
    let found = SETTINGS.get(cx, cx.account())?;
    Ok(found.unwrap_or_else(|| Record::from_properties(cx.account(), json!({}))))
}

/// `GetRegistryPolicy`, and the operations that change a setting.
fn change(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let mut settings = settings(cx)?;
    if call.operation == "PutRegistryScanningConfiguration" {
        only(call, "InvalidParameterException", &["scanType", "rules"])?;
        let kind = call.text("scanType").unwrap_or_else(|| "BASIC".into());
        if kind != "BASIC" {
            let operation = format!("PutRegistryScanningConfiguration with the scan type {kind}");
            return Err(AwsError::not_implemented("ecr", &operation));
        }
        let configuration = json!({"scanType": kind, "rules": call.list("rules")});
        settings.properties.insert(SCANNING.into(), configuration.clone());
        SETTINGS.put(cx, &settings)?;
        return Ok(json!({"registryScanningConfiguration": configuration}));
    }
    let shown = |text: &str| json!({"registryId": cx.account(), "policyText": text});
    if call.operation == "PutRegistryPolicy" {
        let text = call.required("policyText")?;
        check(&text)?;
        settings.properties.insert(POLICY.into(), text.clone().into());
        SETTINGS.put(cx, &settings)?;
        return Ok(shown(&text));
    }
    let missing = || {
        let message = format!(
            "Registry policy does not exist in the registry with id '{}'",
            cx.account()
        );
        AwsError::new("RegistryPolicyNotFoundException", message)
    };
    let text = settings.text(POLICY).ok_or_else(missing)?;
    if call.operation == "DeleteRegistryPolicy" {
        settings.properties.shift_remove(POLICY);
        SETTINGS.put(cx, &settings)?;
    }
    Ok(shown(&text))
}

fn check(policy: &str) -> Result<(), AwsError> {
    let document: Value = serde_json::from_str(policy).unwrap_or_default();
    let several = |value: &Value| match value {
        Value::Array(list) => list.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    let is_valid = |statement: &Value| {
        let actions = several(&statement["Action"]);
        let known = |action: &Value| action.as_str().is_some_and(|action| ACTIONS.contains(&action));
        matches!(statement["Effect"].as_str(), Some("Allow" | "Deny"))
            && !statement["Principal"].is_null()
            && !actions.is_empty()
            && actions.iter().all(known)
    };
    let statements = several(&document["Statement"]);
    if !statements.is_empty() && statements.iter().all(is_valid) {
        return Ok(());
    }
    Err(AwsError::new(
        "InvalidParameterException",
        "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid registry policy provided'",
    ))
}

fn scanning(settings: &Record) -> Value {
    let stored = settings.properties.get(SCANNING).cloned();
    stored.unwrap_or_else(|| json!({"scanType": "BASIC", "rules": []}))
}

/// `BatchGetRepositoryScanningConfiguration`: the first rule with a filter that matches a repository's name counts.
fn scanning_of_repositories(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let configuration = scanning(&settings(cx)?);
    let rules = configuration["rules"].as_array().cloned().unwrap_or_default();
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in call.texts("repositoryNames") {
        let Some(repository) = REPOSITORIES.get(cx, &name)? else {
            failures.push(json!({
                "repositoryName": name, "failureCode": "REPOSITORY_NOT_FOUND", "failureReason": "REPOSITORY_NOT_FOUND",
            }));
            continue;
        };
        let filters_of = |rule: &Value| -> Vec<Value> {
            let filters = rule["repositoryFilters"].as_array().into_iter().flatten();
            let matches = |filter: &&Value| {
                filter["filter"]
                    .as_str()
                    .is_some_and(|text| wildcard::matches(text, &name))
            };
            filters.filter(matches).cloned().collect()
        };
        let rule = rules.iter().find(|rule| !filters_of(rule).is_empty());
        let description = model::description(cx, &repository);
        found.push(json!({
            "repositoryArn": model::arn(cx, &name), "repositoryName": name,
            "scanOnPush": description["imageScanningConfiguration"]["scanOnPush"],
            "scanFrequency": rule.map_or("MANUAL", |rule| rule["scanFrequency"].as_str().unwrap_or("MANUAL")),
            "appliedScanFilters": rule.map(filters_of).unwrap_or_default(),
        }));
    }
    Ok(json!({"scanningConfigurations": found, "failures": failures}))
}

/// `StartImageScan`, which is refused, and `DescribeImageScanFindings`, which finds that no scan exists.
fn scan(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let repository = model::repository(cx, &call.required("repositoryName")?)?.id;
    let id = &call.input["imageId"];
    let image = images::by_id(cx, &repository, id)?.ok_or_else(|| images::not_found(cx, &repository, id))?;
    if call.operation == "StartImageScan" {
        return Err(AwsError::not_implemented("ecr", "StartImageScan"));
    }
    let message = format!(
        "Image scan does not exist for the image with '{{imageDigest:'{}', imageTag:'{}'}}' in the repository with name '{repository}' in the registry with id '{}'",
        image.digest,
        id["imageTag"].as_str().unwrap_or("null"),
        cx.account()
    );
    Err(AwsError::new("ScanNotFoundException", message))
}
