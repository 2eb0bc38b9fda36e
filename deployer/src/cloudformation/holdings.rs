//! What a stack holds that people would miss, in words, and what its template keeps when it goes.

use serde::Serialize;
use serde_json::Value;

use super::stack::Resource;

/// What becomes of a resource when its stack is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holding {
    /// Logical id.
    pub resource: String,
    pub kind: String,
    pub physical: String,
    /// The thing in words: `database patient (20 GiB)`.
    pub what: String,
    /// What is said of it besides.
    pub note: Option<String>,
    pub fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It goes with all that is in it.
    Lost,
    /// It goes; a last snapshot of it stays.
    Snapshot,
    /// It stays as it is.
    Kept,
}

/// Everything in a stack worth a word, from its resources and its template as deployed (AWS CloudFormation: DeletionPolicy
/// attribute). A final snapshot counts only where the endpoint is known to take one.
pub fn holdings(resources: &[Resource], template: Option<&Value>, snapshots: bool) -> Vec<Holding> {
    let all = |resource: &Resource| template.map_or(&Value::Null, |all| &all["Resources"][&resource.logical]);
    let told = resources.iter().filter_map(|resource| {
        let declared = all(resource);
        let policy = policy(&resource.kind, declared);
        let fate = match policy {
            Policy::Retain => Fate::Kept,
            Policy::Snapshot if snapshots => Fate::Snapshot,
            _ => Fate::Lost,
        };
        let orphaned = fate == Fate::Kept && owner_goes(resource, declared, resources, template);
        let what = what(resource, &declared["Properties"]);
        let what = match (what, fate) {
            (Some(what), _) => what,
            // Whatever stays is worth a word.
            (None, Fate::Kept) => format!("{} {}", resource.kind, resource.physical),
            (None, _) => return None,
        };
        let note = match fate {
            Fate::Kept if orphaned => Some("it would be kept, but its cluster goes".to_owned()),
            Fate::Lost if policy == Policy::Snapshot => {
                Some("the template asks for a final snapshot, which this endpoint does not take".to_owned())
            }
            Fate::Kept => None,
            Fate::Lost | Fate::Snapshot => note(&resource.kind).map(str::to_owned),
        };
        Some(Holding {
            resource: resource.logical.clone(),
            kind: resource.kind.clone(),
            physical: resource.physical.clone(),
            what,
            note,
            fate: if orphaned { Fate::Lost } else { fate },
        })
    });
    told.collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    Delete,
    Snapshot,
    Retain,
}

/// RDS' types have `Snapshot` as their default, but for instances of a cluster.
fn policy(kind: &str, declared: &Value) -> Policy {
    match declared["DeletionPolicy"].as_str() {
        Some("Retain" | "RetainExceptOnCreate") => Policy::Retain,
        Some("Snapshot") => Policy::Snapshot,
        None if kind == "AWS::RDS::DBCluster" => Policy::Snapshot,
        None if kind == "AWS::RDS::DBInstance" && declared["Properties"]["DBClusterIdentifier"].is_null() => {
            Policy::Snapshot
        }
        _ => Policy::Delete,
    }
}

/// Whether a topic stays on paper while the cluster that it is on, of the same stack, goes.
fn owner_goes(resource: &Resource, declared: &Value, resources: &[Resource], template: Option<&Value>) -> bool {
    let cluster = &declared["Properties"]["ClusterArn"]["Ref"];
    resource.kind == "AWS::MSK::Topic"
        && resources.iter().any(|other| {
            let owner = template.map_or(&Value::Null, |all| &all["Resources"][&other.logical]);
            cluster.as_str() == Some(&other.logical) && policy(&other.kind, owner) != Policy::Retain
        })
}

/// The thing in words; none for what deploying again brings back as it was.
fn what(resource: &Resource, properties: &Value) -> Option<String> {
    let text = |name: &str| plain(&properties[name]);
    let named = |name: &str| text(name).unwrap_or_else(|| resource.logical.clone());
    let sized = |size: Option<String>| size.map(|size| format!(" ({size} GiB)")).unwrap_or_default();
    let image = |many: &str| format!("{many} of repository {}", resource.physical);
    Some(match resource.kind.as_str() {
        "AWS::RDS::DBInstance" => format!("database {}{}", named("DBName"), sized(text("AllocatedStorage"))),
        "AWS::RDS::DBCluster" => format!("database cluster {}", named("DatabaseName")),
        "AWS::MSK::Cluster" | "AWS::MSK::ServerlessCluster" => {
            format!("Kafka cluster {} with every topic and message", named("ClusterName"))
        }
        "AWS::MSK::Topic" => format!("topic {} with its messages", named("TopicName")),
        "AWS::ECR::Repository" => image("the images"),
        "AWS::Logs::LogGroup" => {
            let kept = text("RetentionInDays")
                .map(|days| format!(" (the last {days} days)"))
                .unwrap_or_default();
            format!("logs {}{kept}", resource.physical)
        }
        "AWS::SecretsManager::Secret" => format!("secret {}", named("Description")),
        "AWS::S3::Bucket" => format!("bucket {} with its objects", resource.physical),
        "AWS::KMS::Key" => format!("key {}", resource.physical),
        "AWS::DynamoDB::Table" => format!("table {} with its items", resource.physical),
        "AWS::EFS::FileSystem" => format!("file system {} with its files", resource.physical),
        "AWS::EC2::EIP" => format!("public address {}", resource.physical),
        _ => return None,
    })
}

fn note(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "AWS::RDS::DBInstance" | "AWS::RDS::DBCluster" => "its automated backups go too",
        "AWS::KMS::Key" => "it is deleted after a waiting period; what it encrypted cannot be read then",
        "AWS::S3::Bucket" => "it must be empty, else its deletion fails",
        _ => return None,
    })
}

/// A number or a text that is no intrinsic.
fn plain(value: &Value) -> Option<String> {
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

    fn resource(logical: &str, kind: &str) -> Resource {
        Resource {
            logical: logical.into(),
            physical: format!("{}-1", logical.to_lowercase()),
            kind: kind.into(),
            status: "CREATE_COMPLETE".into(),
        }
    }

    fn told(holdings: &[Holding]) -> Vec<String> {
        let words = |one: &Holding| {
            let note = one.note.as_ref().map(|note| format!("; {note}")).unwrap_or_default();
            format!("{:?}: {}{note}", one.fate, one.what)
        };
        holdings.iter().map(words).collect()
    }

    #[test]
    fn what_a_stack_holds_is_told_in_words_with_what_its_policies_keep() {
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
        assert_eq!(
            told(&holdings(&resources, Some(&template), true)),
            [
                "Snapshot: database orders (50 GiB); its automated backups go too",
                "Lost: database Old; its automated backups go too",
                "Lost: Kafka cluster shop with every topic and message",
                "Lost: topic orders with its messages; it would be kept, but its cluster goes",
                "Kept: AWS::SNS::Topic keep-1",
            ]
        );
        assert!(
            told(&holdings(&resources, Some(&template), false))[0]
                .starts_with("Lost: database orders (50 GiB); the template asks"),
            "a snapshot is not promised where none is taken"
        );
        let unread = holdings(&resources[..1], None, true);
        assert_eq!(
            unread[0].fate,
            Fate::Snapshot,
            "RDS' own default where the template cannot be read"
        );
    }
}
