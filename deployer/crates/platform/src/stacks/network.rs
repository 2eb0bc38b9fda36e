//! VPC, subnets, NAT gateways, and all security groups with their rules.

mod existing;
mod new;

mod endpoints;
mod zones;

use std::iter;

use ipnet::Ipv4Net;
use serde_json::{Value, json};

use super::inputs::Inputs;
use super::links::{self, Group};
use super::{Stack, name_of};
use crate::manifest::{Manifest, Network};
use cfn::template::{Handle, Resource, Template};

/// Returns the stack of the network.
pub fn stack(manifest: &Manifest) -> Stack {
    let mut inputs = Inputs::default();
    let template = match &manifest.network {
        Network::New(network) => {
            let mut template = Template::new(format!("{}: network and security groups", manifest.prefix()));
            new::add(&mut template, manifest, network, &mut inputs);
            template
        }
        Network::Existing(network) => {
            let mut template = Template::new(format!("{}: security groups in an existing VPC", manifest.prefix()));
            existing::add(&mut template, manifest, network, &mut inputs);
            template
        }
    };
    Stack {
        name: name_of(manifest, "network"),
        short_name: "network".into(),
        template: template.to_json(),
        parameters: inputs.parameters,
        depends_on: inputs.depends_on,
    }
}

/// Adds a security group for each component, and a pair of rules for each path that a link requires.
fn security_groups(template: &mut Template, manifest: &Manifest, vpc: &Value) -> Vec<(Group, Handle)> {
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

fn security_group(manifest: &Manifest, vpc: &Value, group: &Group) -> Resource {
    let resource = Resource::new("AWS::EC2::SecurityGroup")
        .with("GroupDescription", format!("{}: {group}", manifest.prefix()))
        .with("VpcId", vpc.clone());
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
    let destination = if manifest.network.has_own_endpoints() {
        "S3 through its gateway endpoint: layers of images"
    } else {
        "AWS APIs: images, secrets, logs"
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
