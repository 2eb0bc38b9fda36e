//! Ways to AWS's own APIs that do not leave the VPC.

use serde_json::{Value, json};

use super::Tier;
use crate::manifest::{Manifest, Nat};
use crate::stacks::links::Group;
use cfn::template::{Handle, Resource, Template, sub};

/// What a Fargate task needs before its first line runs: its image, its secrets, its log
/// (Amazon ECR: interface VPC endpoints, considerations for Amazon ECS).
const APIS: [(&str, &str); 4] = [
    ("EcrApi", "ecr.api"),
    ("EcrImages", "ecr.dkr"),
    ("Logs", "logs"),
    ("Secrets", "secretsmanager"),
];

/// S3 always, since it is free and the layers of images come from there; the other APIs only where there is no NAT.
pub fn add(template: &mut Template, manifest: &Manifest, vpc: &Handle, private: &Tier, groups: &[(Group, Handle)]) {
    let tables: Vec<Value> = private.tables.iter().map(Handle::reference).collect();
    template.add(
        "S3Endpoint",
        endpoint(vpc, "s3", "Gateway")
            .with("RouteTableIds", tables)
            .with("PolicyDocument", layers_only()),
    );
    if manifest.network.nat != Nat::None {
        return;
    }
    let subnets: Vec<Value> = private.subnets.iter().map(Handle::reference).collect();
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

fn endpoint(vpc: &Handle, api: &str, kind: &str) -> Resource {
    Resource::new("AWS::EC2::VPCEndpoint")
        .with("VpcId", vpc.reference())
        .with("VpcEndpointType", kind)
        .with("ServiceName", sub(&format!("com.amazonaws.${{AWS::Region}}.{api}"), []))
}

/// The bucket in which Amazon ECR keeps layers (Amazon ECR: minimum Amazon S3 bucket permissions): no data leaves this way.
fn layers_only() -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
            "Resource": sub("arn:${AWS::Partition}:s3:::prod-${AWS::Region}-starport-layer-bucket/*", []),
        }],
    })
}

/// Whoever calls is of this account; what it may do, its role says.
fn this_account_only() -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*",
            "Condition": { "StringEquals": { "aws:PrincipalAccount": { "Ref": "AWS::AccountId" } } },
        }],
    })
}
