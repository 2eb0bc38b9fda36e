//! `AWS::EC2::VPCCidrBlock`: the IPv4 blocks that a VPC has besides its first one.

use ipnet::Ipv4Net;
use serde_json::{Value, json};

use super::cidr;
use super::error::{dependency_violation, invalid_parameter, required};
use super::model::{self, SUBNETS, VPC_BLOCKS, new_id};
use crate::records::{Record, RecordType, Records};
use crate::{AwsError, Context, Desired, Resource, Schema};

/// "IPv4 CIDR blocks per VPC" (Amazon VPC User Guide, "Amazon VPC quotas").
const MAX_BLOCKS: usize = 5;

pub struct VpcBlock;

impl RecordType for VpcBlock {
    const TYPE: &'static str = "AWS::EC2::VPCCidrBlock";
    const RECORDS: Records = VPC_BLOCKS;

    fn schema() -> Schema {
        Schema {
            properties: &["VpcId", "CidrBlock"],
            required: &["VpcId"],
            create_only: &["VpcId", "CidrBlock"],
            attributes: &["Id", "VpcId"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let record = Record::new(new_id("vpc-cidr-assoc"), desired);
        let vpc = model::vpc(cx, &required(&record, "VpcId")?)?;
        let block = model::block(&record)?;
        if !(16..=28).contains(&block.prefix_len()) {
            return Err(AwsError::new(
                "InvalidVpc.Range",
                format!("The CIDR '{block}' is invalid."),
            ));
        }
        let existing = blocks(cx, &vpc)?;
        if existing.len() >= MAX_BLOCKS {
            let reason = format!(
                "This network {} has met its maximum number of allowed CIDRs: {MAX_BLOCKS}",
                vpc.id
            );
            return Err(AwsError::new("CidrLimitExceeded", reason));
        }
        if let Some(other) = existing.into_iter().find(|other| cidr::overlap(*other, block)) {
            return Err(invalid_parameter(format!(
                "The CIDR '{block}' conflicts with {other}, another CIDR of the VPC"
            )));
        }
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id)
            .with("Id", record.id.clone())
            .with("VpcId", record.text("VpcId").unwrap_or_default())
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        let (vpc, block) = (required(record, "VpcId")?, model::block(record)?);
        let inside =
            |subnet: &Record| subnet.has("VpcId", &vpc) && model::block(subnet).is_ok_and(|own| block.contains(&own));
        match SUBNETS.find(cx, inside)? {
            Some(subnet) => Err(dependency_violation(format!(
                "The vpc CIDR block with association ID {} has dependencies and cannot be disassociated: {}",
                record.id, subnet.id
            ))),
            None => Ok(()),
        }
    }
}

/// Returns all IPv4 blocks of a VPC, its first one first.
pub fn blocks(cx: &Context, vpc: &Record) -> Result<Vec<Ipv4Net>, AwsError> {
    let mut blocks = vec![model::block(vpc)?];
    for other in of_vpc(cx, &vpc.id)? {
        blocks.push(model::block(&other)?);
    }
    Ok(blocks)
}

/// Returns the blocks that were added to a VPC, oldest first.
pub fn of_vpc(cx: &Context, vpc: &str) -> Result<Vec<Record>, AwsError> {
    let mut found = VPC_BLOCKS.list(cx)?;
    found.retain(|block| block.has("VpcId", vpc));
    found.sort_by_key(|block| block.created);
    Ok(found)
}

/// Returns an association as the API shows it, with a state.
pub fn shown(id: Option<&str>, block: Option<&str>, state: &str) -> Value {
    json!({"AssociationId": id, "CidrBlock": block, "CidrBlockState": {"State": state}})
}
