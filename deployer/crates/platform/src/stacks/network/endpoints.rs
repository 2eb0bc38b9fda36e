//! VPC endpoints of AWS's APIs.

use serde_json::{Value, json};

use crate::manifest::{Nat, NewNetwork};
use crate::stacks::links::Group;
use cfn::template::{Handle, Resource, Template, sub};

/// APIs that the start of a Fargate task requires: its image, its secrets, its log
/// (Amazon ECR: interface VPC endpoints, considerations for Amazon ECS).
const APIS: [(&str, &str); 4] = [
    ("EcrApi", "ecr.api"),
    ("EcrImages", "ecr.dkr"),
    ("Logs", "logs"),
    ("Secrets", "secretsmanager"),
];

/// Adds the endpoint of S3, which is free and serves the layers of images; without NAT, those of the other APIs too.
pub fn add(
    template: &mut Template,
    network: &NewNetwork,
    vpc: &Handle,
    subnets: &[Handle],
    tables: &[Handle],
    groups: &[(Group, Handle)],
) {
    let tables: Vec<Value> = tables.iter().map(Handle::reference).collect();
    // With NAT the same buckets are reachable through the internet: a policy here would only break services that use S3.
    let isolated = network.nat == Nat::None;
    template.add(
        "S3Endpoint",
        endpoint(vpc, "s3", "Gateway")
            .with("RouteTableIds", tables)
            .with_some("PolicyDocument", isolated.then(layers_only)),
    );
    if !isolated {
        return;
    }
    let subnets: Vec<Value> = subnets.iter().map(Handle::reference).collect();
    let group = groups.iter().find(|(group, _)| *group == Group::Endpoints);
    let group: Vec<Value> = group.iter().map(|(_, handle)| handle.attribute("GroupId")).collect();
    for (name, api) in APIS {
        template.add(
            format!("{name}Endpoint"),
            endpoint(vpc, api, "Interface")
                .with("PrivateDnsEnabled", true)
                .with("SubnetIds", subnets.clone())
                .with("SecurityGroupIds", group.clone())
                .with("PolicyDocument", this_account_only()),
        );
    }
}

fn endpoint(vpc: &Handle, api: &str, endpoint_type: &str) -> Resource {
    Resource::new("AWS::EC2::VPCEndpoint")
        .with("VpcId", vpc.reference())
        .with("VpcEndpointType", endpoint_type)
        .with("ServiceName", sub(&format!("com.amazonaws.${{AWS::Region}}.{api}"), []))
}

/// Allows the bucket in which Amazon ECR stores layers, to read (Amazon ECR: minimum Amazon S3 bucket permissions): no data
/// can leave the VPC through the endpoint.
fn layers_only() -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
            "Resource": sub("arn:${AWS::Partition}:s3:::prod-${AWS::Region}-starport-layer-bucket/*", []),
        }],
    })
}

/// Allows callers of this account; their roles decide what they may do.
fn this_account_only() -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*",
            "Condition": { "StringEquals": { "aws:PrincipalAccount": { "Ref": "AWS::AccountId" } } },
        }],
    })
}
