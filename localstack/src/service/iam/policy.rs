//! `AWS::IAM::Policy`, `AWS::IAM::ManagedPolicy` and the operations on policies.

use serde_json::{Value, json};

use super::model::{
    self, GROUPS, MANAGED_POLICIES, POLICIES, ROLES, USERS, already_exists, attached_to, generate_id, not_found,
};
use super::{document, managed, version};
use crate::records::{Record, RecordType, Records, iso, texts};
use crate::service::Call;
use crate::service::input::only;
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
            .with("DefaultVersionId", version::default_id(record))
    }

    fn update(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        check(cx, record)?;
        if let Some(former) = MANAGED_POLICIES.get(cx, &record.id)? {
            version::follow_document(record, &former);
        }
        Ok(())
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
    let policy = MANAGED_POLICIES.get(cx, &arn)?.or(of_aws(&arn));
    let policy = policy.ok_or_else(|| not_found("policy", &arn))?;
    Ok(json!({"Policy": description(cx, &policy)?}))
}

/// Returns a record of a policy that AWS manages.
fn of_aws(arn: &str) -> Option<Record> {
    let document = managed::document(arn)?;
    let (path, name) = arn.strip_prefix(managed::PREFIX)?.rsplit_once('/')?;
    let properties = json!({"PolicyDocument": document, "Path": format!("{path}/")});
    let mut record = Record::from_properties(arn, properties);
    record.created = 0;
    record.computed.insert("Name".into(), name.into());
    // AWS' IDs are constant too.
    let id: String = hex::encode_upper(name).chars().cycle().take(17).collect();
    record.computed.insert("PolicyId".into(), format!("ANPA{id}").into());
    Some(record)
}

/// `ListPolicies`, of the scope `All`, `Local` or `AWS`.
pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let scope = call.text("Scope").unwrap_or_else(|| "All".into());
    let prefix = call.text("PathPrefix").unwrap_or_default();
    let attached = call.boolean("OnlyAttached") == Some(true);
    let mut found = match scope.as_str() {
        "All" | "Local" => MANAGED_POLICIES.list(cx)?,
        "AWS" => Vec::new(),
        other => {
            return Err(AwsError::validation(format!(
                "Scope must be All, AWS or Local, not {other}."
            )));
        }
    };
    if scope != "Local" {
        found.extend(managed::arns().filter_map(|arn| of_aws(&arn)));
    }
    let mut shown = Vec::new();
    for policy in &found {
        let description = description(cx, policy)?;
        let path = description["Path"].as_str().unwrap_or_default();
        if path.starts_with(&prefix) && (!attached || description["AttachmentCount"] != 0) {
            shown.push(description);
        }
    }
    Ok(json!({"Policies": shown, "IsTruncated": false}))
}

fn description(cx: &Context, policy: &Record) -> Result<Value, AwsError> {
    Ok(json!({
        "PolicyName": policy.computed("Name"), "PolicyId": policy.computed("PolicyId"), "Arn": policy.id,
        "Path": policy.text("Path").unwrap_or_else(|| "/".into()), "DefaultVersionId": version::default_id(policy),
        "AttachmentCount": attachments(cx, policy)?.len(), "PermissionsBoundaryUsageCount": 0, "IsAttachable": true,
        "CreateDate": iso(policy.created), "UpdateDate": iso(policy.created), "Tags": policy.tag_list(),
        "Description": policy.text("Description"),
    }))
}

/// Returns the names of the roles, users and groups to which a managed policy is attached.
fn attachments(cx: &Context, policy: &Record) -> Result<Vec<String>, AwsError> {
    let mut found = Vec::new();
    for property in ["Roles", "Users", "Groups"] {
        found.extend(texts(policy.properties.get(property)));
    }
    for records in [ROLES, USERS, GROUPS] {
        let all = records.list(cx)?;
        let attached = all
            .iter()
            .filter(|one| texts(one.properties.get("ManagedPolicyArns")).contains(&policy.id));
        found.extend(attached.map(|one| one.id.clone()));
    }
    Ok(found)
}

/// `CreatePolicy`.
pub async fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    only(
        call,
        "ValidationError",
        &["PolicyName", "Path", "PolicyDocument", "Description", "Tags"],
    )?;
    let mut desired = json!({
        "ManagedPolicyName": call.required("PolicyName")?, "Tags": call.list("Tags"),
        "PolicyDocument": document::parse(&call.required("PolicyDocument")?)?,
    });
    for member in ["Path", "Description"] {
        if let Some(text) = call.text(member) {
            desired[member] = text.into();
        }
    }
    let created = cx.create_resource(ManagedPolicy::TYPE, desired).await?;
    let policy = MANAGED_POLICIES.get(cx, &created.physical_id)?.unwrap_or_default();
    Ok(json!({"Policy": description(cx, &policy)?}))
}

/// `DeletePolicy`, which refuses a policy that is attached or has other versions.
pub async fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let arn = call.required("PolicyArn")?;
    let policy = MANAGED_POLICIES
        .get(cx, &arn)?
        .ok_or_else(|| not_found("policy", &arn))?;
    let conflict = |message: &str| Err(AwsError::new("DeleteConflict", message).with_status(409));
    if !attachments(cx, &policy)?.is_empty() {
        return conflict("Cannot delete a policy attached to entities.");
    }
    if version::all(&policy).len() > 1 {
        return conflict(
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions.",
        );
    }
    cx.delete_resource(ManagedPolicy::TYPE, &arn).await?;
    Ok(json!({}))
}

fn check(cx: &Context, record: &Record) -> Result<(), AwsError> {
    document::check(record.properties.get("PolicyDocument"), false)?;
    for (property, entity, records) in [("Users", "user", USERS), ("Groups", "group", GROUPS)] {
        for name in texts(record.properties.get(property)) {
            if records.get(cx, &name)?.is_none() {
                return Err(not_found(entity, &name));
            }
        }
    }
    for name in texts(record.properties.get("Roles")) {
        model::role(cx, &name)?;
    }
    Ok(())
}
