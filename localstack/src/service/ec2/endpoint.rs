//! `AWS::EC2::VPCEndpoint`: kept and checked; the services behind it are this endpoint itself.

use serde_json::{Value, json};

use super::describe::flag;
use super::ids::{self, invalid, required};
use super::{route, security_group, subnet, vpc};
use crate::records::{Record, RecordType, Records, iso, texts};
use crate::{AwsError, Context, Desired, Resource, Schema};

pub const ENDPOINTS: Records = Records("ec2.vpc-endpoints");

pub struct VpcEndpoint;

impl RecordType for VpcEndpoint {
    const TYPE: &'static str = "AWS::EC2::VPCEndpoint";
    const RECORDS: Records = ENDPOINTS;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "VpcId",
                "ServiceName",
                "VpcEndpointType",
                "SubnetIds",
                "SecurityGroupIds",
                "RouteTableIds",
                "PrivateDnsEnabled",
                "PolicyDocument",
                "DnsOptions",
                "IpAddressType",
                "ServiceRegion",
                "Tags",
            ],
            required: &["VpcId"],
            create_only: &["VpcId", "ServiceName", "VpcEndpointType", "ServiceRegion"],
            attributes: &["Id", "CreationTimestamp", "DnsEntries", "NetworkInterfaceIds"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let record = Record::new(ids::new("vpce"), desired);
        let vpc = vpc::named(cx, &required(&record, "VpcId")?)?;
        let service = required(&record, "ServiceName")?;
        if !service.starts_with(&format!("com.amazonaws.{}.", cx.region())) {
            let reason = format!("The Vpc Endpoint Service '{service}' does not exist");
            return Err(AwsError::new("InvalidServiceName", reason));
        }
        check(cx, &record, &vpc.id)?;
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id)
            .with("Id", record.id.clone())
            .with("CreationTimestamp", iso(record.created))
            .with("DnsEntries", json!([]))
            .with("NetworkInterfaceIds", json!([]))
    }

    fn update(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        check(cx, record, &required(record, "VpcId")?)
    }
}

fn check(cx: &Context, record: &Record, vpc: &str) -> Result<(), AwsError> {
    let list = |property: &str| texts(record.properties.get(property));
    let mut parts = Vec::new();
    for id in list("SubnetIds") {
        parts.push(subnet::named(cx, &id)?);
    }
    for id in list("SecurityGroupIds") {
        parts.push(security_group::named(cx, &id)?);
    }
    for id in list("RouteTableIds") {
        parts.push(route::table(cx, &id)?);
    }
    match parts.iter().find(|part| !part.has("VpcId", vpc)) {
        Some(part) => Err(invalid(format!("{} does not belong to {vpc}", part.id))),
        None => Ok(()),
    }
}

pub fn describe(cx: &Context) -> Result<Vec<Value>, AwsError> {
    let shown = |endpoint: &Record| {
        let list = |property: &str| texts(endpoint.properties.get(property));
        let groups: Vec<Value> = list("SecurityGroupIds")
            .into_iter()
            .map(|id| json!({"GroupId": id}))
            .collect();
        json!({
            "VpcEndpointId": endpoint.id, "VpcId": endpoint.text("VpcId"), "ServiceName": endpoint.text("ServiceName"),
            "VpcEndpointType": endpoint.text("VpcEndpointType").unwrap_or_else(|| "Gateway".into()),
            "State": "available", "SubnetIds": list("SubnetIds"), "RouteTableIds": list("RouteTableIds"),
            "Groups": groups, "PrivateDnsEnabled": flag(endpoint, "PrivateDnsEnabled", false),
            "CreationTimestamp": iso(endpoint.created), "OwnerId": cx.account(), "Tags": endpoint.tag_list(),
        })
    };
    Ok(ENDPOINTS.list(cx)?.iter().map(shown).collect())
}
