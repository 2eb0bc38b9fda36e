//! A VPC that the platform creates: subnets of three tiers, gateways, routes, endpoints and flow logs.

use serde_json::{Value, json};

use super::super::inputs::Inputs;
use super::super::{iam, kms};
use super::{endpoints, security_groups, zones};
use crate::manifest::{Manifest, Nat, NewNetwork, SubnetTier};
use cfn::template::{Handle, Resource, Template, join, pseudo, sub};

/// Subnets of one tier, one in each zone.
struct Tier {
    subnets: Vec<Handle>,
    tables: Vec<Handle>,
}

/// Adds the VPC with everything in it.
pub fn add(template: &mut Template, manifest: &Manifest, network: &NewNetwork, inputs: &mut Inputs) {
    let vpc = template.add(
        "Vpc",
        Resource::new("AWS::EC2::VPC")
            .with("CidrBlock", network.cidr.to_string())
            .with("EnableDnsHostnames", true)
            .with("EnableDnsSupport", true)
            .named(manifest.prefix()),
    );
    template.output("VpcId", "The VPC", vpc.reference());
    let zones = zones::parameters(template, manifest, network, inputs);
    let tiers = subnets(template, manifest, network, &vpc, &zones);
    let groups = security_groups(template, manifest, &vpc.reference());
    let [_, private, _] = &tiers;
    endpoints::add(template, network, &vpc, &private.subnets, &private.tables, &groups);
    if network.flow_logs {
        let key = kms::arn(manifest, template, inputs);
        flow_logs(template, manifest, &vpc, key);
    }
    for (tier, created) in SubnetTier::ALL.iter().zip(&tiers) {
        let ids = join(",", created.subnets.iter().map(Handle::reference));
        template.output(tier.parameter(), "One in each zone, joined by commas", ids);
    }
}

/// Public subnets route to the internet, private ones through NAT, isolated ones nowhere.
fn subnets(
    template: &mut Template,
    manifest: &Manifest,
    network: &NewNetwork,
    vpc: &Handle,
    zones: &[Value],
) -> [Tier; 3] {
    let gateway = template.add(
        "InternetGateway",
        Resource::new("AWS::EC2::InternetGateway").named(manifest.prefix()),
    );
    let attachment = template.add(
        "InternetGatewayAttachment",
        Resource::new("AWS::EC2::VPCGatewayAttachment")
            .with("VpcId", vpc.reference())
            .with("InternetGatewayId", gateway.reference()),
    );
    let public = tier(template, (manifest, network), vpc, zones, "Public", 0, 1);
    template.add(
        "PublicDefaultRoute",
        Resource::new("AWS::EC2::Route")
            .with("RouteTableId", public.tables[0].reference())
            .with("DestinationCidrBlock", "0.0.0.0/0")
            .with("GatewayId", gateway.reference())
            .depends_on(&attachment),
    );
    let gateways = match network.nat {
        Nat::Single => 1,
        Nat::PerZone => network.availability_zones,
        Nat::None => 0,
    };
    let private = tier(template, (manifest, network), vpc, zones, "Private", 3, gateways.max(1));
    for (n, table) in private.tables.iter().enumerate().take(gateways.into()) {
        let address = template.add(
            format!("NatAddress{}", n + 1),
            Resource::new("AWS::EC2::EIP")
                .with("Domain", "vpc")
                .depends_on(&attachment),
        );
        let nat = template.add(
            format!("NatGateway{}", n + 1),
            Resource::new("AWS::EC2::NatGateway")
                .with("AllocationId", address.attribute("AllocationId"))
                .with("SubnetId", public.subnets[n].reference())
                .named(format!("{}-{}", manifest.prefix(), n + 1)),
        );
        template.add(
            format!("PrivateDefaultRoute{}", n + 1),
            Resource::new("AWS::EC2::Route")
                .with("RouteTableId", table.reference())
                .with("DestinationCidrBlock", "0.0.0.0/0")
                .with("NatGatewayId", nat.reference()),
        );
    }
    let isolated = tier(template, (manifest, network), vpc, zones, "Isolated", 6, 1);
    [public, private, isolated]
}

/// A subnet in each zone, on `tables` route tables.
fn tier(
    template: &mut Template,
    (manifest, network): (&Manifest, &NewNetwork),
    vpc: &Handle,
    zones: &[Value],
    name: &str,
    first: u8,
    tables: u8,
) -> Tier {
    let tables: Vec<Handle> = (1..=tables)
        .map(|n| {
            let table = Resource::new("AWS::EC2::RouteTable").with("VpcId", vpc.reference());
            let label = format!("{}-{}-{n}", manifest.prefix(), name.to_lowercase());
            template.add(format!("{name}RouteTable{n}"), table.named(label))
        })
        .collect();
    let subnets = (0..network.availability_zones)
        .zip(zones)
        .map(|(n, zone)| {
            let subnet = template.add(
                format!("{name}Subnet{}", n + 1),
                Resource::new("AWS::EC2::Subnet")
                    .with("VpcId", vpc.reference())
                    .with("CidrBlock", network.subnet(first + n).to_string())
                    .with("AvailabilityZone", zone.clone())
                    .named(format!("{}-{}-{}", manifest.prefix(), name.to_lowercase(), n + 1)),
            );
            template.add(
                format!("{name}Subnet{}RouteTableAssociation", n + 1),
                Resource::new("AWS::EC2::SubnetRouteTableAssociation")
                    .with("SubnetId", subnet.reference())
                    .with("RouteTableId", tables[usize::from(n) % tables.len()].reference()),
            );
            subnet
        })
        .collect();
    Tier { subnets, tables }
}

fn flow_logs(template: &mut Template, manifest: &Manifest, vpc: &Handle, key: Option<Value>) {
    let group = Resource::new("AWS::Logs::LogGroup")
        .with("RetentionInDays", 90)
        .deleted();
    let group = template.add("FlowLogGroup", kms::encrypting(group, "KmsKeyId", key, "CKV_AWS_158"));
    let role = template.add(
        "FlowLogRole",
        Resource::new("AWS::IAM::Role")
            .with("AssumeRolePolicyDocument", iam::trust("vpc-flow-logs.amazonaws.com"))
            .with(
                "Policies",
                json!([iam::policy(
                    "write-flow-logs",
                    &[iam::allow(
                        &["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
                        &group.attribute("Arn"),
                    )]
                )]),
            ),
    );
    template.add(
        "FlowLog",
        Resource::new("AWS::EC2::FlowLog")
            .with("ResourceId", vpc.reference())
            .with("ResourceType", "VPC")
            .with("TrafficType", "ALL")
            .with("LogGroupName", group.reference())
            .with("DeliverLogsPermissionArn", role.attribute("Arn"))
            .named(sub(&format!("{}-${{AWS::Region}}", manifest.prefix()), [])),
    );
    template.output(
        "FlowLogGroupName",
        "Log group of the VPC's flow logs",
        group.reference(),
    );
    template.output("Region", "The region", pseudo("Region"));
}
