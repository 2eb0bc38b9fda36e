//! Resources that all services share: the ECS cluster, the private DNS namespace, the load balancer and its listener.

mod access_logs;
mod listener;
mod public_name;

use serde_json::{Value, json};

use super::links::{self, Group};
use super::{Stack, from_output, name_of};
use crate::manifest::Manifest;
use cfn::template::{Handle, Resource, Template};

/// Seconds for which a resolver caches that a name does not exist (AWS Cloud Map API: SOA). A service that asks for a peer
/// before the peer has registered finds it after this time; the default of a private hosted zone is longer.
const NEGATIVE_TTL: u32 = 10;

/// Returns the stack of the shared resources.
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
        "The security group of the load balancer",
    );
    let cluster = template.add("Cluster", cluster(manifest));
    let namespace = template.add(
        "Namespace",
        Resource::new("AWS::ServiceDiscovery::PrivateDnsNamespace")
            .with("Name", links::namespace(manifest))
            .with("Description", format!("{}: service discovery", manifest.prefix()))
            .with("Vpc", vpc.reference())
            .with(
                "Properties",
                json!({ "DnsProperties": { "SOA": { "TTL": NEGATIVE_TTL } } }),
            ),
    );
    let balancer = balancer(&mut template, manifest, public.reference(), security.reference());
    let listener = listener::add(&mut template, manifest, &balancer);
    if let Some(arn) = &manifest.ingress.web_acl {
        template.add(
            "WebAclAssociation",
            Resource::new("AWS::WAFv2::WebACLAssociation")
                .with("ResourceArn", balancer.reference())
                .with("WebACLArn", arn.as_str()),
        );
    }
    template.output("ClusterName", "The ECS cluster", cluster.reference());
    template.output("NamespaceId", "The private DNS namespace", namespace.reference());
    template.output("ListenerArn", "The public listener", listener.reference());
    template.output(
        "LoadBalancerDnsName",
        "Host name of the load balancer",
        balancer.attribute("DNSName"),
    );
    template.output(
        "LoadBalancerFullName",
        "The load balancer's name in metrics",
        balancer.attribute("LoadBalancerFullName"),
    );
    Stack {
        name: name_of(manifest, "platform"),
        short_name: "platform".into(),
        template: template.to_json(),
        parameters: vec![
            from_output(manifest, "VpcId", "network", "VpcId"),
            from_output(manifest, "PublicSubnetIds", "network", "PublicSubnetIds"),
            from_output(manifest, &security_name, "network", &security_name),
        ],
        depends_on: vec![name_of(manifest, "network")],
    }
}

/// Container Insights count the running tasks, which the services' alarms compare with the desired ones.
fn cluster(manifest: &Manifest) -> Resource {
    let watched = manifest.protected || manifest.alarms.is_some();
    let insights = if watched { "enabled" } else { "disabled" };
    let cluster = Resource::new("AWS::ECS::Cluster")
        .with("ClusterName", manifest.prefix())
        .with(
            "ClusterSettings",
            json!([{ "Name": "containerInsights", "Value": insights }]),
        )
        .with("CapacityProviders", json!(["FARGATE", "FARGATE_SPOT"]));
    if watched {
        cluster
    } else {
        cluster.skip_check(
            "CKV_AWS_65",
            "Container Insights cost per metric; protected environments and alarms enable them",
        )
    }
}

fn attributes(manifest: &Manifest) -> Vec<Value> {
    vec![
        json!({ "Key": "idle_timeout.timeout_seconds", "Value": "60" }),
        json!({ "Key": "routing.http.drop_invalid_header_fields.enabled", "Value": "true" }),
        // Rejects requests that two parsers could read in two ways (HTTP desync).
        json!({ "Key": "routing.http.desync_mitigation_mode", "Value": "strictest" }),
        json!({ "Key": "deletion_protection.enabled", "Value": manifest.protected.to_string() }),
    ]
}

/// Adds the load balancer, with a bucket for its access logs if they are stored.
fn balancer(template: &mut Template, manifest: &Manifest, subnets: Value, security: Value) -> Handle {
    let resource = Resource::new("AWS::ElasticLoadBalancingV2::LoadBalancer")
        .with("Type", "application")
        .with("Scheme", "internet-facing")
        .with("IpAddressType", "ipv4")
        .with("Subnets", subnets)
        .with("SecurityGroups", vec![security]);
    let mut attributes = attributes(manifest);
    let resource = if manifest.ingress.access_logs {
        let (bucket, policy) = access_logs::add(template);
        attributes.extend(access_logs::attributes(&bucket));
        resource.depends_on(&policy)
    } else {
        resource.skip_check(
            "CKV_AWS_91",
            "a disposable environment; ingress.access_logs stores them",
        )
    };
    let resource = if manifest.protected {
        resource
    } else {
        resource.skip_check(
            "CKV_AWS_150",
            "a disposable environment; protected environments have deletion protection",
        )
    };
    template.add("LoadBalancer", resource.with("LoadBalancerAttributes", attributes))
}
