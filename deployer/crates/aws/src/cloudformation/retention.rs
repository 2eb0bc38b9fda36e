//! The resources of a stack that hold data, and what its deletion retains.

use serde::Serialize;
use serde_json::Value;

use super::stack::StackResource;

/// A resource that holds data, or that its stack's deletion retains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DataResource {
    /// The logical ID in its stack.
    #[serde(rename = "resource")]
    pub logical_id: String,
    /// The CloudFormation type.
    pub resource_type: String,
    /// The physical ID.
    pub physical_id: String,
    /// Such as `database patient (20 GiB)`.
    #[serde(rename = "what")]
    pub description: String,
    /// Details for the decision about the data, such as a snapshot that is made.
    pub note: Option<String>,
    /// The effect of the deletion on the data.
    pub outcome: DeletionOutcome,
}

/// The outcome of a stack's deletion for one of its resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeletionOutcome {
    /// It is deleted with its data.
    Deleted,
    /// It is deleted after a final snapshot.
    Snapshotted,
    /// The resource and its data remain, without a stack.
    Retained,
}

/// Returns the resources of a stack that hold data or are retained, by its template as deployed (AWS CloudFormation: `DeletionPolicy`
/// attribute). `snapshots` is whether the endpoint takes final snapshots.
pub fn data_resources(resources: &[StackResource], template: Option<&Value>, snapshots: bool) -> Vec<DataResource> {
    let declaration = |id: &str| template.map_or(&Value::Null, |template| &template["Resources"][id]);
    let found = resources.iter().filter_map(|resource| {
        let declared = declaration(&resource.logical_id);
        let policy = policy(&resource.resource_type, declared);
        let outcome = match policy {
            Policy::Retain => DeletionOutcome::Retained,
            Policy::Snapshot if snapshots => DeletionOutcome::Snapshotted,
            _ => DeletionOutcome::Deleted,
        };
        let without_cluster =
            outcome == DeletionOutcome::Retained && is_on_deleted_cluster(resource, declared, resources, declaration);
        let description = match (describe(resource, &declared["Properties"]), outcome) {
            (Some(description), _) => description,
            // A retained resource is always listed.
            (None, DeletionOutcome::Retained) => format!("{} {}", resource.resource_type, resource.physical_id),
            (None, _) => return None,
        };
        let note = match outcome {
            DeletionOutcome::Retained if without_cluster => {
                Some("it is deleted with its cluster, although its policy is to retain it".to_owned())
            }
            DeletionOutcome::Deleted if policy == Policy::Snapshot => {
                Some("the template asks for a final snapshot, which this endpoint does not take".to_owned())
            }
            DeletionOutcome::Retained => None,
            DeletionOutcome::Deleted | DeletionOutcome::Snapshotted => note(&resource.resource_type).map(str::to_owned),
        };
        Some(DataResource {
            logical_id: resource.logical_id.clone(),
            resource_type: resource.resource_type.clone(),
            physical_id: resource.physical_id.clone(),
            description,
            note,
            outcome: if without_cluster {
                DeletionOutcome::Deleted
            } else {
                outcome
            },
        })
    });
    found.collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    Delete,
    Snapshot,
    Retain,
}

/// Returns the `DeletionPolicy`. The default of RDS types is `Snapshot`, except for instances of a cluster.
fn policy(resource_type: &str, declared: &Value) -> Policy {
    match declared["DeletionPolicy"].as_str() {
        Some("Retain" | "RetainExceptOnCreate") => Policy::Retain,
        Some("Snapshot") => Policy::Snapshot,
        None if resource_type == "AWS::RDS::DBCluster" => Policy::Snapshot,
        None if resource_type == "AWS::RDS::DBInstance" && declared["Properties"]["DBClusterIdentifier"].is_null() => {
            Policy::Snapshot
        }
        _ => Policy::Delete,
    }
}

/// Returns whether a resource is a topic on a cluster of the same stack that is deleted.
fn is_on_deleted_cluster<'a>(
    resource: &StackResource,
    declared: &Value,
    resources: &[StackResource],
    declaration: impl Fn(&str) -> &'a Value,
) -> bool {
    let cluster = &declared["Properties"]["ClusterArn"]["Ref"];
    resource.resource_type == "AWS::MSK::Topic"
        && resources.iter().any(|other| {
            cluster.as_str() == Some(&other.logical_id)
                && policy(&other.resource_type, declaration(&other.logical_id)) != Policy::Retain
        })
}

/// Returns a description of a resource that holds data; `None` if another deployment restores it completely.
fn describe(resource: &StackResource, properties: &Value) -> Option<String> {
    let id = &resource.physical_id;
    let text = |name: &str| literal(&properties[name]);
    let named = |name: &str| text(name).unwrap_or_else(|| resource.logical_id.clone());
    let sized = |size: Option<String>| size.map(|size| format!(" ({size} GiB)")).unwrap_or_default();
    Some(match resource.resource_type.as_str() {
        "AWS::RDS::DBInstance" => format!("database {}{}", named("DBName"), sized(text("AllocatedStorage"))),
        "AWS::RDS::DBCluster" => format!("database cluster {}", named("DatabaseName")),
        "AWS::MSK::Cluster" | "AWS::MSK::ServerlessCluster" => {
            format!("Kafka cluster {} with every topic and message", named("ClusterName"))
        }
        "AWS::MSK::Topic" => format!("topic {} with its messages", named("TopicName")),
        "AWS::ECR::Repository" => format!("the images of repository {id}"),
        "AWS::Logs::LogGroup" => {
            let retention = text("RetentionInDays")
                .map(|days| format!(" (the last {days} days)"))
                .unwrap_or_default();
            format!("logs {id}{retention}")
        }
        "AWS::SecretsManager::Secret" => format!("secret {}", named("Description")),
        "AWS::S3::Bucket" => format!("bucket {id} with its objects"),
        "AWS::KMS::Key" => format!("key {id}"),
        "AWS::DynamoDB::Table" => format!("table {id} with its items"),
        "AWS::EFS::FileSystem" => format!("file system {id} with its files"),
        "AWS::EC2::EIP" => format!("public address {id}"),
        _ => return None,
    })
}

fn note(resource_type: &str) -> Option<&'static str> {
    Some(match resource_type {
        "AWS::RDS::DBInstance" | "AWS::RDS::DBCluster" => "its automated backups are deleted, too",
        "AWS::KMS::Key" => "it is deleted after a waiting period; data encrypted with it is unreadable then",
        "AWS::S3::Bucket" => "its deletion fails unless it is empty",
        _ => return None,
    })
}

/// Returns a number or a text; `None` for an intrinsic function.
fn literal(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resource(logical_id: &str, resource_type: &str) -> StackResource {
        StackResource {
            logical_id: logical_id.into(),
            physical_id: format!("{}-1", logical_id.to_lowercase()),
            resource_type: resource_type.into(),
            status: "CREATE_COMPLETE".into(),
        }
    }

    fn lines(found: &[DataResource]) -> Vec<String> {
        let line = |one: &DataResource| {
            let note = one.note.as_ref().map(|note| format!("; {note}")).unwrap_or_default();
            format!("{:?}: {}{note}", one.outcome, one.description)
        };
        found.iter().map(line).collect()
    }

    #[test]
    fn resources_with_data_are_listed_with_the_outcome_of_their_policies() {
        let resources = [
            resource("Db", "AWS::RDS::DBInstance"),
            resource("Old", "AWS::RDS::DBInstance"),
            resource("Kafka", "AWS::MSK::Cluster"),
            resource("Orders", "AWS::MSK::Topic"),
            resource("Subnet", "AWS::EC2::Subnet"),
            resource("Keep", "AWS::SNS::Topic"),
        ];
        let template = json!({ "Resources": {
            "Db": { "DeletionPolicy": "Snapshot", "Properties": { "DBName": "orders", "AllocatedStorage": "50" } },
            "Old": { "DeletionPolicy": "Delete", "Properties": { "DBName": { "Ref": "Name" } } },
            "Kafka": { "Properties": { "ClusterName": "shop" } },
            "Orders": { "DeletionPolicy": "Retain", "Properties": { "TopicName": "orders", "ClusterArn": { "Ref": "Kafka" } } },
            "Keep": { "DeletionPolicy": "Retain" },
        } });
        insta::assert_snapshot!(lines(&data_resources(&resources, Some(&template), true)).join("\n"), @r"
        Snapshotted: database orders (50 GiB); its automated backups are deleted, too
        Deleted: database Old; its automated backups are deleted, too
        Deleted: Kafka cluster shop with every topic and message
        Deleted: topic orders with its messages; it is deleted with its cluster, although its policy is to retain it
        Retained: AWS::SNS::Topic keep-1
        ");
        let database = &data_resources(&resources, Some(&template), false)[0];
        assert_eq!(
            database.outcome,
            DeletionOutcome::Deleted,
            "no snapshot is promised on an endpoint that takes none"
        );
        let unread = data_resources(&resources[..1], None, true);
        assert_eq!(
            unread[0].outcome,
            DeletionOutcome::Snapshotted,
            "the default of RDS applies if the template cannot be read"
        );
    }
}
