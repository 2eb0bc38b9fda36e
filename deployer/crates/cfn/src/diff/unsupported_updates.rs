//! Updates of existing resources that AWS rejects.

use serde_json::Value;

use super::change::{Action, Change};
use super::named_replacement::replaced_name;
use crate::schema::Recreation;

/// An update that AWS rejects: it would end in a rollback.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnsupportedUpdate {
    /// Subnets, security groups and everything that runs in them would have to move at once.
    #[error(
        "network.cidr is {before} where it runs, and {after} in the manifest: the CIDR block of a VPC cannot change"
    )]
    VpcCidr {
        /// The deployed CIDR block.
        before: String,
        /// The CIDR block of the manifest.
        after: String,
    },
    /// A security group, a load balancer, a DB subnet group and a cluster are in one VPC for as long as they exist.
    #[error(
        "the platform runs in {}: everything in it would be replaced, its data included",
        if *into_existing {
            "its own VPC, and network.vpc names an existing one"
        } else {
            "an existing VPC, and network.vpc is not set"
        }
    )]
    Network {
        /// From the platform's own VPC to an existing one.
        into_existing: bool,
    },
    /// Amazon RDS: "Modifying an Amazon RDS DB instance".
    #[error("{database} has {before} GiB, and {after} in the manifest: RDS cannot shrink a database's storage")]
    DatabaseStorage {
        /// The database's logical ID.
        database: String,
        /// The deployed size in GiB.
        before: String,
        /// The size in the manifest in GiB.
        after: String,
    },
    /// Amazon RDS: "Upgrading a DB instance engine version".
    #[error("{database} has PostgreSQL {before}, and {after} in the manifest: RDS cannot downgrade a database")]
    DatabaseVersion {
        /// The database's logical ID.
        database: String,
        /// The deployed version.
        before: String,
        /// The version in the manifest.
        after: String,
    },
    /// Amazon MSK: "Scale up broker storage".
    #[error("the brokers have {before} GiB each, and {after} in the manifest: MSK cannot shrink a broker's volume")]
    BrokerStorage {
        /// The deployed size in GiB.
        before: String,
        /// The size in the manifest in GiB.
        after: String,
    },
    /// AWS CloudFormation User Guide: "Name type".
    #[error(
        "a change of {property} replaces {logical_id} ({resource_type}), and the new one cannot have the same name {name}"
    )]
    NamedReplacement {
        /// The resource's logical ID.
        logical_id: String,
        /// Its type.
        resource_type: String,
        /// The name that the template sets.
        name: String,
        /// The property that replaces it.
        property: String,
    },
}

impl UnsupportedUpdate {
    /// Returns what to do instead.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::VpcCidr { .. } => {
                "set it back; another network needs another environment, or `deployer destroy` and `deployer up`"
            }
            Self::Network { .. } => {
                "set it back; another network needs another environment: deploy that, move the data (a database with `snapshot`), then destroy this one"
            }
            Self::DatabaseStorage { .. } => {
                "set storage_gib back; for a smaller database, create a new one and move the data"
            }
            Self::DatabaseVersion { .. } => {
                "set engine_version back; for an older version, create a new database and move the data"
            }
            Self::BrokerStorage { .. } => "set kafka.storage_gib back",
            Self::NamedReplacement { .. } => {
                "set it back, or deploy another environment with it and move the data: CloudFormation creates the new resource before it deletes the old one"
            }
        }
    }
}

/// Returns those of the changes that AWS rejects; `new` is the template that they lead to.
pub fn unsupported_updates(changes: &[Change], new: &Value) -> Vec<UnsupportedUpdate> {
    let found = |change: &Change| unsupported(change).or_else(|| named_replacement(change, new));
    changes.iter().filter_map(found).collect()
}

fn named_replacement(change: &Change, new: &Value) -> Option<UnsupportedUpdate> {
    let (name, property) = replaced_name(change, new)?;
    Some(UnsupportedUpdate::NamedReplacement {
        logical_id: change.logical_id.clone(),
        resource_type: change.resource_type.clone(),
        name,
        property,
    })
}

fn unsupported(change: &Change) -> Option<UnsupportedUpdate> {
    if change.resource_type == "AWS::EC2::VPC" && change.action != Action::Modify {
        let into_existing = change.action == Action::Remove;
        return Some(UnsupportedUpdate::Network { into_existing });
    }
    if change.action != Action::Modify {
        return None;
    }
    let values = |name: &str| {
        let found = change.properties.iter().find(|property| property.name == name)?;
        Some((found.before.clone()?, found.after.clone()?))
    };
    let decrease = |name: &str| values(name).filter(|(before, after)| is_less(after, before));
    let database = || change.logical_id.clone();
    match change.resource_type.as_str() {
        "AWS::EC2::VPC" => {
            let (before, after) = values("CidrBlock")?;
            Some(UnsupportedUpdate::VpcCidr { before, after })
        }
        // A database that is replaced may be smaller or older.
        "AWS::RDS::DBInstance" if change.replacement != Recreation::Always => {
            if let Some((before, after)) = decrease("AllocatedStorage") {
                let database = database();
                return Some(UnsupportedUpdate::DatabaseStorage {
                    database,
                    before,
                    after,
                });
            }
            let (before, after) = decrease("EngineVersion")?;
            let database = database();
            Some(UnsupportedUpdate::DatabaseVersion {
                database,
                before,
                after,
            })
        }
        "AWS::MSK::Cluster" => {
            let (before, after) = decrease("BrokerNodeGroupInfo.StorageInfo.EBSStorageInfo.VolumeSize")?;
            Some(UnsupportedUpdate::BrokerStorage { before, after })
        }
        _ => None,
    }
}

/// Returns true if a number or version is less than another; false if either is neither.
fn is_less(one: &str, other: &str) -> bool {
    let parts = |text: &str| {
        text.split('.')
            .map(|part| part.parse().ok())
            .collect::<Option<Vec<u32>>>()
    };
    match (parts(one), parts(other)) {
        // `17` means the newest 17.x, which is not a downgrade.
        (Some(one), Some(other)) => {
            let common = one.len().min(other.len());
            one[..common] < other[..common]
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::diff::compare;

    fn found(resource_type: &str, before: Value, after: Value) -> Vec<UnsupportedUpdate> {
        let template =
            |properties: Value| json!({ "Resources": { "It": { "Type": resource_type, "Properties": properties } } });
        let new = template(after);
        unsupported_updates(&compare(Some(&template(before)), &new), &new)
    }

    #[test]
    fn a_network_keeps_its_addresses() {
        let (before, after) = ("10.0.0.0/16".to_owned(), "10.9.0.0/16".to_owned());
        let block = |cidr: &str| json!({ "CidrBlock": cidr });
        assert_eq!(
            found("AWS::EC2::VPC", block(&before), block(&after)),
            [UnsupportedUpdate::VpcCidr { before, after }]
        );
    }

    #[test]
    fn a_database_becomes_neither_smaller_nor_older() {
        let database = |storage: &str, version: &str, name: &str| json!({ "AllocatedStorage": storage, "EngineVersion": version, "DBName": name });
        let changed = |storage: &str, version: &str| {
            found(
                "AWS::RDS::DBInstance",
                database("30", "17.9", "a"),
                database(storage, version, "a"),
            )
        };
        let smaller = UnsupportedUpdate::DatabaseStorage {
            database: "It".into(),
            before: "30".into(),
            after: "20".into(),
        };
        let older = |after: &str| UnsupportedUpdate::DatabaseVersion {
            database: "It".into(),
            before: "17.9".into(),
            after: after.into(),
        };
        assert_eq!(changed("20", "17.9"), [smaller]);
        assert_eq!(changed("30", "16.3"), [older("16.3")]);
        assert_eq!(changed("30", "17.8"), [older("17.8")]);
        for fine in [changed("100", "17.10"), changed("30", "17"), changed("30", "18.1")] {
            assert_eq!(fine, []);
        }
        let replaced = found(
            "AWS::RDS::DBInstance",
            database("30", "17.9", "a"),
            database("20", "16.3", "b"),
        );
        assert_eq!(replaced, [], "a database that is replaced may be smaller or older");
    }

    #[test]
    fn each_unsupported_update_has_its_message_and_hint() {
        let (database, before, after) = ("Orders".to_owned(), "30".to_owned(), "20".to_owned());
        let all = [
            UnsupportedUpdate::VpcCidr {
                before: "10.0.0.0/16".into(),
                after: "10.9.0.0/16".into(),
            },
            UnsupportedUpdate::Network { into_existing: true },
            UnsupportedUpdate::Network { into_existing: false },
            UnsupportedUpdate::DatabaseStorage {
                database: database.clone(),
                before: before.clone(),
                after: after.clone(),
            },
            UnsupportedUpdate::DatabaseVersion {
                database,
                before: "17.9".into(),
                after: "16.3".into(),
            },
            UnsupportedUpdate::BrokerStorage { before, after },
            UnsupportedUpdate::NamedReplacement {
                logical_id: "KafkaCluster".into(),
                resource_type: "AWS::MSK::Cluster".into(),
                name: "shop-prod".into(),
                property: "BrokerNodeGroupInfo.ClientSubnets".into(),
            },
        ];
        let all = all.map(|update| format!("{update}\n  {}", update.hint()));
        insta::assert_snapshot!(all.join("\n"), @"
        network.cidr is 10.0.0.0/16 where it runs, and 10.9.0.0/16 in the manifest: the CIDR block of a VPC cannot change
          set it back; another network needs another environment, or `deployer destroy` and `deployer up`
        the platform runs in its own VPC, and network.vpc names an existing one: everything in it would be replaced, its data included
          set it back; another network needs another environment: deploy that, move the data (a database with `snapshot`), then destroy this one
        the platform runs in an existing VPC, and network.vpc is not set: everything in it would be replaced, its data included
          set it back; another network needs another environment: deploy that, move the data (a database with `snapshot`), then destroy this one
        Orders has 30 GiB, and 20 in the manifest: RDS cannot shrink a database's storage
          set storage_gib back; for a smaller database, create a new one and move the data
        Orders has PostgreSQL 17.9, and 16.3 in the manifest: RDS cannot downgrade a database
          set engine_version back; for an older version, create a new database and move the data
        the brokers have 30 GiB each, and 20 in the manifest: MSK cannot shrink a broker's volume
          set kafka.storage_gib back
        a change of BrokerNodeGroupInfo.ClientSubnets replaces KafkaCluster (AWS::MSK::Cluster), and the new one cannot have the same name shop-prod
          set it back, or deploy another environment with it and move the data: CloudFormation creates the new resource before it deletes the old one
        ");
    }
}
