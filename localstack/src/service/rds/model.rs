//! Records of RDS: instances, snapshots and groups.

use super::failures;
use crate::records::{Record, Records};
use crate::{AwsError, Context};

pub const INSTANCES: Records = Records("rds.instances");
pub const SNAPSHOTS: Records = Records("rds.snapshots");
pub const SUBNET_GROUPS: Records = Records("rds.subnet-groups");
pub const PARAMETER_GROUPS: Records = Records("rds.parameter-groups");

/// The computed value with the status of an instance or of a snapshot.
pub const STATUS: &str = "status";
pub const AVAILABLE: &str = "available";
/// The computed value with the time at which an instance that is being created becomes available.
pub const AVAILABLE_AT: &str = "available_at";
/// The computed value with the end of a reboot, in milliseconds since 1970.
pub const REBOOTING_UNTIL: &str = "rebooting_until";
/// The computed value that marks a rotation of the password that has not ended.
pub const ROTATING: &str = "rotating";
/// The computed value with the changes that wait for the maintenance window.
pub const PENDING: &str = "pending";

/// The kind of record that the supervisor and the lifecycle lock are for.
pub struct Instances;

pub fn is_available(record: &Record) -> bool {
    record.computed(STATUS).as_deref() == Some(AVAILABLE)
}

pub fn instance_arn(cx: &Context, id: &str) -> String {
    cx.arn("rds", &format!("db:{id}"))
}

pub fn snapshot_arn(cx: &Context, id: &str) -> String {
    cx.arn("rds", &format!("snapshot:{id}"))
}

pub fn instance(cx: &Context, id: &str) -> Result<Record, AwsError> {
    INSTANCES
        .get(cx, &id.to_lowercase())?
        .ok_or_else(|| AwsError::new("DBInstanceNotFound", format!("DBInstance {id} not found.")).with_status(404))
}

/// Finds a snapshot by its identifier or its ARN.
pub fn snapshot(cx: &Context, id: &str) -> Result<Record, AwsError> {
    let id = id.rsplit(":snapshot:").next().unwrap_or(id).to_lowercase();
    SNAPSHOTS
        .get(cx, &id)?
        .ok_or_else(|| AwsError::new("DBSnapshotNotFound", format!("DBSnapshot not found: {id}")).with_status(404))
}

pub fn subnet_group(cx: &Context, name: &str) -> Result<Record, AwsError> {
    SUBNET_GROUPS.get(cx, &name.to_lowercase())?.ok_or_else(|| {
        let message = format!("DB subnet group '{name}' does not exist.");
        AwsError::new("DBSubnetGroupNotFoundFault", message).with_status(404)
    })
}

pub fn require_available(cx: &Context, instance: &Record) -> Result<(), AwsError> {
    if is_available(instance) && !failures::has_failed(cx, instance) && !instance.computed.contains_key(REBOOTING_UNTIL)
    {
        return Ok(());
    }
    Err(AwsError::new(
        "InvalidDBInstanceState",
        format!("Instance {} is not currently in the available state.", instance.id),
    ))
}

/// Returns an instance's property, or its value in the snapshot that the instance was restored from.
pub fn setting(instance: &Record, name: &str) -> Option<String> {
    instance.text(name).or_else(|| instance.computed(name))
}

/// Returns the master user. That of a restored instance is in the snapshot's data, whatever the template says.
pub fn master_user(instance: &Record) -> String {
    let user = instance
        .computed("MasterUsername")
        .or_else(|| instance.text("MasterUsername"));
    user.unwrap_or_else(|| "postgres".to_owned())
}
