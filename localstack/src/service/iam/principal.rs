//! `AWS::IAM::User`, `AWS::IAM::Group` and `AWS::IAM::AccessKey`. They are stored; the endpoint checks no access keys.

use serde_json::Value;

use super::document;
use super::model::{ACCESS_KEYS, GROUPS, USERS, already_exists, check_path, conflict, generate_id, not_found, path};
use crate::encryption;
use crate::records::{Record, RecordType, Records, texts};
use crate::wire::lower_first;
use crate::{AwsError, Context, Desired, Resource, Schema};

const SECRET_PURPOSE: &str = "iam.access-key";
/// The number of access keys that a user may have (IAM quotas).
const MAX_KEYS: usize = 2;

pub struct User;

impl RecordType for User {
    const TYPE: &'static str = "AWS::IAM::User";
    const RECORDS: Records = USERS;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "UserName",
                "Groups",
                "ManagedPolicyArns",
                "Path",
                "PermissionsBoundary",
                "Policies",
                "Tags",
            ],
            create_only: &["UserName"],
            attributes: &["Arn"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = named(cx, USERS, "User", "UserName", desired)?;
        record.computed.insert("Id".into(), generate_id("AIDA").into());
        check_groups(cx, &record)?;
        Ok(record)
    }

    fn resource(cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Arn", arn(cx, "user", record))
    }

    fn update(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        check_policies(record)?;
        check_groups(cx, record)
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        if ACCESS_KEYS.find(cx, |key| key.has("UserName", &record.id))?.is_some() {
            return Err(conflict("Cannot delete entity, must delete access keys first."));
        }
        Ok(())
    }
}

pub struct Group;

impl RecordType for Group {
    const TYPE: &'static str = "AWS::IAM::Group";
    const RECORDS: Records = GROUPS;

    fn schema() -> Schema {
        Schema {
            properties: &["GroupName", "ManagedPolicyArns", "Path", "Policies"],
            create_only: &["GroupName"],
            attributes: &["Arn"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = named(cx, GROUPS, "Group", "GroupName", desired)?;
        record.computed.insert("Id".into(), generate_id("AGPA").into());
        Ok(record)
    }

    fn resource(cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Arn", arn(cx, "group", record))
    }

    fn update(_cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        check_policies(record)
    }
}

pub struct AccessKey;

impl RecordType for AccessKey {
    const TYPE: &'static str = "AWS::IAM::AccessKey";
    const RECORDS: Records = ACCESS_KEYS;

    fn schema() -> Schema {
        Schema {
            properties: &["UserName", "Serial", "Status"],
            required: &["UserName"],
            create_only: &["UserName", "Serial"],
            attributes: &["SecretAccessKey"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new(generate_id("AKIA")[..20].to_owned(), desired);
        let user = record.text("UserName").unwrap_or_default();
        if USERS.get(cx, &user)?.is_none() {
            return Err(not_found("user", &user));
        }
        let existing = ACCESS_KEYS.list(cx)?;
        if existing.iter().filter(|key| key.has("UserName", &user)).count() >= MAX_KEYS {
            let message = format!("Cannot exceed quota for AccessKeysPerUser: {MAX_KEYS}");
            return Err(AwsError::new("LimitExceeded", message).with_status(409));
        }
        let secret: String = (0..3).map(|_| generate_id("")).collect();
        let sealed = encryption::seal(cx, SECRET_PURPOSE, &secret.as_bytes()[..40])?;
        record.computed.insert("Secret".into(), sealed.into());
        Ok(record)
    }

    fn resource(cx: &Context, record: &Record) -> Resource {
        let sealed = record.computed("Secret").unwrap_or_default();
        let secret = encryption::open(cx, SECRET_PURPOSE, &sealed).ok();
        let secret = secret.and_then(|bytes| String::from_utf8(bytes).ok());
        Resource::new(&record.id).with("SecretAccessKey", secret.unwrap_or_default())
    }
}

/// Creates the record of a user or a group, whose name must be valid and free.
fn named(cx: &Context, records: Records, what: &str, property: &str, desired: &Desired) -> Result<Record, AwsError> {
    let mut record = Record::new("", desired);
    record.id = record.text(property).unwrap_or_else(|| desired.generated_name(64));
    check_name(cx, records, what, property, &record.id)?;
    check_policies(&record)?;
    Ok(record)
}

/// Checks that a name is valid and free. Names differ in more than case (`CreateUser`, `UserName`).
pub fn check_name(cx: &Context, records: Records, what: &str, property: &str, name: &str) -> Result<(), AwsError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
    let max = if what == "User" { 64 } else { 128 };
    if name.is_empty() || name.len() > max || !name.chars().all(allowed) {
        let message = format!(
            "The specified value for {} is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-",
            lower_first(property)
        );
        return Err(AwsError::validation(message));
    }
    match records.find(cx, |record| record.id.eq_ignore_ascii_case(name))? {
        Some(_) => Err(already_exists(what, name)),
        None => Ok(()),
    }
}

pub fn arn(cx: &Context, kind: &str, record: &Record) -> String {
    format!("arn:aws:iam::{}:{kind}{}{}", cx.account(), path(record), record.id)
}

fn check_policies(record: &Record) -> Result<(), AwsError> {
    check_path(record)?;
    let policies = record.properties.get("Policies").and_then(Value::as_array);
    let mut policies = policies.into_iter().flatten();
    policies.try_for_each(|policy| document::check_policy(policy.get("PolicyDocument"), false))
}

fn check_groups(cx: &Context, user: &Record) -> Result<(), AwsError> {
    for group in texts(user.properties.get("Groups")) {
        if GROUPS.get(cx, &group)?.is_none() {
            return Err(not_found("group", &group));
        }
    }
    Ok(())
}
