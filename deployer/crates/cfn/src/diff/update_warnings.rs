//! Updates that AWS accepts, and that interrupt or may fail.

use super::change::{Action, Change};
use crate::schema::Recreation;

/// An update whose effect is known before it starts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpdateWarning {
    /// Amazon RDS User Guide: "Upgrades of the RDS for PostgreSQL DB engine".
    #[error(
        "{database} is upgraded from PostgreSQL {before} to {after}, which takes it offline for minutes and cannot be reverted"
    )]
    MajorUpgrade {
        /// The database's logical ID.
        database: String,
        /// The deployed version.
        before: String,
        /// The version in the manifest.
        after: String,
    },
    /// MSK answers "You can't update multiple attributes of the cluster in same request" (aws/aws-cdk, issue 16765).
    #[error("{cluster}: {} change in one update, which MSK may reject", .attributes.join(" and "))]
    SeveralClusterAttributes {
        /// The cluster's logical ID.
        cluster: String,
        /// The attributes.
        attributes: Vec<&'static str>,
    },
    /// Security group rules change before the tasks do.
    #[error(
        "{container} moves from port {before} to {after}: it receives no requests from the update of the network until its new tasks are healthy"
    )]
    PortChange {
        /// The container's name.
        container: String,
        /// The deployed port.
        before: String,
        /// The port in the manifest.
        after: String,
    },
}

impl UpdateWarning {
    /// Returns what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::MajorUpgrade { .. } => {
                "take a snapshot before, and test the upgrade in an environment that is restored from it (`snapshot` under databases)"
            }
            Self::SeveralClusterAttributes { .. } => "change one of them, run `deployer up`, then the next",
            Self::PortChange { .. } => "run it when that is acceptable",
        }
    }
}

/// Attributes of an MSK cluster that are updated by separate requests, with the properties that hold them.
const CLUSTER_ATTRIBUTES: [(&str, &str); 7] = [
    ("KafkaVersion", "the version"),
    ("NumberOfBrokerNodes", "the number of brokers"),
    ("BrokerNodeGroupInfo.InstanceType", "the instance type"),
    ("BrokerNodeGroupInfo.StorageInfo", "the storage"),
    ("BrokerNodeGroupInfo.ConnectivityInfo", "the connectivity"),
    ("ClientAuthentication", "the security"),
    ("EncryptionInfo", "the security"),
];

/// Returns the warnings about these changes.
pub fn update_warnings(changes: &[Change]) -> Vec<UpdateWarning> {
    let updates = changes.iter().filter(|change| change.action == Action::Modify);
    updates.filter_map(warning).collect()
}

fn warning(change: &Change) -> Option<UpdateWarning> {
    match change.resource_type.as_str() {
        "AWS::RDS::DBInstance" if change.replacement != Recreation::Always => major_upgrade(change),
        "AWS::MSK::Cluster" if change.replacement != Recreation::Always => several_attributes(change),
        "AWS::ECS::TaskDefinition" => port_change(change),
        _ => None,
    }
}

fn major_upgrade(change: &Change) -> Option<UpdateWarning> {
    let version = change
        .properties
        .iter()
        .find(|property| property.name == "EngineVersion")?;
    let (before, after) = (version.before.clone()?, version.after.clone()?);
    let major = |version: &str| version.split('.').next()?.parse::<u32>().ok();
    (major(&before)? < major(&after)?).then(|| UpdateWarning::MajorUpgrade {
        database: change.logical_id.clone(),
        before,
        after,
    })
}

fn several_attributes(change: &Change) -> Option<UpdateWarning> {
    let mut attributes = Vec::new();
    for (prefix, attribute) in CLUSTER_ATTRIBUTES {
        let is_changed = change.properties.iter().any(|property| {
            let rest = property.name.strip_prefix(prefix);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        if is_changed && !attributes.contains(&attribute) {
            attributes.push(attribute);
        }
    }
    (attributes.len() > 1).then(|| UpdateWarning::SeveralClusterAttributes {
        cluster: change.logical_id.clone(),
        attributes,
    })
}

fn port_change(change: &Change) -> Option<UpdateWarning> {
    change.properties.iter().find_map(|property| {
        let mut steps = property.name.split('.');
        let is_port = steps.next() == Some("ContainerDefinitions") && property.name.ends_with(".ContainerPort");
        let (before, after) = (property.before.clone()?, property.after.clone()?);
        is_port.then(|| UpdateWarning::PortChange {
            container: steps.next().unwrap_or_default().to_owned(),
            before,
            after,
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::diff::compare;

    fn found(resource_type: &str, before: &Value, after: &Value) -> Vec<UpdateWarning> {
        let template =
            |properties: &Value| json!({"Resources": {"It": {"Type": resource_type, "Properties": properties}}});
        update_warnings(&compare(Some(&template(before)), &template(after)))
    }

    #[test]
    fn another_major_version_of_a_database_interrupts_it() {
        let upgrade = |before: &str, after: &str| {
            let version = |version: &str| json!({"EngineVersion": version});
            found("AWS::RDS::DBInstance", &version(before), &version(after))
        };
        let expected = |before: &str, after: &str| UpdateWarning::MajorUpgrade {
            database: "It".into(),
            before: before.into(),
            after: after.into(),
        };
        assert_eq!(upgrade("17", "18.1"), [expected("17", "18.1")]);
        assert_eq!(upgrade("17.9", "17.10"), []);
        assert_eq!(upgrade("17.9", "17"), []);
    }

    #[test]
    fn several_attributes_of_a_cluster_change_one_after_the_other() {
        let cluster = |version: &str, brokers: u32, size: u32, instance: &str| {
            json!({"KafkaVersion": version, "NumberOfBrokerNodes": brokers, "BrokerNodeGroupInfo": {
                "InstanceType": instance, "StorageInfo": {"EBSStorageInfo": {"VolumeSize": size}}}})
        };
        let before = cluster("3.9.x", 3, 100, "kafka.m7g.large");
        let after = cluster("4.0.x.kraft", 3, 200, "kafka.m7g.large");
        let expected = UpdateWarning::SeveralClusterAttributes {
            cluster: "It".into(),
            attributes: vec!["the version", "the storage"],
        };
        assert_eq!(found("AWS::MSK::Cluster", &before, &after), [expected]);
        let one = cluster("3.9.x", 6, 100, "kafka.m7g.large");
        assert_eq!(found("AWS::MSK::Cluster", &before, &one), []);
    }

    #[test]
    fn another_port_of_a_container_interrupts_its_service() {
        let task = |port: u16| {
            json!({"ContainerDefinitions": [{"Name": "web", "PortMappings": [
                {"Name": "http", "ContainerPort": port, "Protocol": "tcp"}]}]})
        };
        let expected = UpdateWarning::PortChange {
            container: "web".into(),
            before: "8000".into(),
            after: "8001".into(),
        };
        assert_eq!(found("AWS::ECS::TaskDefinition", &task(8000), &task(8001)), [expected]);
    }

    #[test]
    fn each_warning_has_its_message_and_hint() {
        let all = [
            UpdateWarning::MajorUpgrade {
                database: "OrdersDatabase".into(),
                before: "17".into(),
                after: "18".into(),
            },
            UpdateWarning::SeveralClusterAttributes {
                cluster: "KafkaCluster".into(),
                attributes: vec!["the version", "the storage"],
            },
            UpdateWarning::PortChange {
                container: "web".into(),
                before: "8000".into(),
                after: "8001".into(),
            },
        ];
        let all = all.map(|warning| format!("{warning}\n  {}", warning.hint()));
        insta::assert_snapshot!(all.join("\n"), @"
        OrdersDatabase is upgraded from PostgreSQL 17 to 18, which takes it offline for minutes and cannot be reverted
          take a snapshot before, and test the upgrade in an environment that is restored from it (`snapshot` under databases)
        KafkaCluster: the version and the storage change in one update, which MSK may reject
          change one of them, run `deployer up`, then the next
        web moves from port 8000 to 8001: it receives no requests from the update of the network until its new tasks are healthy
          run it when that is acceptable
        ");
    }
}
