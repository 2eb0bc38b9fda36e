//! Grants. Calls of this endpoint need no permission: a grant is checked, kept and given back.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::key::usable;
use super::listed;
use super::model::{GRANTS, KEYS, arn, find_key};
use crate::records::{Record, WriteLock, seconds};
use crate::service::Call;
use crate::{AwsError, Context};

/// The members that a grant keeps.
const MEMBERS: [&str; 5] = [
    "GranteePrincipal",
    "RetiringPrincipal",
    "Operations",
    "Constraints",
    "Name",
];

pub fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let key = usable(cx, call)?;
    let mut properties = json!({"KeyId": key.id});
    for member in MEMBERS {
        if let Some(value) = call.input.get(member) {
            properties[member] = value.clone();
        }
    }
    // "If Name is given and the other members are identical to those of an existing grant, its GrantId is returned" (CreateGrant, Name).
    let same = |grant: &Record| json!(grant.properties) == properties;
    let existing = match call.text("Name") {
        Some(_) => GRANTS.find(cx, same)?,
        None => None,
    };
    let grant =
        existing.unwrap_or_else(|| Record::from_properties(hex::encode(rand::random::<[u8; 32]>()), properties));
    GRANTS.put(cx, &grant)?;
    Ok(json!({"GrantId": grant.id, "GrantToken": token(&grant)}))
}

/// Returns the token of a grant, by which it can be retired.
fn token(grant: &Record) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("grant {}", grant.id))
}

/// Answers `ListGrants`, of one key, and `ListRetirableGrants`, of one principal.
pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let key = match call.operation.as_str() {
        "ListGrants" => Some(find_key(cx, &call.required("KeyId")?)?.id),
        _ => None,
    };
    let is = |grant: &Record, member: &str, value: Option<String>| value.is_none_or(|value| grant.has(member, &value));
    let mut found = GRANTS.list(cx)?;
    found.retain(|grant| {
        is(grant, "KeyId", key.clone())
            && is(grant, "GranteePrincipal", call.text("GranteePrincipal"))
            && is(grant, "RetiringPrincipal", call.text("RetiringPrincipal"))
            && call.text("GrantId").is_none_or(|id| id == grant.id)
    });
    found.sort_by_key(|grant| grant.created);
    let mut shown = Vec::new();
    for grant in &found {
        let key = grant.text("KeyId").unwrap_or_default();
        let key = KEYS.get(cx, &key)?.map(|key| arn(cx, &key));
        let mut entry = json!({
            "KeyId": key, "GrantId": grant.id, "CreationDate": seconds(grant.created),
            "IssuingAccount": format!("arn:aws:iam::{}:root", cx.account()),
        });
        for member in MEMBERS {
            if let Some(value) = grant.properties.get(member) {
                entry[member] = value.clone();
            }
        }
        shown.push(entry);
    }
    listed(call, "Grants", shown)
}

/// Revokes a grant of a key, or retires the one with a token.
pub fn end(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let found = if let Some(given) = call.text("GrantToken") {
        GRANTS.find(cx, |grant| token(grant) == given)?
    } else {
        let key = find_key(cx, &call.required("KeyId")?)?;
        let id = call.required("GrantId")?;
        GRANTS.get(cx, &id)?.filter(|grant| grant.has("KeyId", &key.id))
    };
    let missing = || {
        let message = match call.text("GrantId") {
            Some(id) => format!("Grant ID {id} not found"),
            None => "Grant token not found".to_owned(),
        };
        AwsError::new("NotFoundException", message)
    };
    let grant = found.ok_or_else(missing)?;
    GRANTS.delete(cx, &grant.id)?;
    Ok(json!({}))
}
