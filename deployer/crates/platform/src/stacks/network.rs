//! VPC, subnets, NAT gateways, and all security groups with their rules.

mod endpoints;
mod zones;

use std::iter;

use ipnet::Ipv4Net;
use serde_json::{Value, json};

use super::inputs::Inputs;
use super::links::{self, Group};
use super::{Stack, iam, kms, name_of};
use crate::manifest::{Manifest, Nat};
use cfn::template::{Handle, Resource, Template, join, pseudo, sub};

/// Subnets of one tier, one in each zone.
struct Tier {
    subnets: Vec<Handle>,
    tables: Vec<Handle>,
}

/// Returns the stack of the network.
pub fn stack(manifest: &Manifest) -> Stack {
    let mut template = Template::new(format!("{}: network and security groups", manifest.prefix()));
    let vpc = template.add(
        "Vpc",
        Resource::new("AWS::EC2::VPC")
            .with("CidrBlock", manifest.network.cidr.to_string())
            .with("EnableDnsHostnames", true)
            .with("EnableDnsSupport", true)
            .named(manifest.prefix()),
    );
    template.output("VpcId", "The VPC", vpc.reference());
    let mut inputs = Inputs::default();
    let zones = zones::parameters(&mut template, manifest, &mut inputs);
    let tiers = subnets(&mut template, manifest, &vpc, &zones);
    let groups = security_groups(&mut template, manifest, &vpc);
    endpoints::add(&mut template, manifest, &vpc, &tiers[1], &groups);
    if manifest.network.flow_logs {
        let key = kms::arn(manifest, &mut template, &mut inputs);
        flow_logs(&mut template, manifest, &vpc, key);
    }
    for (name, tier) in ["Public", "Private", "Isolated"].iter().zip(&tiers) {
        let ids = join(",", tier.subnets.iter().map(Handle::reference));
        template.output(&format!("{name}SubnetIds"), "One in each zone, joined by commas", ids);
    }
    Stack {
        name: name_of(manifest, "network"),
        short_name: "network".into(),
        template: template.to_json(),
        parameters: inputs.parameters,
        depends_on: inputs.depends_on,
    }
}

/// Public subnets route to the internet, private ones through NAT, isolated ones nowhere.
fn subnets(template: &mut Template, manifest: &Manifest, vpc: &Handle, zones: &[Value]) -> [Tier; 3] {
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
    let public = tier(template, manifest, vpc, zones, "Public", 0, 1);
    template.add(
        "PublicDefaultRoute",
        Resource::new("AWS::EC2::Route")
            .with("RouteTableId", public.tables[0].reference())
            .with("DestinationCidrBlock", "0.0.0.0/0")
            .with("GatewayId", gateway.reference())
            .depends_on(&attachment),
    );
    let gateways = match manifest.network.nat {
        Nat::Single => 1,
        Nat::PerZone => manifest.network.availability_zones,
        Nat::None => 0,
    };
    let private = tier(template, manifest, vpc, zones, "Private", 3, gateways.max(1));
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
    let isolated = tier(template, manifest, vpc, zones, "Isolated", 6, 1);
    [public, private, isolated]
}

/// A subnet in each zone, on `tables` route tables.
fn tier(
    template: &mut Template,
    manifest: &Manifest,
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
    let subnets = (0..manifest.network.availability_zones)
        .zip(zones)
        .map(|(n, zone)| {
            let subnet = template.add(
                format!("{name}Subnet{}", n + 1),
                Resource::new("AWS::EC2::Subnet")
                    .with("VpcId", vpc.reference())
                    .with("CidrBlock", manifest.network.subnet(first + n).to_string())
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

/// Adds a security group for each component, and a pair of rules for each path that a link requires.
fn security_groups(template: &mut Template, manifest: &Manifest, vpc: &Handle) -> Vec<(Group, Handle)> {
    let mut handles: Vec<(Group, Handle)> = Vec::new();
    for group in links::groups(manifest) {
        let handle = template.add(group.logical_id(), security_group(manifest, vpc, &group));
        template.output(
            &group.output(),
            &format!("Security group of the {group}"),
            handle.attribute("GroupId"),
        );
        handles.push((group, handle));
    }
    let id = |of: &Group| -> Value {
        let found = handles.iter().find(|(group, _)| group == of);
        found
            .map(|(_, handle)| handle.attribute("GroupId"))
            .expect("paths are between the groups above")
    };
    for path in links::paths(manifest) {
        let name = format!("{}To{}Port{}", stem(&path.from), stem(&path.to), path.port);
        let rule = |resource_type| {
            Resource::new(resource_type)
                .with("IpProtocol", "tcp")
                .with("FromPort", path.port)
                .with("ToPort", path.port)
                .with("Description", path.reason.clone())
        };
        template.add(
            format!("{name}Ingress"),
            rule("AWS::EC2::SecurityGroupIngress")
                .with("GroupId", id(&path.to))
                .with("SourceSecurityGroupId", id(&path.from)),
        );
        template.add(
            format!("{name}Egress"),
            rule("AWS::EC2::SecurityGroupEgress")
                .with("GroupId", id(&path.from))
                .with("DestinationSecurityGroupId", id(&path.to)),
        );
    }
    handles
}

fn stem(group: &Group) -> String {
    group.logical_id().trim_end_matches("SecurityGroup").to_owned()
}

fn security_group(manifest: &Manifest, vpc: &Handle, group: &Group) -> Resource {
    let resource = Resource::new("AWS::EC2::SecurityGroup")
        .with("GroupDescription", format!("{}: {group}", manifest.prefix()))
        .with("VpcId", vpc.reference());
    let resource = match group {
        Group::LoadBalancer => {
            let rule = |port: &u16| {
                json!({ "IpProtocol": "tcp", "FromPort": port, "ToPort": port, "CidrIp": "0.0.0.0/0",
                        "Description": "requests from the internet" })
            };
            let ports = links::public_ports(manifest);
            let resource = resource.with("SecurityGroupIngress", ports.iter().map(rule).collect::<Value>());
            if ports.contains(&80) {
                resource.skip_check(
                    "CKV_AWS_260",
                    "port 80 is public: it redirects to HTTPS once ingress.certificate is set",
                )
            } else {
                resource
            }
        }
        _ => resource,
    };
    // Without NAT this rule opens the gateway endpoint alone, whose addresses a template cannot name.
    let destination = match manifest.network.nat {
        Nat::None => "S3 through its gateway endpoint: layers of images",
        Nat::Single | Nat::PerZone => "AWS APIs: images, secrets, logs",
    };
    // A group without an egress rule may send anywhere, so each has at least this one.
    let egress = match group {
        Group::Service(name) => {
            let rule = |network: Ipv4Net, port: u16, reason: &str| {
                json!({ "IpProtocol": "tcp", "FromPort": port, "ToPort": port, "CidrIp": network.to_string(),
                        "Description": reason })
            };
            let apis = rule(Ipv4Net::default(), 443, destination);
            let egress = links::egress(manifest, name);
            let outside = egress
                .iter()
                .map(|egress| rule(egress.network, egress.port, &egress.reason));
            iter::once(apis).chain(outside).collect()
        }
        _ => json!([{ "IpProtocol": "icmp", "FromPort": 252, "ToPort": 86, "CidrIp": "255.255.255.255/32",
                      "Description": "no egress: this address and type do not exist" }]),
    };
    resource.with("SecurityGroupEgress", egress).named(format!(
        "{}-{}",
        manifest.prefix(),
        group.to_string().replace(' ', "-")
    ))
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
