//! Route tables, their routes and their associations with subnets.

use serde_json::{Value, json};

use super::cidr;
use super::error::{dependency_violation, invalid_parameter, required};
use super::model::{
    self, GATEWAY_ATTACHMENTS, PEERINGS, ROUTE_TABLE_ASSOCIATIONS, ROUTE_TABLES, ROUTES, VPC_BLOCKS, new_id,
};
use crate::records::{Record, RecordType, Records};
use crate::{AwsError, Context, Desired, Resource, Schema};

/// The properties of a route's target that this endpoint supports.
const TARGETS: [&str; 4] = [
    "GatewayId",
    "NatGatewayId",
    "VpcPeeringConnectionId",
    "NetworkInterfaceId",
];

pub struct RouteTable;

impl RecordType for RouteTable {
    const TYPE: &'static str = "AWS::EC2::RouteTable";
    const RECORDS: Records = ROUTE_TABLES;

    fn schema() -> Schema {
        Schema {
            properties: &["VpcId", "Tags"],
            required: &["VpcId"],
            create_only: &["VpcId"],
            attributes: &["RouteTableId"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new(new_id("rtb"), desired);
        let vpc = model::vpc(cx, &required(&record, "VpcId")?)?;
        record
            .computed
            .insert("Local".into(), model::block(&vpc)?.to_string().into());
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("RouteTableId", record.id.clone())
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        let association = ROUTE_TABLE_ASSOCIATIONS.find(cx, |a| a.has("RouteTableId", &record.id))?;
        if association.is_some() || record.computed.contains_key("Main") {
            return Err(dependency_violation(format!(
                "The routeTable '{}' has dependencies and cannot be deleted.",
                record.id
            )));
        }
        delete_routes(cx, &record.id)
    }
}

/// Deletes the routes of a table.
pub fn delete_routes(cx: &Context, table: &str) -> Result<(), AwsError> {
    for route in ROUTES.list(cx)?.iter().filter(|route| route.has("RouteTableId", table)) {
        ROUTES.delete(cx, &route.id)?;
    }
    Ok(())
}

pub struct Route;

impl RecordType for Route {
    const TYPE: &'static str = "AWS::EC2::Route";
    const RECORDS: Records = ROUTES;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "RouteTableId",
                "DestinationCidrBlock",
                "DestinationIpv6CidrBlock",
                "DestinationPrefixListId",
                "GatewayId",
                "NatGatewayId",
                "CarrierGatewayId",
                "CoreNetworkArn",
                "EgressOnlyInternetGatewayId",
                "InstanceId",
                "LocalGatewayId",
                "NetworkInterfaceId",
                "TransitGatewayId",
                "VpcEndpointId",
                "VpcPeeringConnectionId",
            ],
            required: &["RouteTableId"],
            create_only: &[
                "RouteTableId",
                "DestinationCidrBlock",
                "DestinationIpv6CidrBlock",
                "DestinationPrefixListId",
            ],
            attributes: &["CidrBlock"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        let table = model::route_table(cx, &required(&record, "RouteTableId")?)?;
        let destination = cidr::parse(&required(&record, "DestinationCidrBlock")?)
            .map_err(|error| invalid_parameter(error.to_string()))?;
        check_target(cx, &record, &required(&table, "VpcId")?)?;
        record.id = format!("{}|{destination}", table.id);
        if ROUTES.get(cx, &record.id)?.is_some() {
            let reason = format!("The route identified by {destination} already exists.");
            return Err(AwsError::new("RouteAlreadyExists", reason));
        }
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("CidrBlock", record.text("DestinationCidrBlock").unwrap_or_default())
    }

    fn update(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        let table = model::route_table(cx, &required(record, "RouteTableId")?)?;
        check_target(cx, record, &required(&table, "VpcId")?)
    }
}

pub struct Association;

impl RecordType for Association {
    const TYPE: &'static str = "AWS::EC2::SubnetRouteTableAssociation";
    const RECORDS: Records = ROUTE_TABLE_ASSOCIATIONS;

    fn schema() -> Schema {
        Schema {
            properties: &["RouteTableId", "SubnetId"],
            required: &["RouteTableId", "SubnetId"],
            create_only: &["RouteTableId", "SubnetId"],
            attributes: &["Id"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let record = Record::new(new_id("rtbassoc"), desired);
        let table = model::route_table(cx, &required(&record, "RouteTableId")?)?;
        let subnet = model::subnet(cx, &required(&record, "SubnetId")?)?;
        if table.text("VpcId") != subnet.text("VpcId") {
            let reason = format!(
                "Route table {} and subnet {} belong to different networks",
                table.id, subnet.id
            );
            return Err(invalid_parameter(reason));
        }
        // A stack that moves a subnet to another table creates the new association before it deletes the old one. In EC2
        // the newest association is in effect.
        for old in ROUTE_TABLE_ASSOCIATIONS
            .list(cx)?
            .iter()
            .filter(|old| old.has("SubnetId", &subnet.id))
        {
            ROUTE_TABLE_ASSOCIATIONS.delete(cx, &old.id)?;
        }
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Id", record.id.clone())
    }
}

/// Checks that a route has one supported target, and that the target exists.
fn check_target(cx: &Context, route: &Record, vpc: &str) -> Result<(), AwsError> {
    if let Some(gateway) = route.text("GatewayId") {
        return check_attached(cx, &gateway, vpc);
    }
    if let Some(nat) = route.text("NatGatewayId") {
        return model::nat_gateway(cx, &nat).map(drop);
    }
    if let Some(peering) = route.text("VpcPeeringConnectionId") {
        // The route to a connection that waits for its acceptance is a black hole (VPC Peering Guide, "Update your route tables").
        let known = PEERINGS.get(cx, &peering)?.and_then(|known| known.computed("Status"));
        let active = known.is_some_and(|status| ["active", "pending-acceptance"].contains(&status.as_str()));
        let reason = format!("The vpcPeeringConnection ID '{peering}' does not exist or is not active");
        return if active {
            Ok(())
        } else {
            Err(AwsError::new("InvalidVpcPeeringConnectionID.NotFound", reason))
        };
    }
    if let Some(interface) = route.text("NetworkInterfaceId") {
        return model::network_interface(cx, &interface).map(drop);
    }
    Err(invalid_parameter(format!(
        "A route must have one target. The embedded endpoint supports {}.",
        TARGETS.join(" and ")
    )))
}

fn check_attached(cx: &Context, gateway: &str, vpc: &str) -> Result<(), AwsError> {
    model::internet_gateway(cx, gateway)?;
    match GATEWAY_ATTACHMENTS.find(cx, |a| a.has("InternetGatewayId", gateway) && a.has("VpcId", vpc))? {
        Some(_) => Ok(()),
        None => Err(invalid_parameter(format!(
            "route table of network {vpc} and network gateway {gateway} belong to different networks: the gateway is \
             not attached to the VPC (yet). Add a DependsOn on its AWS::EC2::VPCGatewayAttachment to the route."
        ))),
    }
}

/// Creates the main route table of a new VPC and returns its ID.
pub fn create_main(cx: &Context, vpc: &str, block: &str) -> Result<String, AwsError> {
    let mut table = Record::from_properties(new_id("rtb"), json!({"VpcId": vpc}));
    table.computed.insert("Local".into(), block.into());
    table.computed.insert("Main".into(), new_id("rtbassoc").into());
    ROUTE_TABLES.put(cx, &table)?;
    Ok(table.id)
}

pub fn describe(cx: &Context) -> Result<Vec<Value>, AwsError> {
    let (routes, associations) = (ROUTES.list(cx)?, ROUTE_TABLE_ASSOCIATIONS.list(cx)?);
    let (blocks, peerings) = (VPC_BLOCKS.list(cx)?, PEERINGS.list(cx)?);
    let shown = |table: &Record| {
        let more = blocks.iter().filter(|block| block.text("VpcId") == table.text("VpcId"));
        let locals = std::iter::once(table.computed("Local")).chain(more.map(|block| block.text("CidrBlock")));
        let local = |block| json!({"DestinationCidrBlock": block, "GatewayId": "local", "State": "active", "Origin": "CreateRouteTable"});
        let mut all: Vec<Value> = locals.map(local).collect();
        for route in routes.iter().filter(|route| route.has("RouteTableId", &table.id)) {
            let peer = route.text("VpcPeeringConnectionId");
            let peer = peer.and_then(|id| peerings.iter().find(|one| one.id == id));
            let waits = peer.is_some_and(|peer| peer.computed("Status").as_deref() != Some("active"));
            let mut item = json!({"State": if waits { "blackhole" } else { "active" }, "Origin": "CreateRoute"});
            for member in std::iter::once("DestinationCidrBlock").chain(TARGETS) {
                route
                    .text(member)
                    .into_iter()
                    .for_each(|text| item[member] = text.into());
            }
            all.push(item);
        }
        let state = json!({"State": "associated"});
        let of = associations.iter().filter(|a| a.has("RouteTableId", &table.id));
        let mut of: Vec<Value> = of
            .map(|a| {
                json!({
                    "RouteTableAssociationId": a.id, "RouteTableId": table.id, "SubnetId": a.text("SubnetId"),
                    "Main": false, "AssociationState": state,
                })
            })
            .collect();
        if let Some(id) = table.computed("Main") {
            of.push(json!({
                "RouteTableAssociationId": id, "RouteTableId": table.id, "Main": true, "AssociationState": state,
            }));
        }
        json!({
            "RouteTableId": table.id, "VpcId": table.text("VpcId"), "OwnerId": cx.account(), "Routes": all,
            "Associations": of, "PropagatingVgws": [], "Tags": table.tag_list(),
        })
    };
    Ok(ROUTE_TABLES.list(cx)?.iter().map(shown).collect())
}
