//! `AWS::IAM::Policy`, `AWS::IAM::ManagedPolicy` and the operations on policies.

use serde_json::{Value, json};

use super::entity::Entity;
use super::model::{
    MANAGED_POLICIES, POLICIES, check_path, check_tags, conflict, generate_id, listed, path, policy_not_found,
    tags_shown,
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
        check(cx, &record, false)?;
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Id", record.id.clone())
    }

    fn update(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        check(cx, record, false)
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
        record.id = format!("arn:aws:iam::{}:policy{}{name}", cx.account(), path(&record));
        if MANAGED_POLICIES.get(cx, &record.id)?.is_some() {
            return Err(AwsError::new(
                "EntityAlreadyExists",
                format!("A policy called {name} already exists. Duplicate names are not allowed."),
            )
            .with_status(409));
        }
        record.computed.insert("Name".into(), name.into());
        record.computed.insert("PolicyId".into(), generate_id("ANPA").into());
        check(cx, &record, true)?;
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
        check(cx, record, true)?;
        if let Some(former) = MANAGED_POLICIES.get(cx, &record.id)? {
            version::follow_document(record, &former);
        }
        Ok(())
    }
}

pub fn get(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let arn = call.required("PolicyArn")?;
    let policy = MANAGED_POLICIES.get(cx, &arn)?.or(of_aws(&arn));
    let policy = policy.ok_or_else(|| policy_not_found(&arn))?;
    let mut shown = description(cx, &policy)?;
    // Unlike the other operations, `GetPolicy` shows tags also if there are none.
    shown["Tags"] = policy.tag_list();
    Ok(json!({"Policy": shown}))
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
        let mut description = description(cx, policy)?;
        // `ListPolicies` shows neither (API reference, `Policy`).
        if let Some(members) = description.as_object_mut() {
            members.retain(|member, _| member != "Tags" && member != "Description");
        }
        let path = description["Path"].as_str().unwrap_or_default();
        if path.starts_with(&prefix) && (!attached || description["AttachmentCount"] != 0) {
            shown.push(description);
        }
    }
    listed(call, "Policies", shown)
}

pub fn description(cx: &Context, policy: &Record) -> Result<Value, AwsError> {
    Ok(json!({
        "PolicyName": policy.computed("Name"), "PolicyId": policy.computed("PolicyId"), "Arn": policy.id,
        "Path": policy.text("Path").unwrap_or_else(|| "/".into()), "DefaultVersionId": version::default_id(policy),
        "AttachmentCount": attachments(cx, policy)?.len(), "IsAttachable": true,
        "PermissionsBoundaryUsageCount": boundaries(cx, policy)?,
        "CreateDate": iso(policy.created), "UpdateDate": iso(version::newest(policy)), "Tags": tags_shown(policy),
        "Description": policy.text("Description"),
    }))
}

/// Returns the roles, users and groups to which a managed policy is attached.
fn attachments(cx: &Context, policy: &Record) -> Result<Vec<(Entity, Record)>, AwsError> {
    let mut found = Vec::new();
    for entity in Entity::ALL {
        let by_policy = texts(policy.properties.get(entity.property()));
        let attached = entity.records().list(cx)?.into_iter().filter(|one| {
            by_policy.contains(&one.id) || texts(one.properties.get("ManagedPolicyArns")).contains(&policy.id)
        });
        found.extend(attached.map(|one| (entity, one)));
    }
    Ok(found)
}

/// Returns the number of roles and users whose permissions boundary is the policy.
fn boundaries(cx: &Context, policy: &Record) -> Result<usize, AwsError> {
    let mut found = 0;
    for entity in [Entity::Role, Entity::User] {
        let all = entity.records().list(cx)?;
        found += all
            .iter()
            .filter(|one| one.has("PermissionsBoundary", &policy.id))
            .count();
    }
    Ok(found)
}

/// `ListEntitiesForPolicy`.
pub fn entities(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    only(
        call,
        "ValidationError",
        &[
            "PolicyArn",
            "EntityFilter",
            "PathPrefix",
            "MaxItems",
            "PolicyUsageFilter",
        ],
    )?;
    let arn = call.required("PolicyArn")?;
    let policy = MANAGED_POLICIES.get(cx, &arn)?.or(of_aws(&arn));
    let policy = policy.ok_or_else(|| policy_not_found(&arn))?;
    let (filter, prefix) = (call.text("EntityFilter"), call.text("PathPrefix").unwrap_or_default());
    let mut shown = json!({"PolicyRoles": [], "PolicyUsers": [], "PolicyGroups": [], "IsTruncated": false});
    let as_boundary = call.text("PolicyUsageFilter").as_deref() == Some("PermissionsBoundary");
    let mut found = Vec::new();
    if as_boundary {
        for entity in [Entity::Role, Entity::User] {
            let all = entity.records().list(cx)?.into_iter();
            let bound = all.filter(|one| one.has("PermissionsBoundary", &arn));
            found.extend(bound.map(|one| (entity, one)));
        }
    } else {
        found = attachments(cx, &policy)?;
    }
    for (entity, record) in found {
        let is_asked = filter.as_deref().is_none_or(|kind| kind == entity.name());
        if is_asked && path(&record).starts_with(&prefix) {
            let id = format!("{}Id", entity.name());
            let one = json!({entity.member(): record.id, id: entity.id(&record)});
            if let Some(list) = shown[format!("Policy{}", entity.property())].as_array_mut() {
                list.push(one);
            }
        }
    }
    Ok(shown)
}

/// `CreatePolicy`.
pub async fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    only(
        call,
        "ValidationError",
        &["PolicyName", "Path", "PolicyDocument", "Description", "Tags"],
    )?;
    check_tags(&call.input["Tags"])?;
    let mut desired = json!({
        "ManagedPolicyName": call.required("PolicyName")?, "Tags": call.list("Tags"),
        "PolicyDocument": document::parse_managed(&call.required("PolicyDocument")?)?,
    });
    for member in ["Path", "Description"] {
        if let Some(text) = call.text(member) {
            desired[member] = text.into();
        }
    }
    let created = cx.create_resource(ManagedPolicy::TYPE, desired).await?;
    let policy = MANAGED_POLICIES.get(cx, &created.physical_id)?.unwrap_or_default();
    let mut shown = description(cx, &policy)?;
    // "This element is included in the response to the `GetPolicy` operation" only (API reference, `Policy`).
    shown["Description"] = Value::Null;
    Ok(json!({"Policy": shown}))
}

/// `DeletePolicy`, which refuses a policy that is attached or has other versions.
pub async fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let arn = call.required("PolicyArn")?;
    let policy = MANAGED_POLICIES.get(cx, &arn)?.ok_or_else(|| policy_not_found(&arn))?;
    if !attachments(cx, &policy)?.is_empty() {
        return Err(conflict("Cannot delete a policy attached to entities."));
    }
    if version::all(&policy).len() > 1 {
        return Err(conflict(
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions.",
        ));
    }
    cx.delete_resource(ManagedPolicy::TYPE, &arn).await?;
    Ok(json!({}))
}

fn check(cx: &Context, record: &Record, is_managed: bool) -> Result<(), AwsError> {
    document::check_policy(record.properties.get("PolicyDocument"), is_managed)?;
    check_path(record)?;
    for entity in Entity::ALL {
        for name in texts(record.properties.get(entity.property())) {
            entity.find(cx, &name)?;
        }
    }
    Ok(())
}
