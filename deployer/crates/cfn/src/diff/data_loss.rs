//! What is gone for good after a change, in words.

use serde_json::Value;

use super::change::{Action, Change};
use crate::schema::Recreation;

/// What people would miss, once the resource of this type is deleted.
fn holds(kind: &str) -> Option<&'static str> {
    Some(match kind {
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

/// What this change loses; `former` is the resource as the template had it, whose policies decide what becomes of it
/// (AWS CloudFormation: DeletionPolicy attribute, UpdateReplacePolicy attribute).
pub fn loss(change: &Change, former: &Value) -> Option<String> {
    let what = holds(&change.kind)?;
    let (attribute, how) = match (change.action, change.replacement) {
        (Action::Remove, _) => ("DeletionPolicy", ""),
        (_, Recreation::Always) => ("UpdateReplacePolicy", ""),
        (_, Recreation::Conditionally) => ("UpdateReplacePolicy", "perhaps "),
        _ => return None,
    };
    match former[attribute].as_str() {
        Some("Retain") => None,
        Some("RetainExceptOnCreate") if attribute == "DeletionPolicy" => None,
        Some("Snapshot") => Some(format!("{how}{what}; a final snapshot is kept")),
        None if attribute == "DeletionPolicy" && snapshots_by_default(&change.kind, former) => {
            Some(format!("{what}; a final snapshot is kept"))
        }
        _ => Some(format!("{how}{what}")),
    }
}

/// RDS' types have `Snapshot` as their default DeletionPolicy, but for instances of a cluster.
fn snapshots_by_default(kind: &str, former: &Value) -> bool {
    kind == "AWS::RDS::DBCluster"
        || (kind == "AWS::RDS::DBInstance" && former["Properties"]["DBClusterIdentifier"].is_null())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lost(kind: &str, action: Action, replacement: Recreation, policy: Value) -> Option<String> {
        let change = Change {
            resource: "It".into(),
            kind: kind.into(),
            action,
            replacement,
            properties: Vec::new(),
            loss: None,
        };
        loss(&change, &policy)
    }

    #[test]
    fn a_deleted_database_is_lost_unless_its_policy_keeps_it() {
        let kind = "AWS::RDS::DBInstance";
        let removed = |policy| lost(kind, Action::Remove, Recreation::Never, policy);
        assert_eq!(
            removed(json!({"DeletionPolicy": "Delete"})).as_deref(),
            Some("the database with all its data")
        );
        assert!(removed(json!({"DeletionPolicy": "Snapshot"})).is_some_and(|text| text.contains("snapshot is kept")));
        assert_eq!(removed(json!({"DeletionPolicy": "Retain"})), None);
        let replaced = lost(
            kind,
            Action::Modify,
            Recreation::Always,
            json!({"DeletionPolicy": "Retain"}),
        );
        assert_eq!(replaced.as_deref(), Some("the database with all its data"));
        assert_eq!(
            lost("AWS::EC2::Subnet", Action::Remove, Recreation::Never, json!({})),
            None
        );
    }
}
