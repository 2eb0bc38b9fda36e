//! The default VPC, with the parts and the addresses that AWS gives it (Amazon VPC User Guide, "Default VPC components").

use serde_json::{Value, json};

use super::super::model::{self, SUBNETS, VPCS};
use super::super::{vpc, zone};
use crate::records::{Record, Records, WriteLock};
use crate::{AwsError, Context};

/// Has the record `default-vpc` once there was a default VPC: a deleted one does not come back at the next start.
const ACCOUNT: Records = Records("ec2.account");

/// Creates the default VPC of a new account.
///
/// # Errors
/// When the state cannot be read or written.
pub async fn create_first(cx: &Context) -> Result<(), AwsError> {
    if ACCOUNT.get(cx, "default-vpc")?.is_none() {
        build(cx).await?;
        ACCOUNT.put(cx, &Record::from_properties("default-vpc", json!({})))?;
    }
    Ok(())
}

pub async fn create(cx: &Context) -> Result<Value, AwsError> {
    if model::default_vpc(cx)?.is_some() {
        let reason = "A Default VPC already exists for this account in this region.";
        return Err(AwsError::new("DefaultVpcAlreadyExists", reason));
    }
    let id = build(cx).await?;
    let shown = vpc::describe(cx)?.into_iter().find(|vpc| vpc["VpcId"] == id);
    Ok(json!({ "Vpc": shown }))
}

async fn build(cx: &Context) -> Result<String, AwsError> {
    let properties = json!({"CidrBlock": "172.31.0.0/16", "EnableDnsHostnames": true});
    let vpc = cx.create_resource("AWS::EC2::VPC", properties).await?.physical_id;
    let gateway = cx
        .create_resource("AWS::EC2::InternetGateway", json!({}))
        .await?
        .physical_id;
    let attachment = json!({"VpcId": vpc, "InternetGatewayId": gateway});
    cx.create_resource("AWS::EC2::VPCGatewayAttachment", attachment).await?;
    mark_default(cx, VPCS, &vpc)?;
    let table = VPCS.get(cx, &vpc)?.and_then(|vpc| vpc.computed("MainRouteTable"));
    let route = json!({"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gateway});
    cx.create_resource("AWS::EC2::Route", route).await?;
    for (at, zone) in zone::names(cx).into_iter().enumerate() {
        let properties = json!({
            "VpcId": vpc, "CidrBlock": format!("172.31.{}.0/20", at * 16), "AvailabilityZone": zone,
            "MapPublicIpOnLaunch": true,
        });
        let subnet = cx.create_resource("AWS::EC2::Subnet", properties).await?;
        mark_default(cx, SUBNETS, &subnet.physical_id)?;
    }
    Ok(vpc)
}

fn mark_default(cx: &Context, records: Records, id: &str) -> Result<(), AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    if let Some(mut record) = records.get(cx, id)? {
        record.computed.insert("Default".into(), true.into());
        records.put(cx, &record)?;
    }
    Ok(())
}
