//! Internet gateways and their attachments.

use serde_json::{Value, json};

use super::ids::{self, existing, in_use, invalid, required};
use super::{nat, route, vpc};
use crate::records::{Record, RecordType, Records};
use crate::{AwsError, Context, Desired, Resource, Schema};

pub const GATEWAYS: Records = Records("ec2.internet-gateways");
pub const ATTACHMENTS: Records = Records("ec2.gateway-attachments");

pub struct InternetGateway;

impl RecordType for InternetGateway {
    const TYPE: &'static str = "AWS::EC2::InternetGateway";
    const RECORDS: Records = GATEWAYS;

    fn schema() -> Schema {
        Schema {
            properties: &["Tags"],
            attributes: &["InternetGatewayId"],
            ..Schema::default()
        }
    }

    fn create(_cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        Ok(Record::new(ids::new("igw"), desired))
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("InternetGatewayId", record.id.clone())
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        match ATTACHMENTS.find(cx, |a| a.has("InternetGatewayId", &record.id))? {
            Some(_) => Err(in_use(format!(
                "The internetGateway '{}' has dependencies and cannot be deleted.",
                record.id
            ))),
            None => Ok(()),
        }
    }
}

pub struct Attachment;

impl RecordType for Attachment {
    const TYPE: &'static str = "AWS::EC2::VPCGatewayAttachment";
    const RECORDS: Records = ATTACHMENTS;

    fn schema() -> Schema {
        Schema {
            properties: &["VpcId", "InternetGatewayId", "VpnGatewayId"],
            required: &["VpcId"],
            create_only: &["VpcId", "InternetGatewayId", "VpnGatewayId"],
            attributes: &["AttachmentType"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        let vpc = vpc::named(cx, &required(&record, "VpcId")?)?;
        if record.text("VpnGatewayId").is_some() {
            return Err(invalid("VPN gateways do not exist here: attach an internet gateway."));
        }
        let gateway = named(cx, &required(&record, "InternetGatewayId")?)?;
        for other in ATTACHMENTS.list(cx)? {
            if other.has("InternetGatewayId", &gateway.id) {
                let reason = format!("resource {} is already attached to network {}", gateway.id, vpc.id);
                return Err(AwsError::new("Resource.AlreadyAssociated", reason));
            }
            if other.has("VpcId", &vpc.id) {
                return Err(invalid(format!(
                    "Network {} already has an internet gateway attached",
                    vpc.id
                )));
            }
        }
        record.id = format!("IGW|{}", vpc.id);
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("AttachmentType", "IGW")
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        let vpc = record.text("VpcId").unwrap_or_default();
        if nat::GATEWAYS
            .find(cx, |n| {
                n.computed("VpcId").as_ref() == Some(&vpc) && !n.has("ConnectivityType", "private")
            })?
            .is_some()
        {
            return Err(in_use(format!(
                "Network {vpc} has some mapped public address(es). Please unmap those public address(es) before \
                 detaching the gateway."
            )));
        }
        Ok(())
    }
}

pub fn named(cx: &Context, id: &str) -> Result<Record, AwsError> {
    existing(cx, GATEWAYS, "internetGateway", "InvalidInternetGatewayID", id)
}

/// Whether the gateway is attached to the VPC; a route needs it to be.
pub fn attached(cx: &Context, gateway: &str, vpc: &str) -> Result<(), AwsError> {
    named(cx, gateway)?;
    match ATTACHMENTS.find(cx, |a| a.has("InternetGatewayId", gateway) && a.has("VpcId", vpc))? {
        Some(_) => Ok(()),
        None => Err(invalid(format!(
            "route table of network {vpc} and network gateway {gateway} belong to different networks: the gateway is \
             not attached (yet); a route needs DependsOn its AWS::EC2::VPCGatewayAttachment"
        ))),
    }
}

pub fn describe(cx: &Context) -> Result<Vec<Value>, AwsError> {
    let attachments = ATTACHMENTS.list(cx)?;
    let shown = |gateway: &Record| {
        let of = attachments.iter().filter(|a| a.has("InternetGatewayId", &gateway.id));
        let of: Vec<Value> = of
            .map(|a| json!({"VpcId": a.text("VpcId"), "State": "available"}))
            .collect();
        json!({
            "InternetGatewayId": gateway.id, "OwnerId": cx.account(), "Attachments": of, "Tags": gateway.tag_list(),
        })
    };
    Ok(GATEWAYS.list(cx)?.iter().map(shown).collect())
}

/// Route targets that this endpoint keeps, each checked as it is named.
pub fn check_target(cx: &Context, route: &Record, vpc: &str) -> Result<(), AwsError> {
    if let Some(gateway) = route.text("GatewayId") {
        return attached(cx, &gateway, vpc);
    }
    if let Some(nat) = route.text("NatGatewayId") {
        return nat::named(cx, &nat).map(drop);
    }
    let known = route::TARGETS.join(", ");
    Err(invalid(format!(
        "A route needs one target; this endpoint knows {known}."
    )))
}
