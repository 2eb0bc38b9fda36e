//! Routes, and the associations of route tables.

use serde_json::{Value, json};

use super::super::cidr;
use super::super::error::{invalid_parameter, required};
use super::super::model::{self, ROUTE_TABLE_ASSOCIATIONS, ROUTE_TABLES, VPCS, new_id};
use super::input;
use crate::records::WriteLock;
use crate::service::Call;
use crate::{AwsError, Context};

const ROUTE: &str = "AWS::EC2::Route";
const ASSOCIATION: &str = "AWS::EC2::SubnetRouteTableAssociation";
const TARGETS: [&str; 4] = [
    "GatewayId",
    "NatGatewayId",
    "VpcPeeringConnectionId",
    "NetworkInterfaceId",
];
const MEMBERS: [&str; 6] = [
    "RouteTableId",
    "DestinationCidrBlock",
    TARGETS[0],
    TARGETS[1],
    TARGETS[2],
    TARGETS[3],
];

pub async fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let properties = input::properties(call, "", &MEMBERS, &[])?;
    destination(cx, call)?;
    cx.create_resource(ROUTE, properties.into()).await?;
    Ok(json!({"Return": true}))
}

pub async fn replace(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let given = input::properties(call, "", &MEMBERS, &[("LocalTarget", "false")])?;
    let id = destination(cx, call)?;
    let replaced = cx.update_resource(ROUTE, &id, |properties| {
        properties.retain(|name, _| !TARGETS.contains(&name.as_str()));
        properties.extend(given);
        Ok(())
    });
    match replaced.await? {
        Some(_) => Ok(json!({})),
        // As AWS answers (moto's tests of ReplaceRoute record it).
        None => Err(no_route(&id)),
    }
}

pub async fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    input::properties(call, "", &MEMBERS, &[])?;
    let id = destination(cx, call)?;
    if cx.delete_resource(ROUTE, &id).await? {
        Ok(json!({}))
    } else {
        Err(no_route(&id))
    }
}

fn no_route(id: &str) -> AwsError {
    let (table, destination) = id.split_once('|').unwrap_or_default();
    let reason = format!("no route with destination-cidr-block {destination} in route table {table}");
    AwsError::new("InvalidRoute.NotFound", reason)
}

/// Returns the ID of the route that a call names, which must not be the local one.
fn destination(cx: &Context, call: &Call) -> Result<String, AwsError> {
    let table = model::route_table(cx, &call.text("RouteTableId").unwrap_or_default())?;
    let given = call.text("DestinationCidrBlock");
    let missing = || {
        AwsError::new(
            "MissingParameter",
            "The request must contain the parameter destinationCidrBlock",
        )
    };
    let block = cidr::parse(&given.ok_or_else(missing)?).map_err(|error| invalid_parameter(error.to_string()))?;
    if table.computed("Local") == Some(block.to_string()) {
        let reason = format!(
            "cannot change or remove local route {block} in route table {}",
            table.id
        );
        return Err(invalid_parameter(reason));
    }
    Ok(format!("{}|{block}", table.id))
}

pub async fn associate(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let properties = input::properties(call, "", &["RouteTableId", "SubnetId"], &[])?;
    let table = model::route_table(cx, &call.text("RouteTableId").unwrap_or_default())?;
    let subnet = call.text("SubnetId").unwrap_or_default();
    if let Some(other) = ROUTE_TABLE_ASSOCIATIONS.find(cx, |one| one.has("SubnetId", &subnet))? {
        if other.has("RouteTableId", &table.id) {
            return Ok(associated("AssociationId", &other.id));
        }
        let reason = format!(
            "the specified association for route table {} conflicts with an existing association",
            table.id
        );
        return Err(AwsError::new("Resource.AlreadyAssociated", reason));
    }
    let created = cx.create_resource(ASSOCIATION, properties.into()).await?;
    Ok(associated("AssociationId", &created.physical_id))
}

pub async fn disassociate(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let id = call.text("AssociationId").unwrap_or_default();
    if cx.delete_resource(ASSOCIATION, &id).await? {
        return Ok(json!({}));
    }
    match ROUTE_TABLES.find(cx, |table| table.computed("Main").as_deref() == Some(&id))? {
        Some(table) => Err(invalid_parameter(format!(
            "cannot disassociate the main route table association {id} of {}",
            table.id
        ))),
        None => Err(no_association(&id)),
    }
}

/// Moves a subnet to another route table, or makes another table the main one of its VPC.
pub async fn replace_association(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let id = call.text("AssociationId").unwrap_or_default();
    let table = model::route_table(cx, &call.text("RouteTableId").unwrap_or_default())?;
    if let Some(old) = ROUTE_TABLE_ASSOCIATIONS.get(cx, &id)? {
        let properties = json!({"RouteTableId": table.id, "SubnetId": old.text("SubnetId")});
        // The type deletes the old association: the newest of a subnet is in effect.
        let created = cx.create_resource(ASSOCIATION, properties).await?;
        return Ok(associated("NewAssociationId", &created.physical_id));
    }
    replace_main(cx, &id, &table.id).map(|id| associated("NewAssociationId", &id))
}

fn replace_main(cx: &Context, id: &str, table: &str) -> Result<String, AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let old = ROUTE_TABLES.find(cx, |table| table.computed("Main").as_deref() == Some(id))?;
    let mut old = old.ok_or_else(|| no_association(id))?;
    let mut table = model::route_table(cx, table)?;
    let mut vpc = model::vpc(cx, &required(&old, "VpcId")?)?;
    if !table.has("VpcId", &vpc.id) {
        let reason = format!("route table {} does not belong to network {}", table.id, vpc.id);
        return Err(invalid_parameter(reason));
    }
    if table.id == old.id {
        return Ok(id.to_owned());
    }
    let new = new_id("rtbassoc");
    old.computed.shift_remove("Main");
    table.computed.insert("Main".into(), new.clone().into());
    vpc.computed.insert("MainRouteTable".into(), table.id.clone().into());
    ROUTE_TABLES.put(cx, &old)?;
    ROUTE_TABLES.put(cx, &table)?;
    VPCS.put(cx, &vpc)?;
    Ok(new)
}

fn associated(member: &str, id: &str) -> Value {
    json!({ member: id, "AssociationState": {"State": "associated"} })
}

fn no_association(id: &str) -> AwsError {
    let reason = format!("The association ID '{id}' does not exist");
    AwsError::new("InvalidAssociationID.NotFound", reason)
}
