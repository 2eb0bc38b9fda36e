//! What AWS refuses to do to a resource that is there, known before anything is begun.

use super::change::{Action, Change};
use crate::schema::Recreation;

/// A change that ends in a rollback, and what to do instead.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// The resource's logical id.
    pub resource: String,
    pub what: String,
    pub hint: String,
}

/// Those of the changes that cannot be made.
pub fn refused(changes: &[Change]) -> Vec<Refused> {
    changes.iter().filter_map(one).collect()
}

fn one(change: &Change) -> Option<Refused> {
    let of = |name: &str| {
        let found = change.properties.iter().find(|property| property.name == name)?;
        Some((found.before.as_deref()?, found.after.as_deref()?))
    };
    let told = |what: String, hint: &str| {
        Some(Refused {
            resource: change.resource.clone(),
            what,
            hint: hint.to_owned(),
        })
    };
    if change.action != Action::Modify {
        return None;
    }
    match change.kind.as_str() {
        // Subnets, groups and whatever runs in them would have to move at once.
        "AWS::EC2::VPC" => {
            let (before, after) = of("CidrBlock")?;
            told(
                format!(
                    "network.cidr is {before} where it runs, and {after} in the manifest: a network keeps its addresses"
                ),
                "set it back; another network needs another environment, or `deployer destroy` and `deployer up`",
            )
        }
        // Amazon RDS: "Modifying an Amazon RDS DB instance", "Upgrading a DB instance engine version"
        "AWS::RDS::DBInstance" if change.replacement != Recreation::Always => {
            if let Some((before, after)) = of("AllocatedStorage").filter(|(before, after)| less(after, before)) {
                return told(
                    format!(
                        "{} has {before} GiB, and {after} in the manifest: RDS makes no database smaller",
                        change.resource
                    ),
                    "set storage_gib back; a smaller one is a new database, into which the data is moved",
                );
            }
            let (before, after) = of("EngineVersion").filter(|(before, after)| less(after, before))?;
            told(
                format!(
                    "{} has PostgreSQL {before}, and {after} in the manifest: RDS goes back to no older version",
                    change.resource
                ),
                "set engine_version back; an older one is a new database, into which the data is moved",
            )
        }
        // Amazon MSK: "Scale up broker storage"
        "AWS::MSK::Cluster" => {
            let volume = "BrokerNodeGroupInfo.StorageInfo.EBSStorageInfo.VolumeSize";
            let (before, after) = of(volume).filter(|(before, after)| less(after, before))?;
            told(
                format!("the brokers have {before} GiB each, and {after} in the manifest: MSK makes no volume smaller"),
                "set kafka.storage_gib back",
            )
        }
        _ => None,
    }
}

/// Whether a number, or a version, is less than another; what is neither is not.
fn less(one: &str, other: &str) -> bool {
    let parts = |text: &str| {
        text.split('.')
            .map(|part| part.parse().ok())
            .collect::<Option<Vec<u32>>>()
    };
    match (parts(one), parts(other)) {
        // `17` means the newest 17.x: no going back
        (Some(one), Some(other)) => {
            let common = one.len().min(other.len());
            one[..common] < other[..common]
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::diff::compare;

    fn told(kind: &str, before: Value, after: Value) -> String {
        let template = |properties: Value| json!({ "Resources": { "It": { "Type": kind, "Properties": properties } } });
        let changes = compare(Some(&template(before)), &template(after));
        let found = refused(&changes);
        found.iter().map(|one| format!("{} | {}", one.what, one.hint)).collect()
    }

    #[test]
    fn a_network_keeps_its_addresses() {
        let told = told(
            "AWS::EC2::VPC",
            json!({ "CidrBlock": "10.0.0.0/16" }),
            json!({ "CidrBlock": "10.9.0.0/16" }),
        );
        assert!(
            told.starts_with("network.cidr is 10.0.0.0/16 where it runs, and 10.9.0.0/16"),
            "{told}"
        );
    }

    #[test]
    fn a_database_becomes_neither_smaller_nor_older() {
        let database = |storage: &str, version: &str, name: &str| json!({ "AllocatedStorage": storage, "EngineVersion": version, "DBName": name });
        let changed = |storage: &str, version: &str| {
            told(
                "AWS::RDS::DBInstance",
                database("30", "17.9", "a"),
                database(storage, version, "a"),
            )
        };
        assert!(changed("20", "17.9").contains("RDS makes no database smaller"));
        assert!(changed("30", "16.3").contains("no older version"));
        assert!(changed("30", "17.8").contains("no older version"));
        for fine in [changed("100", "17.10"), changed("30", "17"), changed("30", "18.1")] {
            assert_eq!(fine, "");
        }
        let anew = told(
            "AWS::RDS::DBInstance",
            database("30", "17.9", "a"),
            database("20", "16.3", "b"),
        );
        assert_eq!(anew, "", "one that is replaced may be anything");
    }
}
