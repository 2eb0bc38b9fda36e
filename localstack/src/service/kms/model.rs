//! Records of KMS: keys and aliases.

use serde_json::Value;

use crate::records::{Record, Records, now};
use crate::{AwsError, Context};

pub const KEYS: Records = Records("kms.keys");
pub const ALIASES: Records = Records("kms.aliases");
pub const GRANTS: Records = Records("kms.grants");
/// The computed value of a key that waits for its deletion: milliseconds since 1970.
pub const DELETION_DATE: &str = "DeletionDate";

pub fn deletion_date(key: &Record) -> Option<i64> {
    key.computed.get(DELETION_DATE).and_then(Value::as_i64)
}

/// Finds a key by its ID, its ARN, an alias or an alias' ARN.
pub fn find_key(cx: &Context, given: &str) -> Result<Record, AwsError> {
    let name = given.strip_prefix(&cx.arn("kms", "")).unwrap_or(given);
    let id = match ALIASES.get(cx, name)? {
        Some(alias) => target(&alias),
        None => name.trim_start_matches("key/").to_owned(),
    };
    let message = if name.starts_with("alias/") {
        format!("Alias {given} is not found.")
    } else {
        format!("Key '{given}' does not exist")
    };
    let found = KEYS.get(cx, &id)?;
    found
        .filter(|key| deletion_date(key).is_none_or(|date| date > now()))
        .ok_or_else(|| AwsError::new("NotFoundException", message))
}

pub fn arn(cx: &Context, key: &Record) -> String {
    cx.arn("kms", &format!("key/{}", key.id))
}

/// Returns the ID of an alias' key, which a template may give as an ARN.
pub fn target(alias: &Record) -> String {
    let given = alias.text("TargetKeyId").unwrap_or_default();
    given.rsplit('/').next().unwrap_or_default().to_owned()
}
