//! What outlives its stack by design: final snapshots, and secrets and keys that wait for their end.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::Scope;
use crate::cloudformation::delete::Kept;
use crate::error::Result;
use crate::target::{Aws, plain};

/// A thing that stays for a while or for good, and what can be done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remain {
    /// `snapshot`, `secret`, `key`, or the CloudFormation type of what a template keeps.
    pub kind: String,
    /// What its service calls it by.
    pub name: String,
    /// Size, age, or the day of its end, in words.
    pub note: Option<String>,
    /// Commands, each with what it does.
    pub commands: Vec<(&'static str, String)>,
}

impl fmt::Display for Remain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)?;
        if let Some(note) = &self.note {
            write!(f, "; {note}")?;
        }
        for (does, command) in &self.commands {
            write!(f, "\n      {does} `{command}`")?;
        }
        Ok(())
    }
}

/// The `aws` CLI as it reaches this endpoint.
fn cli(aws: &Aws) -> String {
    match aws.endpoint.url.as_str() {
        "" => format!("aws --region {}", aws.region),
        url => format!("aws --endpoint-url {url}"),
    }
}

/// The final snapshots of these stacks' databases, also those that an earlier `destroy` left: CloudFormation names them
/// `STACK-snapshot-LOGICALID-RANDOM`.
pub async fn snapshots(aws: &Aws, stacks: &[String]) -> Result<Vec<Remain>> {
    let cli = cli(aws);
    let prefixes: Vec<String> = stacks
        .iter()
        .map(|stack| format!("{stack}-snapshot-").to_lowercase())
        .collect();
    let mut input = json!({ "SnapshotType": "manual" });
    let mut found = Vec::new();
    loop {
        let answer = aws.plain.ask(plain::SNAPSHOTS, &input).await?;
        for one in plain::items(&answer["DBSnapshots"], "DBSnapshot") {
            let text = |name: &str| one[name].as_str().unwrap_or_default();
            let name = text("DBSnapshotIdentifier");
            if !prefixes.iter().any(|prefix| name.starts_with(prefix)) {
                continue;
            }
            let day = text("SnapshotCreateTime").split('T').next().unwrap_or_default();
            found.push(Remain {
                kind: "snapshot".to_owned(),
                name: name.to_owned(),
                note: Some(format!(
                    "{} GiB of {}, taken on {day}, {}",
                    text("AllocatedStorage"),
                    text("DBInstanceIdentifier"),
                    text("Status")
                )),
                commands: vec![(
                    "deleted by",
                    format!("{cli} rds delete-db-snapshot --db-snapshot-identifier {name}"),
                )],
            });
        }
        match answer["Marker"].as_str().filter(|marker| !marker.is_empty()) {
            Some(marker) => input["Marker"] = marker.into(),
            None => return Ok(found),
        }
    }
}

/// The secrets of the environment that are marked as deleted and can still be brought back.
pub async fn secrets(aws: &Aws, scope: &Scope) -> Result<Vec<Remain>> {
    let cli = cli(aws);
    let filters = json!([{ "Key": "tag-value", "Values": [scope.project] }]);
    let mut input = json!({ "IncludePlannedDeletion": true, "Filters": filters });
    let mut found = Vec::new();
    loop {
        let answer = aws.plain.ask(plain::SECRETS, &input).await?;
        for one in answer["SecretList"].as_array().into_iter().flatten() {
            let tag = |key: &str, value: &str| {
                let mut tags = one["Tags"].as_array().into_iter().flatten();
                tags.any(|tag| tag["Key"] == key && tag["Value"] == value)
            };
            let ours = tag("project", &scope.project) && tag("environment", &scope.environment);
            let (Some(day), true) = (day(&one["DeletedDate"]), ours) else {
                continue;
            };
            let id = one["ARN"].as_str().unwrap_or_default();
            found.push(Remain {
                kind: "secret".to_owned(),
                name: one["Name"].as_str().unwrap_or(id).to_owned(),
                note: Some(format!(
                    "deleted on {day}, and gone when its recovery window (7 to 30 days) has passed"
                )),
                commands: vec![
                    (
                        "brought back by",
                        format!("{cli} secretsmanager restore-secret --secret-id {id}"),
                    ),
                    (
                        "ended now by",
                        format!("{cli} secretsmanager delete-secret --force-delete-without-recovery --secret-id {id}"),
                    ),
                ],
            });
        }
        match answer["NextToken"].as_str() {
            Some(token) => input["NextToken"] = token.into(),
            None => return Ok(found),
        }
    }
}

/// Those of these KMS keys that wait for their end.
pub async fn keys(aws: &Aws, ids: &[String]) -> Result<Vec<Remain>> {
    let cli = cli(aws);
    let mut found = Vec::new();
    for id in ids {
        let answer = match aws.plain.ask(plain::KEY, &json!({ "KeyId": id })).await {
            Ok(answer) => answer,
            Err(error) if error.is_missing() || error.code() == "NotFoundException" => continue,
            Err(error) => return Err(error),
        };
        let key = &answer["KeyMetadata"];
        if key["KeyState"] == "PendingDeletion" {
            let end = day(&key["DeletionDate"]).unwrap_or_else(|| "a day that KMS does not tell".to_owned());
            found.push(Remain {
                kind: "key".to_owned(),
                name: id.clone(),
                note: Some(format!("deleted on {end}; what it encrypted cannot be read then")),
                commands: vec![(
                    "kept by",
                    format!("{cli} kms cancel-key-deletion --key-id {id} && {cli} kms enable-key --key-id {id}"),
                )],
            });
        }
    }
    Ok(found)
}

/// What a template or a person wanted to be left alone, and how it goes.
pub fn kept(aws: &Aws, one: &Kept) -> Remain {
    let (cli, id) = (cli(aws), &one.physical);
    let command = match one.kind.as_str() {
        "AWS::S3::Bucket" => Some(format!("s3 rb --force s3://{id}")),
        "AWS::Logs::LogGroup" => Some(format!("logs delete-log-group --log-group-name {id}")),
        "AWS::KMS::Key" => Some(format!("kms schedule-key-deletion --key-id {id}")),
        "AWS::ECR::Repository" => Some(format!("ecr delete-repository --force --repository-name {id}")),
        "AWS::SecretsManager::Secret" => Some(format!("secretsmanager delete-secret --secret-id {id}")),
        _ => None,
    };
    Remain {
        kind: one.kind.clone(),
        name: id.clone(),
        note: Some(format!("{} of {}", one.resource, one.stack)),
        commands: command
            .map(|command| ("deleted by", format!("{cli} {command}")))
            .into_iter()
            .collect(),
    }
}

/// The day of a time in seconds since 1970.
fn day(seconds: &Value) -> Option<String> {
    let at = OffsetDateTime::from_unix_timestamp(seconds.as_f64()? as i64).ok()?;
    Some(at.date().to_string())
}
