//! Resources that outlive their stack by design: final snapshots, secrets and keys pending deletion, retained resources.

use std::fmt;

use aws::cloudformation::RetainedResource;
use aws::signed_request::{DESCRIBE_DB_SNAPSHOTS, DESCRIBE_KEY, LIST_SECRETS, items};
use aws::{Result, Session};
use serde::Serialize;
use serde_json::{Value, json};

use super::Scope;

/// A resource that is retained for some time or until it is deleted by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Retained {
    /// `snapshot`, `secret`, `key`, or the CloudFormation type of a resource that a template retains.
    pub kind: String,
    /// The name, id or ARN that identifies it in its service.
    pub name: String,
    /// Its size, age, or the day of its deletion.
    pub note: Option<String>,
    /// Commands, each with its effect.
    pub commands: Vec<(&'static str, String)>,
}

impl fmt::Display for Retained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)?;
        if let Some(note) = &self.note {
            write!(f, "; {note}")?;
        }
        for (effect, command) in &self.commands {
            write!(f, "\n      {effect}: `{command}`")?;
        }
        Ok(())
    }
}

/// The `aws` command line with the options for this endpoint.
fn cli(aws: &Session) -> String {
    match aws.endpoint().url.as_str() {
        "" => format!("aws --region {}", aws.region()),
        url => format!("aws --endpoint-url {url}"),
    }
}

/// Returns the final snapshots of these stacks' databases, of this and earlier deletions. CloudFormation names them
/// `STACK-snapshot-LOGICALID-RANDOM`.
///
/// # Errors
/// RDS cannot list them.
pub async fn snapshots(aws: &Session, stacks: &[String]) -> Result<Vec<Retained>> {
    let cli = cli(aws);
    let prefixes: Vec<String> = stacks
        .iter()
        .map(|stack| format!("{stack}-snapshot-").to_lowercase())
        .collect();
    let mut input = json!({ "SnapshotType": "manual" });
    let mut found = Vec::new();
    loop {
        let response = aws.signed.call(DESCRIBE_DB_SNAPSHOTS, &input).await?;
        for one in items(&response["DBSnapshots"], "DBSnapshot") {
            let text = |name: &str| one[name].as_str().unwrap_or_default();
            let name = text("DBSnapshotIdentifier");
            if !prefixes.iter().any(|prefix| name.starts_with(prefix)) {
                continue;
            }
            let day = text("SnapshotCreateTime").split('T').next().unwrap_or_default();
            found.push(Retained {
                kind: "snapshot".to_owned(),
                name: name.to_owned(),
                note: Some(format!(
                    "{} GiB of {}, taken on {day}, {}",
                    text("AllocatedStorage"),
                    text("DBInstanceIdentifier"),
                    text("Status")
                )),
                commands: vec![(
                    "delete",
                    format!("{cli} rds delete-db-snapshot --db-snapshot-identifier {name}"),
                )],
            });
        }
        match response["Marker"].as_str().filter(|marker| !marker.is_empty()) {
            Some(marker) => input["Marker"] = marker.into(),
            None => return Ok(found),
        }
    }
}

/// Returns the environment's secrets that are scheduled for deletion and can still be restored.
///
/// # Errors
/// Secrets Manager cannot list them.
pub async fn secrets(aws: &Session, scope: &Scope) -> Result<Vec<Retained>> {
    let cli = cli(aws);
    let filters = json!([{ "Key": "tag-value", "Values": [scope.project] }]);
    let mut input = json!({ "IncludePlannedDeletion": true, "Filters": filters });
    let mut found = Vec::new();
    loop {
        let response = aws.signed.call(LIST_SECRETS, &input).await?;
        for one in response["SecretList"].as_array().into_iter().flatten() {
            let tag = |key: &str, value: &str| {
                let mut tags = one["Tags"].as_array().into_iter().flatten();
                tags.any(|tag| tag["Key"] == key && tag["Value"] == value)
            };
            let owned = tag("project", &scope.project) && tag("environment", &scope.environment);
            let (Some(day), true) = (day(&one["DeletedDate"]), owned) else {
                continue;
            };
            let id = one["ARN"].as_str().unwrap_or_default();
            found.push(Retained {
                kind: "secret".to_owned(),
                name: one["Name"].as_str().unwrap_or(id).to_owned(),
                note: Some(format!(
                    "deleted on {day}; it can be restored within its recovery window (7 to 30 days)"
                )),
                commands: vec![
                    (
                        "restore",
                        format!("{cli} secretsmanager restore-secret --secret-id {id}"),
                    ),
                    (
                        "delete now",
                        format!("{cli} secretsmanager delete-secret --force-delete-without-recovery --secret-id {id}"),
                    ),
                ],
            });
        }
        match response["NextToken"].as_str() {
            Some(token) => input["NextToken"] = token.into(),
            None => return Ok(found),
        }
    }
}

/// Returns those of the KMS keys that are pending deletion.
///
/// # Errors
/// KMS cannot describe a key.
pub async fn keys(aws: &Session, ids: &[String]) -> Result<Vec<Retained>> {
    let cli = cli(aws);
    let mut found = Vec::new();
    for id in ids {
        let response = match aws.signed.call(DESCRIBE_KEY, &json!({ "KeyId": id })).await {
            Ok(response) => response,
            Err(error) if error.is_not_found() => continue,
            Err(error) => return Err(error),
        };
        let key = &response["KeyMetadata"];
        if key["KeyState"] == "PendingDeletion" {
            let end = day(&key["DeletionDate"]).unwrap_or_else(|| "an unknown day".to_owned());
            found.push(Retained {
                kind: "key".to_owned(),
                name: id.clone(),
                note: Some(format!(
                    "to be deleted on {end}; then the data it encrypted cannot be read"
                )),
                commands: vec![(
                    "keep",
                    format!("{cli} kms cancel-key-deletion --key-id {id} && {cli} kms enable-key --key-id {id}"),
                )],
            });
        }
    }
    Ok(found)
}

/// Returns a resource that CloudFormation retained, with the command that deletes it.
pub fn by_deletion_policy(aws: &Session, one: &RetainedResource) -> Retained {
    let (cli, id) = (cli(aws), &one.physical_id);
    let command = match one.resource_type.as_str() {
        "AWS::S3::Bucket" => Some(format!("s3 rb --force s3://{id}")),
        "AWS::Logs::LogGroup" => Some(format!("logs delete-log-group --log-group-name {id}")),
        "AWS::KMS::Key" => Some(format!("kms schedule-key-deletion --key-id {id}")),
        "AWS::ECR::Repository" => Some(format!("ecr delete-repository --force --repository-name {id}")),
        "AWS::SecretsManager::Secret" => Some(format!("secretsmanager delete-secret --secret-id {id}")),
        _ => None,
    };
    Retained {
        kind: one.resource_type.clone(),
        name: id.clone(),
        note: Some(format!("{} of {}", one.logical_id, one.stack)),
        commands: command
            .map(|command| ("delete", format!("{cli} {command}")))
            .into_iter()
            .collect(),
    }
}

/// The date of a Unix timestamp in seconds.
fn day(seconds: &Value) -> Option<String> {
    Some(aws::unix_time(seconds)?.date().to_string())
}
