//! Internet gateways and their attachments.

use serde_json::{Value, json};

use super::error::{dependency_violation, invalid_parameter, required};
use super::model::{self, EGRESS_ONLY_GATEWAYS, GATEWAY_ATTACHMENTS, INTERNET_GATEWAYS, NAT_GATEWAYS, new_id};
use crate::records::{Record, RecordType, Records};
use crate::{AwsError, Context, Desired, Resource, Schema};

pub struct InternetGateway;

impl RecordType for InternetGateway {
    const TYPE: &'static str = "AWS::EC2::InternetGateway";
    const RECORDS: Records = INTERNET_GATEWAYS;

    fn schema() -> Schema {
        Schema {
            properties: &["Tags"],
            attributes: &["InternetGatewayId"],
            ..Schema::default()
        }
    }

    fn create(_cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        Ok(Record::new(new_id("igw"), desired))
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("InternetGatewayId", record.id.clone())
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        match GATEWAY_ATTACHMENTS.find(cx, |a| a.has("InternetGatewayId", &record.id))? {
            Some(_) => Err(dependency_violation(format!(
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
    const RECORDS: Records = GATEWAY_ATTACHMENTS;

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
        let vpc = model::vpc(cx, &required(&record, "VpcId")?)?;
        if record.text("VpnGatewayId").is_some() {
            return Err(invalid_parameter(
                "The embedded endpoint does not support VPN gateways. Attach an internet gateway.",
            ));
        }
        let gateway = model::internet_gateway(cx, &required(&record, "InternetGatewayId")?)?;
        for other in GATEWAY_ATTACHMENTS.list(cx)? {
            if other.has("InternetGatewayId", &gateway.id) {
                let reason = format!("resource {} is already attached to network {}", gateway.id, vpc.id);
                return Err(AwsError::new("Resource.AlreadyAssociated", reason));
            }
            if other.has("VpcId", &vpc.id) {
                return Err(invalid_parameter(format!(
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
        if NAT_GATEWAYS
            .find(cx, |n| {
                n.computed("VpcId").as_ref() == Some(&vpc) && !n.has("ConnectivityType", "private")
            })?
            .is_some()
        {
            return Err(dependency_violation(format!(
                "Network {vpc} has some mapped public address(es). Please unmap those public address(es) before \
                 detaching the gateway."
            )));
        }
        Ok(())
    }
}

/// Returns the attachment of a gateway to a VPC.
pub fn attachment(cx: &Context, gateway: &str, vpc: &str) -> Result<Option<Record>, AwsError> {
    GATEWAY_ATTACHMENTS.find(cx, |a| a.has("InternetGatewayId", gateway) && a.has("VpcId", vpc))
}

pub fn describe(cx: &Context) -> Result<Vec<Value>, AwsError> {
    let attachments = GATEWAY_ATTACHMENTS.list(cx)?;
    let shown = |gateway: &Record| {
        let of = attachments.iter().filter(|a| a.has("InternetGatewayId", &gateway.id));
        let of: Vec<Value> = of
            .map(|a| json!({"VpcId": a.text("VpcId"), "State": "available"}))
            .collect();
        json!({
            "InternetGatewayId": gateway.id, "OwnerId": cx.account(), "Attachments": of, "Tags": gateway.tag_list(),
        })
    };
    Ok(INTERNET_GATEWAYS.list(cx)?.iter().map(shown).collect())
}

/// An egress-only internet gateway: kept and given back. No subnet of this endpoint has an IPv6 block that it could serve.
pub struct EgressOnly;

impl RecordType for EgressOnly {
    const TYPE: &'static str = "AWS::EC2::EgressOnlyInternetGateway";
    const RECORDS: Records = EGRESS_ONLY_GATEWAYS;

    fn schema() -> Schema {
        Schema {
            properties: &["VpcId", "Tags"],
            required: &["VpcId"],
            create_only: &["VpcId"],
            attributes: &["Id"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let record = Record::new(new_id("eigw"), desired);
        model::vpc(cx, &required(&record, "VpcId")?)?;
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Id", record.id.clone())
    }
}

pub fn describe_egress_only(cx: &Context) -> Result<Vec<Value>, AwsError> {
    let shown = |gateway: &Record| {
        let attachment = json!({"State": "attached", "VpcId": gateway.text("VpcId")});
        json!({"EgressOnlyInternetGatewayId": gateway.id, "Attachments": [attachment], "Tags": gateway.tag_list()})
    };
    Ok(EGRESS_ONLY_GATEWAYS.list(cx)?.iter().map(shown).collect())
}
