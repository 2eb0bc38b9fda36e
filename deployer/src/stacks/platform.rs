//! What all services stand on: the ECS cluster, the private DNS namespace, the load balancer and its listener.

use serde_json::{Value, json};

use super::links::{self, Group};
use super::{Stack, from_output, name_of};
use crate::manifest::Manifest;
use crate::template::{Handle, Resource, Template};

pub fn stack(manifest: &Manifest) -> Stack {
    let mut template = Template::new(format!("{}: cluster, namespace and load balancer", manifest.prefix()));
    let vpc = template.parameter("VpcId", "AWS::EC2::VPC::Id", "The VPC");
    let public = template.parameter(
        "PublicSubnetIds",
        "List<AWS::EC2::Subnet::Id>",
        "Subnets of the load balancer",
    );
    let security_name = Group::LoadBalancer.output();
    let security = template.parameter(
        &security_name,
        "AWS::EC2::SecurityGroup::Id",
        "Who may reach the load balancer",
    );
    let insights = if manifest.protected { "enabled" } else { "disabled" };
    let cluster = template.add(
        "Cluster",
        Resource::new("AWS::ECS::Cluster")
            .with("ClusterName", manifest.prefix())
            .with(
                "ClusterSettings",
                json!([{ "Name": "containerInsights", "Value": insights }]),
            ),
    );
    let namespace = template.add(
        "Namespace",
        Resource::new("AWS::ServiceDiscovery::PrivateDnsNamespace")
            .with("Name", links::namespace(manifest))
            .with(
                "Description",
                format!("{}: how services find each other", manifest.prefix()),
            )
            .with("Vpc", vpc.reference()),
    );
    let balancer = template.add(
        "LoadBalancer",
        Resource::new("AWS::ElasticLoadBalancingV2::LoadBalancer")
            .with("Type", "application")
            .with("Scheme", "internet-facing")
            .with("IpAddressType", "ipv4")
            .with("Subnets", public.reference())
            .with("SecurityGroups", vec![security.reference()])
            .with("LoadBalancerAttributes", attributes(manifest)),
    );
    let listener = template.add("Listener", listener(manifest, &balancer));
    template.output("ClusterName", "The ECS cluster", cluster.reference());
    template.output("NamespaceId", "The private DNS namespace", namespace.reference());
    template.output("ListenerArn", "The public listener", listener.reference());
    template.output("LoadBalancerDnsName", "The public name", balancer.attribute("DNSName"));
    template.output(
        "LoadBalancerFullName",
        "Its name in metrics",
        balancer.attribute("LoadBalancerFullName"),
    );
    Stack {
        name: name_of(manifest, "platform"),
        short: "platform".into(),
        template: template.to_json(),
        parameters: vec![
            from_output(manifest, "VpcId", "network", "VpcId"),
            from_output(manifest, "PublicSubnetIds", "network", "PublicSubnetIds"),
            from_output(manifest, &security_name, "network", &security_name),
        ],
        depends_on: vec![name_of(manifest, "network")],
        holds_data: false,
    }
}

fn attributes(manifest: &Manifest) -> Value {
    json!([
        { "Key": "idle_timeout.timeout_seconds", "Value": "60" },
        { "Key": "routing.http.drop_invalid_header_fields.enabled", "Value": "true" },
        { "Key": "deletion_protection.enabled", "Value": manifest.protected.to_string() },
    ])
}

/// What no rule claims is 404, so a service that is not there yet is not a 503 of nobody.
fn listener(manifest: &Manifest, balancer: &Handle) -> Resource {
    let listener = Resource::new("AWS::ElasticLoadBalancingV2::Listener")
        .with("LoadBalancerArn", balancer.reference())
        .with("Port", manifest.ingress.port)
        .with(
            "DefaultActions",
            json!([{ "Type": "fixed-response", "FixedResponseConfig": {
                "StatusCode": "404", "ContentType": "text/plain", "MessageBody": "nothing is served here" } }]),
        );
    match &manifest.ingress.certificate {
        Some(arn) => listener
            .with("Protocol", "HTTPS")
            .with("SslPolicy", "ELBSecurityPolicy-TLS13-1-2-2021-06")
            .with("Certificates", json!([{ "CertificateArn": arn }])),
        None => listener.with("Protocol", "HTTP"),
    }
}
