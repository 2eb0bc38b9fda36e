//! Groups, subnets, gateways and endpoints in our VPC.

use aws_sdk_ec2::types::{Filter, Tag};

use super::{Owned, Undeclared, stack_of};
use crate::error::Result;
use crate::target::Aws;

pub async fn find(aws: &Aws, owned: &Owned) -> Result<Vec<Undeclared>> {
    let vpcs = owned.all("AWS::EC2::VPC");
    if vpcs.is_empty() {
        return Ok(Vec::new());
    }
    let here = || Filter::builder().name("vpc-id").set_values(Some(vpcs.to_vec())).build();
    let groups = aws.ec2.describe_security_groups().filters(here()).into_paginator();
    let subnets = aws.ec2.describe_subnets().filters(here()).into_paginator();
    let gateways = aws.ec2.describe_nat_gateways().filter(here()).into_paginator();
    let endpoints = aws.ec2.describe_vpc_endpoints().filters(here()).into_paginator();
    let (groups, subnets, gateways, endpoints) = tokio::join!(
        groups.items().send().collect::<Result<Vec<_>, _>>(),
        subnets.items().send().collect::<Result<Vec<_>, _>>(),
        gateways.items().send().collect::<Result<Vec<_>, _>>(),
        endpoints.items().send().collect::<Result<Vec<_>, _>>(),
    );
    let (groups, subnets, gateways, endpoints) = (groups?, subnets?, gateways?, endpoints?);
    let mut found = Vec::new();
    let mut note = |kind, id: Option<&str>, tags: &[Tag], what: String| {
        let id = id.unwrap_or_default();
        if !owned.has(id) && stack_of(tags.iter().map(|tag| (tag.key(), tag.value()))).is_none() {
            found.push(Undeclared {
                kind,
                id: id.to_owned(),
                what,
            });
        }
    };
    for group in groups.iter().filter(|group| group.group_name() != Some("default")) {
        let (name, about) = (
            group.group_name().unwrap_or_default(),
            group.description().unwrap_or_default(),
        );
        note(
            "AWS::EC2::SecurityGroup",
            group.group_id(),
            group.tags(),
            format!("{name}: {about}"),
        );
    }
    for subnet in &subnets {
        let range = subnet.cidr_block().unwrap_or("an unknown range").to_owned();
        note("AWS::EC2::Subnet", subnet.subnet_id(), subnet.tags(), range);
    }
    for gateway in &gateways {
        let state = gateway.state().map(|state| state.as_str()).unwrap_or_default();
        if state != "deleted" && state != "deleting" {
            note(
                "AWS::EC2::NatGateway",
                gateway.nat_gateway_id(),
                gateway.tags(),
                state.to_owned(),
            );
        }
    }
    for endpoint in &endpoints {
        let service = endpoint.service_name().unwrap_or_default().to_owned();
        note(
            "AWS::EC2::VPCEndpoint",
            endpoint.vpc_endpoint_id(),
            endpoint.tags(),
            service,
        );
    }
    Ok(found)
}
