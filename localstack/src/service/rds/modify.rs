//! `ModifyDBInstance` and `RebootDBInstance`.

use serde_json::{Map, Value, json};

use super::model::{self, INSTANCES, Instances, PENDING, REBOOTING_UNTIL};
use super::server::cluster;
use super::{describe, events, lifecycle, rotation};
use crate::behavior::SlowOperation;
use crate::records::{Record, now};
use crate::service::supervisor::LifecycleLock;
use crate::{AwsError, Call, Context};

/// Members that change at once (Amazon RDS User Guide, "Settings for DB instances").
const IMMEDIATE: &[&str] = &["BackupRetentionPeriod", "DeletionProtection"];
/// Members that wait for the maintenance window unless `ApplyImmediately` is true, from the same table.
const DEFERRED: &[&str] = &["AllocatedStorage", "DBInstanceClass", "MultiAZ"];
/// Members that are handled one by one.
const OTHERS: &[&str] = &[
    "ApplyImmediately",
    "DBInstanceIdentifier",
    "MasterUserPassword",
    "RotateMasterUserPassword",
];

/// Changes an instance. A member that is not supported is refused by its name.
pub async fn modify(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let id = call.required("DBInstanceIdentifier")?;
    let is_supported = |member: &&String| {
        [IMMEDIATE, DEFERRED, OTHERS]
            .iter()
            .any(|known| known.contains(&member.as_str()))
    };
    let mut members = call.input.as_object().into_iter().flat_map(Map::keys);
    if let Some(other) = members.find(|member| !is_supported(member)) {
        return Err(AwsError::not_implemented(
            "rds",
            &format!("ModifyDBInstance with {other}"),
        ));
    }
    let part = cx.extension::<LifecycleLock<Instances>>();
    let _held = part.hold().await;
    let mut record = model::instance(cx, &id)?;
    model::require_available(cx, &record)?;
    let at_once = call.boolean("ApplyImmediately") == Some(true);
    let mut changes = changes(&record, call)?;
    change_password(cx, &mut record, call, at_once).await?;
    // A change that is applied at once applies those that wait, too ("ApplyImmediately" in the API reference).
    let mut pending = match record.computed.shift_remove(PENDING) {
        Some(Value::Object(pending)) => pending,
        _ => Map::new(),
    };
    for member in DEFERRED {
        if let Some(value) = changes.shift_remove(*member) {
            pending.insert((*member).to_owned(), value);
        }
    }
    if at_once {
        changes.append(&mut pending);
    }
    record.properties.append(&mut changes);
    if !pending.is_empty() {
        record.computed.insert(PENDING.into(), pending.into());
    }
    INSTANCES.put(cx, &record)?;
    Ok(json!({"DBInstance": describe::instance(cx, &record).await?}))
}

/// Returns the members that become properties.
fn changes(record: &Record, call: &Call) -> Result<Map<String, Value>, AwsError> {
    let mut changes = Map::new();
    for member in IMMEDIATE.iter().chain(DEFERRED) {
        if let Some(value) = call.text(member) {
            changes.insert((*member).to_owned(), value.into());
        }
    }
    let storage = |text: Option<String>| text.and_then(|text| text.parse::<u32>().ok());
    let requested = storage(call.text("AllocatedStorage"));
    let current = storage(model::setting(record, "AllocatedStorage"));
    if let (Some(requested), Some(current)) = (requested, current)
        && requested < current
    {
        return Err(combination(format!(
            "Requested storage size ({requested}) cannot be less than the current storage size ({current})"
        )));
    }
    Ok(changes)
}

async fn change_password(cx: &Context, record: &mut Record, call: &Call, at_once: bool) -> Result<(), AwsError> {
    let is_managed = record.computed("secret").is_some();
    let rotates = call.boolean("RotateMasterUserPassword") == Some(true);
    match call.text("MasterUserPassword") {
        Some(_) if is_managed || rotates => Err(combination(
            "You can't specify MasterUserPassword for a DB instance whose master user password is managed in AWS Secrets Manager.",
        )),
        Some(password) => lifecycle::change_password(cx, record, &password).await,
        None if !rotates => Ok(()),
        None if !is_managed => Err(combination(
            "You can't rotate the master user password of a DB instance that isn't managed in AWS Secrets Manager.",
        )),
        // "You must apply the change immediately when rotating the master user password" (API reference).
        None if !at_once => Err(combination(
            "You must specify ApplyImmediately to rotate the master user password.",
        )),
        None => rotation::rotate(cx, record).await,
    }
}

/// Stops an instance's server. The supervisor starts it when the time of the reboot is over.
pub async fn reboot(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let part = cx.extension::<LifecycleLock<Instances>>();
    let _held = part.hold().await;
    let mut record = model::instance(cx, &call.required("DBInstanceIdentifier")?)?;
    model::require_available(cx, &record)?;
    if call.boolean("ForceFailover") == Some(true) && !record.has("MultiAZ", "true") {
        return Err(combination(
            "Cannot failover a DB instance that is not a Multi-AZ deployment.",
        ));
    }
    let delay = cx.config().behavior.delay(SlowOperation::RebootDatabase);
    let until = now().saturating_add(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX));
    record.computed.insert(REBOOTING_UNTIL.into(), until.into());
    cx.store().transaction(|| {
        events::record(cx, &model::instance_arn(cx, &record.id), &events::SHUT_DOWN)?;
        INSTANCES.put(cx, &record)
    })?;
    let cluster = cluster(cx, &record)?;
    if let Some(server) = cluster.running() {
        cluster.stop(server).await;
    }
    Ok(json!({"DBInstance": describe::instance(cx, &record).await?}))
}

fn combination(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidParameterCombination", message)
}
