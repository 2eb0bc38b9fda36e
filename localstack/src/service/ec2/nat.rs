//! Elastic IP addresses and NAT gateways. They translate nothing: tasks use the machine's own network.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::error::{dependency_violation, required};
use super::model::{self, ADDRESSES, GATEWAY_ATTACHMENTS, NAT_GATEWAYS, ROUTES, new_id};
use super::{cidr, interface};
use crate::records::{Record, RecordType, Records, iso};
use crate::{AwsError, Context, Desired, Resource, Schema};

pub struct Eip;

impl RecordType for Eip {
    const TYPE: &'static str = "AWS::EC2::EIP";
    const RECORDS: Records = ADDRESSES;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "Domain",
                "InstanceId",
                "NetworkBorderGroup",
                "PublicIpv4Pool",
                "TransferAddress",
                "Tags",
            ],
            create_only: &["Domain", "NetworkBorderGroup", "TransferAddress"],
            attributes: &["AllocationId", "PublicIp"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        // TEST-NET-3 (RFC 5737): addresses that are never assigned.
        let taken: Vec<String> = ADDRESSES.list(cx)?.into_iter().map(|address| address.id).collect();
        let free = (1..255)
            .map(|n| Ipv4Addr::new(203, 0, 113, n).to_string())
            .find(|ip| !taken.contains(ip));
        let full = || {
            AwsError::new(
                "AddressLimitExceeded",
                "The maximum number of addresses has been reached.",
            )
        };
        let mut record = Record::new(free.ok_or_else(full)?, desired);
        record.computed.insert("AllocationId".into(), new_id("eipalloc").into());
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id)
            .with("PublicIp", record.id.clone())
            .with("AllocationId", record.computed("AllocationId").unwrap_or_default())
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        let allocation = record.computed("AllocationId").unwrap_or_default();
        if let Some(association) = interface::association_of(cx, &record.id)? {
            let reason = format!("Address {} is in use by {}.", record.id, association.id);
            return Err(AwsError::new("InvalidIPAddress.InUse", reason));
        }
        match NAT_GATEWAYS.find(cx, |n| n.has("AllocationId", &allocation))? {
            Some(nat) => {
                let reason = format!("Address {} is in use by {}.", record.id, nat.id);
                Err(AwsError::new("InvalidIPAddress.InUse", reason))
            }
            None => Ok(()),
        }
    }
}

pub struct NatGateway;

impl RecordType for NatGateway {
    const TYPE: &'static str = "AWS::EC2::NatGateway";
    const RECORDS: Records = NAT_GATEWAYS;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "SubnetId",
                "AllocationId",
                "ConnectivityType",
                "MaxDrainDurationSeconds",
                "PrivateIpAddress",
                "SecondaryAllocationIds",
                "SecondaryPrivateIpAddresses",
                "SecondaryPrivateIpAddressCount",
                "Tags",
            ],
            create_only: &["SubnetId", "AllocationId", "ConnectivityType", "PrivateIpAddress"],
            required: &["SubnetId"],
            attributes: &["NatGatewayId"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new(new_id("nat"), desired);
        let subnet = model::subnet(cx, &required(&record, "SubnetId")?)?;
        let vpc = required(&subnet, "VpcId")?;
        if !record.has("ConnectivityType", "private") {
            let allocation = required(&record, "AllocationId")?;
            let address = model::address(cx, &allocation)?;
            if let Some(other) = NAT_GATEWAYS.find(cx, |n| n.has("AllocationId", &allocation))? {
                let reason = format!(
                    "Elastic IP address [{allocation}] is already associated with {}",
                    other.id
                );
                return Err(AwsError::new("Resource.AlreadyAssociated", reason));
            }
            if GATEWAY_ATTACHMENTS.find(cx, |a| a.has("VpcId", &vpc))?.is_none() {
                let reason = format!("Network {vpc} has no Internet gateway attached");
                return Err(AwsError::new("Gateway.NotAttached", reason));
            }
            record.computed.insert("PublicIp".into(), address.id.into());
        }
        let block = model::block(&subnet)?;
        let offset = 4 + u32::try_from(NAT_GATEWAYS.list(cx)?.len() % 8).unwrap_or_default();
        let private = record
            .text("PrivateIpAddress")
            .unwrap_or_else(|| cidr::address_at(block, offset));
        record.computed.insert("PrivateIp".into(), private.into());
        record.computed.insert("VpcId".into(), vpc.into());
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("NatGatewayId", record.id.clone())
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        // AWS keeps such routes as black holes. A stack deletes them before the gateway.
        match ROUTES.find(cx, |r| r.has("NatGatewayId", &record.id))? {
            Some(route) => Err(dependency_violation(format!(
                "The NAT gateway {} is the target of the route {}",
                record.id, route.id
            ))),
            None => Ok(()),
        }
    }
}

pub fn describe_addresses(cx: &Context) -> Result<Vec<Value>, AwsError> {
    let shown = |address: &Record| -> Result<Value, AwsError> {
        let mut shown = json!({
            "PublicIp": address.id, "AllocationId": address.computed("AllocationId"), "Domain": "vpc",
            "NetworkBorderGroup": cx.region(), "PublicIpv4Pool": "amazon", "Tags": address.tag_list(),
        });
        if let Some(association) = interface::association_of(cx, &address.id)? {
            shown["AssociationId"] = association.id.clone().into();
            shown["NetworkInterfaceId"] = association.text("NetworkInterfaceId").into();
            shown["NetworkInterfaceOwnerId"] = cx.account().into();
            shown["PrivateIpAddress"] = association.computed("PrivateIpAddress").into();
        }
        Ok(shown)
    };
    ADDRESSES.list(cx)?.iter().map(shown).collect()
}

/// Returns the addresses as `DescribeAddressesAttribute` shows them: none has a reverse DNS name.
pub fn describe_attributes(cx: &Context) -> Result<Vec<Value>, AwsError> {
    let shown = |address: Record| json!({"PublicIp": address.id, "AllocationId": address.computed("AllocationId")});
    Ok(ADDRESSES.list(cx)?.into_iter().map(shown).collect())
}

pub fn describe(cx: &Context) -> Result<Vec<Value>, AwsError> {
    let shown = |nat: &Record| {
        json!({
            "NatGatewayId": nat.id, "SubnetId": nat.text("SubnetId"), "VpcId": nat.computed("VpcId"),
            "State": "available", "CreateTime": iso(nat.created), "Tags": nat.tag_list(),
            "ConnectivityType": nat.text("ConnectivityType").unwrap_or_else(|| "public".into()),
            "NatGatewayAddresses": [{
                "AllocationId": nat.text("AllocationId"), "PublicIp": nat.computed("PublicIp"),
                "PrivateIp": nat.computed("PrivateIp"), "IsPrimary": true, "Status": "succeeded",
            }],
        })
    };
    Ok(NAT_GATEWAYS.list(cx)?.iter().map(shown).collect())
}
