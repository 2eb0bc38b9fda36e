//! Rotation of a master user's password that RDS manages in Secrets Manager.

use serde_json::json;

use super::lifecycle;
use super::master_password::generate_password;
use super::model::{self, INSTANCES, ROTATING, master_user};
use crate::records::Record;
use crate::{AwsError, Context};

/// Sets a new password in the database and makes it the secret's current value. Open connections stay open.
///
/// The record says that a rotation runs, so that the next start of the endpoint completes one that was interrupted.
pub async fn rotate(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
    let missing = || AwsError::internal(format!("the instance {} has no managed secret", record.id));
    let secret = record.computed("secret").ok_or_else(missing)?;
    record.computed.insert(ROTATING.into(), true.into());
    INSTANCES.put(cx, record)?;
    let password = generate_password();
    lifecycle::change_password(cx, record, &password).await?;
    let value = json!({"username": master_user(record), "password": password}).to_string();
    cx.call(
        "secretsmanager",
        "PutSecretValue",
        json!({"SecretId": secret, "SecretString": value}),
    )
    .await?;
    record.computed.shift_remove(ROTATING);
    INSTANCES.put(cx, record)
}

/// Repeats the rotations that the last run of the endpoint did not complete. Their servers run.
pub async fn complete_unfinished(cx: &Context) -> Result<(), AwsError> {
    for mut record in INSTANCES.list(cx)? {
        if record.computed.contains_key(ROTATING) && model::is_available(&record) {
            rotate(cx, &mut record).await?;
        }
    }
    Ok(())
}
