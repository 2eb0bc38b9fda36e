//! The versions of a managed policy. The document of the default version is the property `PolicyDocument`.

use serde_json::{Value, json};

use super::document;
use super::managed;
use super::model::{MANAGED_POLICIES, conflict, listed, policy_not_found};
use crate::records::{Record, WriteLock, iso, now};
use crate::service::Call;
use crate::{AwsError, Context};

/// The computed value with the versions: a list of `{Id, Document, Created}`, oldest first.
const VERSIONS: &str = "Versions";
const DEFAULT: &str = "DefaultVersionId";
/// The number of versions that a policy may have.
const MAX_VERSIONS: usize = 5;

pub fn all(policy: &Record) -> Vec<Value> {
    let stored = policy.computed.get(VERSIONS).and_then(Value::as_array);
    stored.cloned().unwrap_or_else(|| {
        let document = policy.properties.get("PolicyDocument").cloned().unwrap_or_default();
        vec![json!({"Id": "v1", "Document": document, "Created": policy.created})]
    })
}

pub fn default_id(policy: &Record) -> String {
    policy.computed(DEFAULT).unwrap_or_else(|| "v1".into())
}

/// Returns the time at which the newest version was made.
pub fn newest(policy: &Record) -> i64 {
    let versions = all(policy);
    let times = versions.iter().filter_map(|version| version["Created"].as_i64());
    times.max().unwrap_or(policy.created)
}

/// Returns the versions in the form of the API, newest first.
pub fn list(policy: &Record, with_documents: bool) -> Vec<Value> {
    let versions = all(policy);
    let newest_first = versions.iter().rev();
    newest_first
        .map(|version| shown(policy, version, with_documents))
        .collect()
}

fn shown(policy: &Record, version: &Value, with_document: bool) -> Value {
    let mut shown = json!({
        "VersionId": version["Id"], "IsDefaultVersion": version["Id"] == *default_id(policy),
        "CreateDate": iso(version["Created"].as_i64().unwrap_or_default()),
    });
    if with_document {
        shown["Document"] = document::encoded(Some(&version["Document"])).into();
    }
    shown
}

/// Makes the property `PolicyDocument` the default version, if it is not. The oldest other version makes room for it.
pub fn follow_document(policy: &mut Record, former: &Record) {
    let document = policy.properties.get("PolicyDocument").cloned().unwrap_or_default();
    let mut versions = all(former);
    let default = default_id(former);
    if versions
        .iter()
        .any(|version| version["Id"] == *default && version["Document"] == document)
    {
        return;
    }
    if versions.len() >= MAX_VERSIONS
        && let Some(oldest) = versions.iter().position(|version| version["Id"] != *default)
    {
        versions.remove(oldest);
    }
    add(policy, versions, document, true);
}

/// Adds a version and returns its ID.
fn add(policy: &mut Record, mut versions: Vec<Value>, document: Value, is_default: bool) -> String {
    let number = |version: &Value| version["Id"].as_str().and_then(|id| id[1..].parse::<u32>().ok());
    let last = policy.computed.get("LastVersion").and_then(Value::as_u64);
    let newest = versions.iter().filter_map(number).max().map(u64::from);
    let next = last.max(newest).unwrap_or_default() + 1;
    let id = format!("v{next}");
    versions.push(json!({"Id": id, "Document": document, "Created": now()}));
    policy.computed.insert("LastVersion".into(), next.into());
    policy.computed.insert(VERSIONS.into(), versions.into());
    if is_default {
        policy.computed.insert(DEFAULT.into(), id.clone().into());
        policy.properties.insert("PolicyDocument".into(), document);
    }
    id
}

/// `GetPolicyVersion`, `ListPolicyVersions`, `CreatePolicyVersion`, `SetDefaultPolicyVersion` and `DeletePolicyVersion`.
pub fn call(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let arn = call.required("PolicyArn")?;
    let of_aws =
        managed::document(&arn).map(|document| Record::from_properties(&arn, json!({"PolicyDocument": document})));
    let is_of_aws = of_aws.is_some();
    let found = MANAGED_POLICIES.get(cx, &arn)?.or(of_aws);
    let mut policy = found.ok_or_else(|| policy_not_found(&arn))?;
    let mut versions = all(&policy);
    match call.operation.as_str() {
        "ListPolicyVersions" => {
            return listed(call, "Versions", list(&policy, false));
        }
        "CreatePolicyVersion" if !is_of_aws => {
            let text = call.required("PolicyDocument")?;
            let document = document::parse_managed(&text)?;
            if versions.len() >= MAX_VERSIONS {
                let message = "A managed policy can have up to 5 versions. Before you create a new version, you must \
                               delete an existing version.";
                return Err(AwsError::new("LimitExceeded", message).with_status(409));
            }
            let id = add(
                &mut policy,
                versions,
                document,
                call.boolean("SetAsDefault") == Some(true),
            );
            MANAGED_POLICIES.put(cx, &policy)?;
            let created = all(&policy)
                .into_iter()
                .find(|version| version["Id"] == *id)
                .unwrap_or_default();
            return Ok(json!({"PolicyVersion": shown(&policy, &created, false)}));
        }
        _ => {}
    }
    let id = call.required("VersionId")?;
    let missing = || {
        let message = format!("Policy {arn} version {id} does not exist or is not attachable.");
        AwsError::new("NoSuchEntity", message).with_status(404)
    };
    let at = versions
        .iter()
        .position(|version| version["Id"] == *id)
        .ok_or_else(missing)?;
    match call.operation.as_str() {
        "GetPolicyVersion" => return Ok(json!({"PolicyVersion": shown(&policy, &versions[at], true)})),
        _ if is_of_aws => {
            let message = format!("{arn} is a managed policy of AWS.");
            return Err(AwsError::new("AccessDenied", message).with_status(403));
        }
        "SetDefaultPolicyVersion" => {
            policy
                .properties
                .insert("PolicyDocument".into(), versions[at]["Document"].clone());
            policy.computed.insert(DEFAULT.into(), id.into());
            policy.computed.insert(VERSIONS.into(), versions.into());
        }
        _ if default_id(&policy) == id => {
            return Err(conflict("Cannot delete the default version of a policy."));
        }
        _ => {
            versions.remove(at);
            policy.computed.insert(VERSIONS.into(), versions.into());
        }
    }
    MANAGED_POLICIES.put(cx, &policy)?;
    Ok(json!({}))
}
