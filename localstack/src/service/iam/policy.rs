//! Inline and managed policies.

use serde_json::{Value, json};

use super::role::{self, ROLES};
use super::{document, exists, missing};
use crate::records::{Record, RecordType, Records, iso, texts};
use crate::service::Call;
use crate::{AwsError, Context, Desired, Resource, Schema};

const POLICIES: Records = Records("iam.policies");
const MANAGED: Records = Records("iam.managed-policies");

pub struct Policy;

impl RecordType for Policy {
    const TYPE: &'static str = "AWS::IAM::Policy";
    const RECORDS: Records = POLICIES;

    fn schema() -> Schema {
        Schema {
            properties: &["PolicyName", "PolicyDocument", "Roles", "Users", "Groups"],
            required: &["PolicyName", "PolicyDocument"],
            create_only: &[],
            attributes: &["Id"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let record = Record::new(desired.generated_name(128), desired);
        check(cx, &record)?;
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Id", record.id.clone())
    }

    fn update(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        check(cx, record)
    }
}

pub struct ManagedPolicy;

impl RecordType for ManagedPolicy {
    const TYPE: &'static str = "AWS::IAM::ManagedPolicy";
    const RECORDS: Records = MANAGED;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "ManagedPolicyName",
                "PolicyDocument",
                "Description",
                "Path",
                "Roles",
                "Users",
                "Groups",
                "Tags",
            ],
            required: &["PolicyDocument"],
            create_only: &["ManagedPolicyName", "Description", "Path"],
            attributes: &["PolicyArn", "PolicyId", "CreateDate", "DefaultVersionId"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        let name = record
            .text("ManagedPolicyName")
            .unwrap_or_else(|| desired.generated_name(128));
        let path = record.text("Path").unwrap_or_else(|| "/".into());
        record.id = format!("arn:aws:iam::{}:policy{path}{name}", cx.account());
        if MANAGED.get(cx, &record.id)?.is_some() {
            return Err(exists("A policy", &name));
        }
        record.computed.insert("Name".into(), name.into());
        record.computed.insert("PolicyId".into(), role::id("ANPA").into());
        check(cx, &record)?;
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id)
            .with("PolicyArn", record.id.clone())
            .with("PolicyId", record.computed("PolicyId").unwrap_or_default())
            .with("CreateDate", iso(record.created))
            .with("DefaultVersionId", "v1")
    }

    fn update(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        check(cx, record)
    }
}

/// The policies that are resources of their own and that name the role.
pub fn attached_to(cx: &Context, role: &str) -> Result<Vec<Record>, AwsError> {
    let mut all = POLICIES.list(cx)?;
    all.extend(MANAGED.list(cx)?);
    all.retain(|policy| texts(policy.properties.get("Roles")).iter().any(|name| name == role));
    Ok(all)
}

/// The inline policies of the role that the call names, with their documents.
pub fn inline(cx: &Context, call: &Call) -> Result<Vec<(String, Value)>, AwsError> {
    let name = call.required("RoleName")?;
    let role = ROLES.get(cx, &name)?.ok_or_else(|| missing("role", &name))?;
    let own = role
        .properties
        .get("Policies")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let mut found: Vec<(String, Value)> = own
        .iter()
        .filter_map(|policy| {
            Some((
                policy["PolicyName"].as_str()?.to_owned(),
                policy["PolicyDocument"].clone(),
            ))
        })
        .collect();
    for policy in attached_to(cx, &name)? {
        if let Some(name) = policy.text("PolicyName") {
            found.push((
                name,
                policy.properties.get("PolicyDocument").cloned().unwrap_or_default(),
            ));
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

/// The documents of all policies of a role that are known here; those that AWS manages are not.
pub fn documents(cx: &Context, role: &Record) -> Result<Vec<Value>, AwsError> {
    let inline = role.properties.get("Policies").and_then(Value::as_array);
    let mut found: Vec<Value> = inline
        .into_iter()
        .flatten()
        .map(|policy| policy["PolicyDocument"].clone())
        .collect();
    let document = |policy: &Record| policy.properties.get("PolicyDocument").cloned();
    found.extend(attached_to(cx, &role.id)?.iter().filter_map(document));
    for arn in texts(role.properties.get("ManagedPolicyArns")) {
        found.extend(managed(cx, &arn)?);
    }
    Ok(found)
}

/// The document of a managed policy; none when it is not known here.
pub fn managed(cx: &Context, arn: &str) -> Result<Option<Value>, AwsError> {
    let policy = MANAGED.get(cx, arn)?;
    Ok(policy.and_then(|policy| policy.properties.get("PolicyDocument").cloned()))
}

pub fn get_inline(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let wanted = call.required("PolicyName")?;
    let found = inline(cx, call)?.into_iter().find(|(name, _)| *name == wanted);
    let (name, document) = found.ok_or_else(|| missing("role policy", &wanted))?;
    let document = document::encoded(Some(&document));
    Ok(json!({"RoleName": call.text("RoleName"), "PolicyName": name, "PolicyDocument": document}))
}

pub fn attached(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let name = call.required("RoleName")?;
    let role = ROLES.get(cx, &name)?.ok_or_else(|| missing("role", &name))?;
    let mut arns = texts(role.properties.get("ManagedPolicyArns"));
    arns.extend(
        attached_to(cx, &name)?
            .into_iter()
            .map(|policy| policy.id)
            .filter(|id| id.starts_with("arn:")),
    );
    let shown = |arn: &String| json!({"PolicyArn": arn, "PolicyName": arn.rsplit('/').next()});
    Ok(json!({"AttachedPolicies": arns.iter().map(shown).collect::<Vec<_>>(), "IsTruncated": false}))
}

pub fn get(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let arn = call.required("PolicyArn")?;
    let policy = MANAGED.get(cx, &arn)?.ok_or_else(|| missing("policy", &arn))?;
    Ok(json!({"Policy": description(&policy)}))
}

pub fn list(cx: &Context) -> Result<Value, AwsError> {
    Ok(json!({"Policies": MANAGED.list(cx)?.iter().map(description).collect::<Vec<_>>(), "IsTruncated": false}))
}

fn description(policy: &Record) -> Value {
    json!({
        "PolicyName": policy.computed("Name"), "PolicyId": policy.computed("PolicyId"), "Arn": policy.id,
        "Path": policy.text("Path").unwrap_or_else(|| "/".into()), "DefaultVersionId": "v1",
        "AttachmentCount": texts(policy.properties.get("Roles")).len(), "IsAttachable": true,
        "CreateDate": iso(policy.created), "UpdateDate": iso(policy.created), "Tags": policy.tag_list(),
    })
}

fn check(cx: &Context, record: &Record) -> Result<(), AwsError> {
    document::check(record.properties.get("PolicyDocument"), false)?;
    for kind in ["Users", "Groups"] {
        if let Some(name) = texts(record.properties.get(kind)).first() {
            return Err(missing(if kind == "Users" { "user" } else { "group" }, name));
        }
    }
    for name in texts(record.properties.get("Roles")) {
        ROLES.get(cx, &name)?.ok_or_else(|| missing("role", &name))?;
    }
    Ok(())
}
