//! VPC peering connections between VPCs of this endpoint. They are kept, and can be the targets of routes; tasks reach each other anyway.

use serde_json::{Value, json};

use super::cidr;
use super::error::{dependency_violation, invalid_parameter, required};
use super::model::{self, PEERINGS, ROUTES, VPCS, new_id};
use super::vpc_block;
use crate::records::{Record, RecordType, Records};
use crate::{AwsError, Context, Desired, Resource, Schema};

/// The computed value with the status.
pub const STATUS: &str = "Status";
/// The computed values with the options of both sides.
pub const OPTIONS: [&str; 2] = ["AccepterPeeringConnectionOptions", "RequesterPeeringConnectionOptions"];

pub struct Peering;

impl RecordType for Peering {
    const TYPE: &'static str = "AWS::EC2::VPCPeeringConnection";
    const RECORDS: Records = PEERINGS;

    fn schema() -> Schema {
        Schema {
            properties: &["VpcId", "PeerVpcId", "PeerOwnerId", "PeerRegion", "PeerRoleArn", "Tags"],
            required: &["VpcId", "PeerVpcId"],
            create_only: &["VpcId", "PeerVpcId", "PeerOwnerId", "PeerRegion", "PeerRoleArn"],
            attributes: &["Id"],
            ..Schema::default()
        }
    }

    /// A connection of a stack is accepted at once, as CloudFormation does within an account; one of the API waits.
    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new(new_id("pcx"), desired);
        for (member, own) in [("PeerOwnerId", cx.account()), ("PeerRegion", cx.region())] {
            if let Some(other) = record.text(member).filter(|given| given != own) {
                let reason = format!("The embedded endpoint has no VPCs with {member} {other}.");
                return Err(invalid_parameter(reason));
            }
        }
        let vpc = model::vpc(cx, &required(&record, "VpcId")?)?;
        let peer = model::vpc(cx, &required(&record, "PeerVpcId")?)?;
        let (own, others) = (vpc_block::blocks(cx, &vpc)?, vpc_block::blocks(cx, &peer)?);
        let overlaps = own
            .iter()
            .any(|one| others.iter().any(|other| cidr::overlap(*one, *other)));
        // "You cannot create a VPC peering connection between VPCs that have matching or overlapping CIDR blocks": it fails.
        let status = match (overlaps, desired.stack_id.is_empty()) {
            (true, _) => "failed",
            (false, true) => "pending-acceptance",
            (false, false) => "active",
        };
        record.computed.insert(STATUS.into(), status.into());
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Id", record.id.clone())
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        match ROUTES.find(cx, |route| route.has("VpcPeeringConnectionId", &record.id))? {
            Some(route) => Err(dependency_violation(format!(
                "{} is the target of the route {}",
                record.id, route.id
            ))),
            None => Ok(()),
        }
    }
}

/// Returns one connection as the API shows it.
pub fn shown(cx: &Context, peering: &Record) -> Result<Value, AwsError> {
    let status = peering.computed(STATUS).unwrap_or_default();
    let message = match status.as_str() {
        "active" => "Active".to_owned(),
        "rejected" => format!("Rejected by {}", cx.account()),
        "deleted" => format!("Deleted by {}", cx.account()),
        "failed" => "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range".to_owned(),
        _ => format!("Pending Acceptance by {}", cx.account()),
    };
    let side = |member: &str, options: &str| -> Result<Value, AwsError> {
        let id = required(peering, member)?;
        let block = VPCS.get(cx, &id)?.and_then(|vpc| vpc.text("CidrBlock"));
        let given = peering.computed.get(options);
        let option = |name: &str| {
            given
                .and_then(|given| given.get(name))
                .cloned()
                .unwrap_or_else(|| false.into())
        };
        Ok(json!({
            "VpcId": id, "OwnerId": cx.account(), "Region": cx.region(), "CidrBlock": block,
            "CidrBlockSet": [{"CidrBlock": block}],
            "PeeringOptions": {"AllowDnsResolutionFromRemoteVpc": option("AllowDnsResolutionFromRemoteVpc"),
                "AllowEgressFromLocalClassicLinkToRemoteVpc": false, "AllowEgressFromLocalVpcToRemoteClassicLink": false},
        }))
    };
    Ok(json!({
        "VpcPeeringConnectionId": peering.id, "Status": {"Code": status, "Message": message}, "Tags": peering.tag_list(),
        "RequesterVpcInfo": side("VpcId", OPTIONS[1])?, "AccepterVpcInfo": side("PeerVpcId", OPTIONS[0])?,
    }))
}

pub fn describe(cx: &Context) -> Result<Vec<Value>, AwsError> {
    PEERINGS.list(cx)?.iter().map(|peering| shown(cx, peering)).collect()
}
