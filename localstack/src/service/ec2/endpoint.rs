//! `AWS::EC2::VPCEndpoint`: checked and stored only. Tasks reach every AWS service at this endpoint directly.

use serde_json::{Value, json};

use super::describe::flag;
use super::error::{invalid_parameter, required};
use super::model::{self, VPC_ENDPOINTS, new_id};
use crate::records::{Record, RecordType, Records, iso, texts};
use crate::{AwsError, Context, Desired, Resource, Schema};

pub struct VpcEndpoint;

impl RecordType for VpcEndpoint {
    const TYPE: &'static str = "AWS::EC2::VPCEndpoint";
    const RECORDS: Records = VPC_ENDPOINTS;

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
        let record = Record::new(new_id("vpce"), desired);
        let vpc = model::vpc(cx, &required(&record, "VpcId")?)?;
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
        parts.push(model::subnet(cx, &id)?);
    }
    for id in list("SecurityGroupIds") {
        parts.push(model::security_group(cx, &id)?);
    }
    for id in list("RouteTableIds") {
        parts.push(model::route_table(cx, &id)?);
    }
    match parts.iter().find(|part| !part.has("VpcId", vpc)) {
        Some(part) => Err(invalid_parameter(format!("{} does not belong to {vpc}", part.id))),
        None => Ok(()),
    }
}

/// Returns the policy as text; without one the endpoint allows everything (AWS `PrivateLink` Guide, "Default endpoint policy").
fn policy(endpoint: &Record) -> String {
    let given = endpoint.properties.get("PolicyDocument");
    let default = json!({
        "Version": "2008-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}],
    });
    match given.and_then(Value::as_str) {
        Some(text) => text.to_owned(),
        None => given.unwrap_or(&default).to_string(),
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
            "Groups": groups, "PolicyDocument": policy(endpoint), "DnsEntries": [], "NetworkInterfaceIds": [],
            "IpAddressType": endpoint.text("IpAddressType").unwrap_or_else(|| "ipv4".into()), "RequesterManaged": false,
            "DnsOptions": endpoint.properties.get("DnsOptions"),
            "ServiceRegion": cx.region(), "PrivateDnsEnabled": flag(endpoint, "PrivateDnsEnabled", false),
            "CreationTimestamp": iso(endpoint.created), "OwnerId": cx.account(), "Tags": endpoint.tag_list(),
        })
    };
    Ok(VPC_ENDPOINTS.list(cx)?.iter().map(shown).collect())
}
