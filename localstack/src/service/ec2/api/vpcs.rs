//! VPCs, subnets and internet gateways.

use serde_json::{Value, json};

use super::super::error::invalid_parameter;
use super::super::model::{VPC_BLOCKS, VPCS};
use super::super::{gateway, model, subnet, vpc_block, zone};
use super::input;
use super::input::unsupported;
use super::{Creation, attribute, update};
use crate::service::Call;
use crate::{AwsError, Context};

pub async fn create_subnet(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut call = call.clone();
    let zone_id = call
        .input
        .as_object_mut()
        .and_then(|input| input.shift_remove("AvailabilityZoneId"));
    if let Some(id) = zone_id.as_ref().and_then(Value::as_str) {
        let zone = zone::names(cx).into_iter().find(|name| zone::id(cx, name) == id);
        let unknown = || {
            invalid_parameter(format!(
                "Value ({id}) for parameter availabilityZoneId is invalid. The Availability Zone ID does not exist."
            ))
        };
        call.input["AvailabilityZone"] = zone.ok_or_else(unknown)?.into();
    }
    let creation = Creation {
        resource_type: "AWS::EC2::Subnet",
        kind: "subnet",
        members: &["VpcId", "CidrBlock", "AvailabilityZone"],
        defaults: &[("Ipv6Native", "false")],
        output: ("Subnet", "SubnetId"),
        describe: subnet::describe,
    };
    creation.create(cx, &call).await
}

pub async fn modify_vpc(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    update(cx, call, "AWS::EC2::VPC", "VpcId", |properties| {
        for member in [
            "EnableDnsSupport",
            "EnableDnsHostnames",
            "EnableNetworkAddressUsageMetrics",
        ] {
            if let Some(value) = attribute(call, member) {
                properties.insert(member.into(), value.into());
            }
        }
        Ok(())
    })
    .await?;
    Ok(json!({}))
}

/// Attributes of a subnet that are part of its property `PrivateDnsNameOptionsOnLaunch`, with their names there.
const DNS_NAME_OPTIONS: [(&str, &str); 2] = [
    ("EnableResourceNameDnsARecordOnLaunch", "EnableResourceNameDnsARecord"),
    (
        "EnableResourceNameDnsAAAARecordOnLaunch",
        "EnableResourceNameDnsAAAARecord",
    ),
];

pub async fn modify_subnet(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    for member in [
        "MapCustomerOwnedIpOnLaunch",
        "CustomerOwnedIpv4Pool",
        "EnableLniAtDeviceIndex",
        "DisableLniAtDeviceIndex",
    ] {
        if let Some(value) = call.input.get(member) {
            return Err(unsupported(member, value));
        }
    }
    // A subnet here has no IPv6 block.
    if attribute(call, "AssignIpv6AddressOnCreation") == Some(true) {
        return Err(invalid_parameter(
            "Invalid value 'true' for assignIpv6AddressOnCreation. Subnet must have IPv6 CIDR associated first.",
        ));
    }
    update(cx, call, "AWS::EC2::Subnet", "SubnetId", |properties| {
        for member in ["MapPublicIpOnLaunch", "EnableDns64"] {
            if let Some(value) = attribute(call, member) {
                properties.insert(member.into(), value.into());
            }
        }
        let mut options = properties
            .get("PrivateDnsNameOptionsOnLaunch")
            .cloned()
            .unwrap_or_else(|| json!({}));
        if let Some(kind) = call.text("PrivateDnsHostnameTypeOnLaunch") {
            options["HostnameType"] = kind.into();
        }
        for (member, option) in DNS_NAME_OPTIONS {
            if let Some(value) = attribute(call, member) {
                options[option] = value.into();
            }
        }
        if options.as_object().is_some_and(|options| !options.is_empty()) {
            properties.insert("PrivateDnsNameOptionsOnLaunch".into(), options);
        }
        Ok(())
    })
    .await?;
    Ok(json!({}))
}

/// Adds an IPv4 block to a VPC.
pub async fn associate_block(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let properties = input::properties(
        call,
        "",
        &["VpcId", "CidrBlock"],
        &[("AmazonProvidedIpv6CidrBlock", "false")],
    )?;
    let block = call.text("CidrBlock");
    if block.is_none() {
        return Err(AwsError::new(
            "MissingParameter",
            "Either 'cidrBlock' or 'ipv6CidrBlock' should be provided.",
        ));
    }
    let id = cx
        .create_resource("AWS::EC2::VPCCidrBlock", properties.into())
        .await?
        .physical_id;
    Ok(json!({
        "VpcId": call.text("VpcId"), "CidrBlockAssociation": vpc_block::shown(Some(&id), block.as_deref(), "associating"),
    }))
}

pub async fn disassociate_block(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let id = call.text("AssociationId").unwrap_or_default();
    if VPCS
        .find(cx, |vpc| vpc.computed("Association").as_ref() == Some(&id))?
        .is_some()
    {
        let reason = format!(
            "The vpc CIDR block with association ID {id} may not be disassociated. It is the primary IPv4 CIDR block of the VPC"
        );
        return Err(AwsError::new("OperationNotPermitted", reason));
    }
    let Some(block) = VPC_BLOCKS.get(cx, &id)? else {
        let reason = format!("The vpc CIDR block association ID '{id}' does not exist");
        return Err(AwsError::new("InvalidVpcCidrBlockAssociationIdError.NotFound", reason));
    };
    cx.delete_resource("AWS::EC2::VPCCidrBlock", &id).await?;
    let shown = vpc_block::shown(Some(&id), block.text("CidrBlock").as_deref(), "disassociating");
    Ok(json!({"VpcId": block.text("VpcId"), "CidrBlockAssociation": shown}))
}

/// "You can modify the instance tenancy attribute of a VPC to `default` only" (`ModifyVpcTenancy`).
pub async fn modify_tenancy(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    update(cx, call, "AWS::EC2::VPC", "VpcId", |properties| {
        properties.insert("InstanceTenancy".into(), call.text("InstanceTenancy").into());
        Ok(())
    })
    .await?;
    Ok(json!({"ReturnValue": true}))
}

pub async fn attach(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let properties = json!({"VpcId": call.text("VpcId"), "InternetGatewayId": call.text("InternetGatewayId")});
    cx.create_resource("AWS::EC2::VPCGatewayAttachment", properties).await?;
    Ok(json!({}))
}

pub async fn detach(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let gateway = model::internet_gateway(cx, &call.text("InternetGatewayId").unwrap_or_default())?;
    let vpc = model::vpc(cx, &call.text("VpcId").unwrap_or_default())?;
    match gateway::attachment(cx, &gateway.id, &vpc.id)? {
        Some(attachment) => {
            cx.delete_resource("AWS::EC2::VPCGatewayAttachment", &attachment.id)
                .await?;
            Ok(json!({}))
        }
        None => Err(AwsError::new(
            "Gateway.NotAttached",
            format!("resource {} is not attached to network {}", gateway.id, vpc.id),
        )),
    }
}
