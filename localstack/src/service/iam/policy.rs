//! `AWS::IAM::Policy`, `AWS::IAM::ManagedPolicy` and the operations on policies.

use serde_json::{Value, json};

use super::document;
use super::model::{self, MANAGED_POLICIES, POLICIES, already_exists, attached_to, generate_id, not_found};
use crate::records::{Record, RecordType, Records, iso, texts};
use crate::service::Call;
use crate::{AwsError, Context, Desired, Resource, Schema};

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
    const RECORDS: Records = MANAGED_POLICIES;

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
        if MANAGED_POLICIES.get(cx, &record.id)?.is_some() {
            return Err(already_exists("A policy", &name));
        }
        record.computed.insert("Name".into(), name.into());
        record.computed.insert("PolicyId".into(), generate_id("ANPA").into());
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

/// Returns the names and documents of the inline policies of the role that the call names.
pub fn inline(cx: &Context, call: &Call) -> Result<Vec<(String, Value)>, AwsError> {
    let name = call.required("RoleName")?;
    let role = model::role(cx, &name)?;
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

pub fn get_inline(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let requested = call.required("PolicyName")?;
    let found = inline(cx, call)?.into_iter().find(|(name, _)| *name == requested);
    let (name, document) = found.ok_or_else(|| not_found("role policy", &requested))?;
    let document = document::encoded(Some(&document));
    Ok(json!({"RoleName": call.text("RoleName"), "PolicyName": name, "PolicyDocument": document}))
}

pub fn attached(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let name = call.required("RoleName")?;
    let role = model::role(cx, &name)?;
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
    let policy = MANAGED_POLICIES
        .get(cx, &arn)?
        .ok_or_else(|| not_found("policy", &arn))?;
    Ok(json!({"Policy": description(&policy)}))
}

pub fn list(cx: &Context) -> Result<Value, AwsError> {
    Ok(
        json!({"Policies": MANAGED_POLICIES.list(cx)?.iter().map(description).collect::<Vec<_>>(), "IsTruncated": false}),
    )
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
    for (property, entity) in [("Users", "user"), ("Groups", "group")] {
        if let Some(name) = texts(record.properties.get(property)).first() {
            return Err(not_found(entity, name));
        }
    }
    for name in texts(record.properties.get("Roles")) {
        model::role(cx, &name)?;
    }
    Ok(())
}
