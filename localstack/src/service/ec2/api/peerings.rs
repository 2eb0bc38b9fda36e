//! VPC peering connections.

use serde_json::{Value, json};

use super::super::error::dependency_violation;
use super::super::model::{PEERINGS, ROUTES};
use super::super::peering::{self, OPTIONS, Peering, STATUS};
use super::input;
use crate::records::{Record, RecordType, WriteLock};
use crate::service::Call;
use crate::{AwsError, Context};

pub async fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let members = ["VpcId", "PeerVpcId", "PeerOwnerId", "PeerRegion"];
    let properties = input::properties(call, "vpc-peering-connection", &members, &[])?;
    let id = cx.create_resource(Peering::TYPE, properties.into()).await?.physical_id;
    let mut shown = peering::shown(cx, &find(cx, &id)?)?;
    if shown["Status"]["Code"] == "pending-acceptance" {
        // The answer shows the first status; the connection waits for its acceptance a moment later.
        shown["Status"] =
            json!({"Code": "initiating-request", "Message": format!("Initiating Request to {}", cx.account())});
    }
    Ok(json!({"VpcPeeringConnection": shown}))
}

fn find(cx: &Context, id: &str) -> Result<Record, AwsError> {
    let reason = format!("The vpcPeeringConnection ID '{id}' does not exist");
    PEERINGS
        .get(cx, id)?
        .ok_or_else(|| AwsError::new("InvalidVpcPeeringConnectionID.NotFound", reason))
}

/// Accepts, rejects or deletes a connection, or changes its options. Rejected and deleted ones stay visible.
pub fn change(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let mut peering = find(cx, &call.text("VpcPeeringConnectionId").unwrap_or_default())?;
    let status = peering.computed(STATUS).unwrap_or_default();
    let (before, after): (&[&str], _) = match call.operation.as_str() {
        "AcceptVpcPeeringConnection" => (&["pending-acceptance"], "active"),
        "RejectVpcPeeringConnection" => (&["pending-acceptance"], "rejected"),
        "DeleteVpcPeeringConnection" => (&["pending-acceptance", "active", "failed"], "deleted"),
        _ => (&["active"], "active"),
    };
    if !before.contains(&status.as_str()) {
        let reason = format!(
            "Invalid state transition for {}, attempted to transition from {status} to {after}",
            peering.id
        );
        return Err(AwsError::new("InvalidStateTransition", reason));
    }
    if after == "deleted"
        && let Some(route) = ROUTES.find(cx, |route| route.has("VpcPeeringConnectionId", &peering.id))?
    {
        return Err(dependency_violation(format!(
            "{} is the target of the route {}",
            peering.id, route.id
        )));
    }
    peering.computed.insert(STATUS.into(), after.into());
    let mut changed = json!({});
    for side in OPTIONS {
        let Some(given) = call.input.get(side) else { continue };
        let allowed = given["AllowDnsResolutionFromRemoteVpc"] == "true";
        if [
            "AllowEgressFromLocalClassicLinkToRemoteVpc",
            "AllowEgressFromLocalVpcToRemoteClassicLink",
        ]
        .iter()
        .any(|option| given[*option] == "true")
        {
            return Err(AwsError::new(
                "InvalidParameterValue",
                "ClassicLink is no longer available.",
            ));
        }
        let options = json!({"AllowDnsResolutionFromRemoteVpc": allowed});
        changed[side] = options.clone();
        peering.computed.insert(side.into(), options);
    }
    PEERINGS.put(cx, &peering)?;
    Ok(match call.operation.as_str() {
        "AcceptVpcPeeringConnection" => json!({"VpcPeeringConnection": peering::shown(cx, &peering)?}),
        "ModifyVpcPeeringConnectionOptions" => changed,
        _ => json!({"Return": true}),
    })
}
