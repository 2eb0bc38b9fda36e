//! Route tables, routes, and what subnets they serve.

use serde_json::{Value, json};

use super::cidr::Cidr;
use super::ids::{self, existing, in_use, invalid, required};
use super::{gateway, subnet, vpc};
use crate::records::{Record, RecordType, Records};
use crate::{AwsError, Context, Desired, Resource, Schema};

pub const TABLES: Records = Records("ec2.route-tables");
pub const ROUTES: Records = Records("ec2.routes");
pub const ASSOCIATIONS: Records = Records("ec2.route-table-associations");

/// The properties that name a route's target here.
pub const TARGETS: [&str; 2] = ["GatewayId", "NatGatewayId"];

pub struct RouteTable;

impl RecordType for RouteTable {
    const TYPE: &'static str = "AWS::EC2::RouteTable";
    const RECORDS: Records = TABLES;

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
        let mut record = Record::new(ids::new("rtb"), desired);
        let vpc = vpc::named(cx, &required(&record, "VpcId")?)?;
        record
            .computed
            .insert("Local".into(), vpc::block(&vpc)?.to_string().into());
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("RouteTableId", record.id.clone())
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        if ASSOCIATIONS.find(cx, |a| a.has("RouteTableId", &record.id))?.is_some() {
            return Err(in_use(format!(
                "The routeTable '{}' has dependencies and cannot be deleted.",
                record.id
            )));
        }
        for route in ROUTES
            .list(cx)?
            .iter()
            .filter(|route| route.has("RouteTableId", &record.id))
        {
            ROUTES.delete(cx, &route.id)?;
        }
        Ok(())
    }
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
        let table = table(cx, &required(&record, "RouteTableId")?)?;
        let destination: Cidr = required(&record, "DestinationCidrBlock")?.parse().map_err(invalid)?;
        gateway::check_target(cx, &record, &required(&table, "VpcId")?)?;
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
        let table = table(cx, &required(record, "RouteTableId")?)?;
        gateway::check_target(cx, record, &required(&table, "VpcId")?)
    }
}

pub struct Association;

impl RecordType for Association {
    const TYPE: &'static str = "AWS::EC2::SubnetRouteTableAssociation";
    const RECORDS: Records = ASSOCIATIONS;

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
        let record = Record::new(ids::new("rtbassoc"), desired);
        let table = table(cx, &required(&record, "RouteTableId")?)?;
        let subnet = subnet::named(cx, &required(&record, "SubnetId")?)?;
        if table.text("VpcId") != subnet.text("VpcId") {
            let reason = format!(
                "Route table {} and subnet {} belong to different networks",
                table.id, subnet.id
            );
            return Err(invalid(reason));
        }
        // A template that moves a subnet makes the new association before it removes the old one; EC2 lets the newest win.
        for old in ASSOCIATIONS
            .list(cx)?
            .iter()
            .filter(|old| old.has("SubnetId", &subnet.id))
        {
            ASSOCIATIONS.delete(cx, &old.id)?;
        }
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Id", record.id.clone())
    }
}

pub fn table(cx: &Context, id: &str) -> Result<Record, AwsError> {
    existing(cx, TABLES, "routeTable", "InvalidRouteTableID", id)
}

/// Makes the main route table of a new VPC; gives its id.
pub fn main_of(cx: &Context, vpc: &str, block: &str) -> Result<String, AwsError> {
    let mut table = Record::from_properties(ids::new("rtb"), json!({"VpcId": vpc}));
    table.computed.insert("Local".into(), block.into());
    table.computed.insert("Main".into(), ids::new("rtbassoc").into());
    TABLES.put(cx, &table)?;
    Ok(table.id)
}

pub fn describe(cx: &Context) -> Result<Vec<Value>, AwsError> {
    let (routes, associations) = (ROUTES.list(cx)?, ASSOCIATIONS.list(cx)?);
    let shown = |table: &Record| {
        let mut all = vec![json!({
            "DestinationCidrBlock": table.computed("Local"), "GatewayId": "local", "State": "active",
            "Origin": "CreateRouteTable",
        })];
        for route in routes.iter().filter(|route| route.has("RouteTableId", &table.id)) {
            let mut item = json!({"State": "active", "Origin": "CreateRoute"});
            for member in ["DestinationCidrBlock", "GatewayId", "NatGatewayId"] {
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
    Ok(TABLES.list(cx)?.iter().map(shown).collect())
}
