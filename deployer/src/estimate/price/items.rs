//! The resources of a plan that are charged by time or size, with their quantity in a month. Names are those of the AWS price list.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{HOURS, Product};
use platform::stacks::{Plan, Stack};

/// A resource or a property of one that is charged by time or size.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub what: String,
    /// Units a month.
    pub quantity: f64,
    pub product: Product,
}

/// Returns the items of a plan; equal items are added up.
pub fn items(plan: &Plan) -> Vec<Item> {
    let mut sum: BTreeMap<(Product, String), f64> = BTreeMap::new();
    for stack in &plan.stacks {
        let resources = stack.template["Resources"].as_object().into_iter().flatten();
        for (_, resource) in resources {
            let properties = &resource["Properties"];
            let found = match resource["Type"].as_str().unwrap_or_default() {
                "AWS::RDS::DBInstance" => database(properties),
                "AWS::MSK::Cluster" => brokers(properties),
                "AWS::ECS::Service" => tasks(stack, properties),
                "AWS::EC2::NatGateway" => hourly("NAT gateway", "AmazonEC2", "NAT Gateway", "NatGateway-Hours", 1.0),
                "AWS::ElasticLoadBalancingV2::LoadBalancer" => hourly(
                    "load balancer",
                    "AWSELB",
                    "Load Balancer-Application",
                    "LoadBalancerUsage",
                    1.0,
                ),
                "AWS::EC2::VPCEndpoint" if properties["VpcEndpointType"] == "Interface" => {
                    let zones = properties["SubnetIds"].as_array().map_or(1, Vec::len);
                    hourly(
                        "VPC endpoint, by zone",
                        "AmazonVPC",
                        "VpcEndpoint",
                        "VpcEndpoint-Hours",
                        zones as f64,
                    )
                }
                _ => continue,
            };
            for item in found {
                *sum.entry((item.product, item.what)).or_default() += item.quantity;
            }
        }
    }
    let items = sum.into_iter().map(|((product, what), quantity)| Item {
        what,
        quantity,
        product,
    });
    items.collect()
}

fn item(what: String, quantity: f64, service: &'static str, family: &'static str, usage: String) -> Item {
    Item {
        what,
        quantity,
        product: Product {
            service,
            family,
            attributes: Vec::new(),
            usage,
        },
    }
}

fn hourly(what: &str, service: &'static str, family: &'static str, usage: &str, count: f64) -> Vec<Item> {
    vec![item(what.to_owned(), count * HOURS, service, family, usage.to_owned())]
}

fn database(properties: &Value) -> Vec<Item> {
    let class = properties["DBInstanceClass"].as_str().unwrap_or("of an unknown class");
    let multi = is_true(&properties["MultiAZ"]);
    let (zones, usage) = if multi {
        ("Multi-AZ", "Multi-AZUsage")
    } else {
        ("Single-AZ", "InstanceUsage")
    };
    let engine = match properties["Engine"].as_str() {
        Some("postgres") => "PostgreSQL",
        Some("mysql") => "MySQL",
        Some("mariadb") => "MariaDB",
        _ => "Any",
    };
    let mut instance = item(
        format!("database {class}, {zones}"),
        HOURS,
        "AmazonRDS",
        "Database Instance",
        format!("{usage}:{class}"),
    );
    instance.product.attributes = vec![
        ("instanceType", class.to_owned()),
        ("databaseEngine", engine.to_owned()),
        ("deploymentOption", zones.to_owned()),
    ];
    let size = number(&properties["AllocatedStorage"]).unwrap_or_default();
    let (volume, usage) = match (properties["StorageType"].as_str(), multi) {
        (Some("gp3"), true) => ("gp3", "RDS:Multi-AZ-GP3-Storage"),
        (Some("gp3"), false) => ("gp3", "RDS:GP3-Storage"),
        (_, true) => ("gp2", "RDS:Multi-AZ-GP2-Storage"),
        (_, false) => ("gp2", "RDS:GP2-Storage"),
    };
    let storage = item(
        format!("database storage {volume}, {zones}"),
        size,
        "AmazonRDS",
        "Database Storage",
        usage.to_owned(),
    );
    vec![instance, storage]
}

fn brokers(properties: &Value) -> Vec<Item> {
    const FAMILY: &str = "Managed Streaming for Apache Kafka (MSK)";
    let group = &properties["BrokerNodeGroupInfo"];
    let class = group["InstanceType"].as_str().unwrap_or("of an unknown class");
    let count = number(&properties["NumberOfBrokerNodes"]).unwrap_or_default();
    let size = number(&group["StorageInfo"]["EBSStorageInfo"]["VolumeSize"]).unwrap_or_default();
    vec![
        item(
            format!("Kafka broker {class}"),
            count * HOURS,
            "AmazonMSK",
            FAMILY,
            class.to_owned(),
        ),
        item(
            "Kafka storage".into(),
            count * size,
            "AmazonMSK",
            FAMILY,
            "Kafka.Storage.GP2".into(),
        ),
    ]
}

fn tasks(stack: &Stack, service: &Value) -> Vec<Item> {
    let of = |kind: &str| {
        let resources = stack.template["Resources"].as_object().into_iter().flatten();
        resources
            .map(|(_, resource)| resource)
            .find(|resource| resource["Type"] == kind)
    };
    let Some(task) = of("AWS::ECS::TaskDefinition").map(|task| &task["Properties"]) else {
        return Vec::new();
    };
    let scaled = || number(&of("AWS::ApplicationAutoScaling::ScalableTarget")?["Properties"]["MinCapacity"]);
    let count = number(&service["DesiredCount"]).or_else(scaled).unwrap_or(1.0);
    let share = |property: &str| number(&task[property]).unwrap_or_default() / 1024.0 * count * HOURS;
    let usage =
        |what: &str, quantity, usage: &str| item(what.to_owned(), quantity, "AmazonECS", "Compute", usage.to_owned());
    vec![
        usage("Fargate vCPU", share("Cpu"), "Fargate-vCPU-Hours:perCPU"),
        usage("Fargate memory", share("Memory"), "Fargate-GB-Hours"),
    ]
}

/// Parses a number of a template, which may be text; `None` for an intrinsic function.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

fn is_true(value: &Value) -> bool {
    value == true || value == "true"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn production_is_counted_from_its_templates() {
        let manifest = crate::command::testing::manifest("prod");
        let items = items(&platform::stacks::plan(&manifest));
        let quantity = |what: &str| {
            items
                .iter()
                .find(|item| item.what.contains(what))
                .map(|item| item.quantity)
        };
        let databases = manifest.databases.len() as f64;
        let services = manifest.services.len() as f64;
        assert_eq!(quantity("database db.t4g.medium, Multi-AZ"), Some(databases * HOURS));
        assert_eq!(quantity("database storage gp3"), Some(databases * 50.0));
        assert_eq!(quantity("Kafka broker kafka.m7g.large"), Some(3.0 * HOURS));
        assert_eq!(quantity("Kafka storage"), Some(300.0));
        assert_eq!(quantity("NAT"), Some(3.0 * HOURS));
        // Two tasks of each service, with half a vCPU and 1 GiB.
        assert_eq!(quantity("Fargate vCPU"), Some(services * 2.0 * 0.5 * HOURS));
        assert_eq!(quantity("Fargate memory"), Some(services * 2.0 * HOURS));
    }

    #[test]
    fn an_existing_network_costs_nothing_more() {
        let mut manifest = crate::command::testing::manifest("prod");
        manifest.network = crate::command::testing::existing_network();
        let items = items(&platform::stacks::plan(&manifest));
        let of_network = ["NAT", "VPC endpoint"];
        let found = items
            .iter()
            .find(|item| of_network.iter().any(|what| item.what.contains(what)));
        assert_eq!(found, None);
    }
}
