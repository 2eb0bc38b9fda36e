//! Data that a change loses for good.

use serde_json::Value;

use super::change::{Action, Change};
use crate::schema::Recreation;

/// Returns the data that is lost with a resource of this type.
fn contents(resource_type: &str) -> Option<&'static str> {
    Some(match resource_type {
        "AWS::RDS::DBInstance" | "AWS::RDS::DBCluster" => "the database with all its data",
        "AWS::MSK::Cluster" | "AWS::MSK::ServerlessCluster" => "every topic with its messages",
        "AWS::MSK::Topic" => "the topic's messages",
        "AWS::SecretsManager::Secret" => "the secret's value",
        "AWS::KMS::Key" => "what was encrypted with the key cannot be read any more",
        "AWS::S3::Bucket" => "the bucket's objects",
        "AWS::ECR::Repository" => "the repository's images",
        "AWS::Logs::LogGroup" => "the logs",
        _ => return None,
    })
}

/// Returns a description of the data that this change loses; `None` if it loses none.
///
/// `former` is the resource in the former template, whose policies decide (AWS CloudFormation: `DeletionPolicy` attribute,
/// `UpdateReplacePolicy` attribute).
pub fn data_loss(change: &Change, former: &Value) -> Option<String> {
    let contents = contents(&change.resource_type)?;
    let (attribute, certainty) = match (change.action, change.replacement) {
        (Action::Remove, _) => ("DeletionPolicy", ""),
        (_, Recreation::Always) => ("UpdateReplacePolicy", ""),
        (_, Recreation::Conditionally) if may_replace(change) => ("UpdateReplacePolicy", "perhaps "),
        _ => return None,
    };
    match former[attribute].as_str() {
        Some("Retain") => None,
        Some("RetainExceptOnCreate") if attribute == "DeletionPolicy" => None,
        Some("Snapshot") => Some(format!("{certainty}{contents}; a final snapshot is retained")),
        None if attribute == "DeletionPolicy" && snapshots_by_default(&change.resource_type, former) => {
            Some(format!("{contents}; a final snapshot is retained"))
        }
        _ => Some(format!("{certainty}{contents}")),
    }
}

/// Properties of a DB instance that change in place, although the schema lists them as conditionally create-only: the resource
/// provider replaces an instance for none of them (aws-cloudformation-resource-providers-rds: `ImmutabilityHelper`).
const CHANGED_IN_PLACE: [&str; 5] = [
    "AutoMinorVersionUpgrade",
    "BackupRetentionPeriod",
    "DBParameterGroupName",
    "MultiAZ",
    "PreferredMaintenanceWindow",
];

/// Returns false if every property that could replace the resource is known to change in place.
fn may_replace(change: &Change) -> bool {
    let in_place: &[&str] = match change.resource_type.as_str() {
        "AWS::RDS::DBInstance" => &CHANGED_IN_PLACE,
        _ => &[],
    };
    let mut causes = change
        .properties
        .iter()
        .filter(|property| property.recreation == Recreation::Conditionally)
        .peekable();
    causes.peek().is_none() || causes.any(|property| !in_place.contains(&property.name.as_str()))
}

/// RDS' types have `Snapshot` as their default `DeletionPolicy`, except for instances of a cluster.
fn snapshots_by_default(resource_type: &str, former: &Value) -> bool {
    resource_type == "AWS::RDS::DBCluster"
        || (resource_type == "AWS::RDS::DBInstance" && former["Properties"]["DBClusterIdentifier"].is_null())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn loss(resource_type: &str, action: Action, replacement: Recreation, former: &Value) -> Option<String> {
        let change = Change {
            logical_id: "It".into(),
            resource_type: resource_type.into(),
            action,
            replacement,
            properties: Vec::new(),
            loss: None,
        };
        data_loss(&change, former)
    }

    #[test]
    fn a_deleted_database_is_lost_unless_its_policy_retains_it() {
        let database = "AWS::RDS::DBInstance";
        let removed = |former: &Value| loss(database, Action::Remove, Recreation::Never, former);
        assert_eq!(
            removed(&json!({"DeletionPolicy": "Delete"})).as_deref(),
            Some("the database with all its data")
        );
        assert_eq!(
            removed(&json!({"DeletionPolicy": "Snapshot"})).as_deref(),
            Some("the database with all its data; a final snapshot is retained")
        );
        assert_eq!(removed(&json!({"DeletionPolicy": "Retain"})), None);
        let retained = json!({"DeletionPolicy": "Retain"});
        let replaced = loss(database, Action::Modify, Recreation::Always, &retained);
        assert_eq!(replaced.as_deref(), Some("the database with all its data"));
        assert_eq!(
            loss("AWS::EC2::Subnet", Action::Remove, Recreation::Never, &json!({})),
            None
        );
    }
}
