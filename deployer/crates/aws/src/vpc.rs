//! An existing VPC: its DNS settings, routes and endpoints.

use serde_json::{Value, json};

use crate::ec2::{filter, list, text};
use crate::error::Result;
use crate::session::Session;
use crate::signed_request::{
    DESCRIBE_ROUTE_TABLES, DESCRIBE_VPC_ATTRIBUTE, DESCRIBE_VPC_ENDPOINTS, DESCRIBE_VPCS, items,
};

/// A VPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vpc {
    /// The ID, `vpc-…`.
    pub id: String,
    /// The account that owns it: another one if its subnets are shared.
    pub owner: String,
    /// Names are resolved in it.
    pub dns_support: bool,
    /// Public DNS names; together with `dns_support` a condition of private hosted zones and of private DNS of endpoints.
    pub dns_hostnames: bool,
}

/// A route table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteTable {
    /// The ID, `rtb-…`.
    pub id: String,
    /// It applies to the subnets that no other table names.
    pub is_main: bool,
    /// The IDs of the subnets that are associated with it.
    pub subnets: Vec<String>,
    /// Its routes.
    pub routes: Vec<Route>,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// An IPv4 network; another kind of destination, such as a prefix list, is empty.
    pub destination: String,
    /// The ID of the target, such as `nat-…`, or `local`.
    pub target: String,
    /// False if the target does not exist any more.
    pub is_active: bool,
}

/// An endpoint of an AWS API in a VPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VpcEndpoint {
    /// The ID, `vpce-…`.
    pub id: String,
    /// The service without `com.amazonaws.REGION.`, such as `ecr.api`.
    pub api: String,
    /// An interface with addresses in subnets; otherwise a gateway in route tables.
    pub is_interface: bool,
    /// It answers, and for an interface, the API's own name leads to it.
    pub is_usable: bool,
    /// The route tables of a gateway.
    pub route_tables: Vec<String>,
    /// The security groups of an interface.
    pub groups: Vec<String>,
}

/// Finds a VPC.
///
/// # Errors
/// A request fails.
pub async fn find(aws: &Session, id: &str) -> Result<Option<Vpc>> {
    let found = match list(aws, DESCRIBE_VPCS, json!({ "VpcId": [id] }), "vpcSet").await {
        Ok(found) => found,
        Err(error) if error.code() == "InvalidVpcID.NotFound" => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(vpc) = found.iter().find(|vpc| vpc["vpcId"] == id) else {
        return Ok(None);
    };
    let (dns_support, dns_hostnames) = tokio::try_join!(
        attribute(aws, id, "enableDnsSupport"),
        attribute(aws, id, "enableDnsHostnames")
    )?;
    Ok(Some(Vpc {
        id: id.to_owned(),
        owner: text(vpc, "ownerId"),
        dns_support,
        dns_hostnames,
    }))
}

async fn attribute(aws: &Session, vpc: &str, name: &str) -> Result<bool> {
    let input = json!({ "VpcId": vpc, "Attribute": name });
    let found = aws.signed.call(DESCRIBE_VPC_ATTRIBUTE, &input).await?;
    Ok(found[name]["value"] == "true")
}

/// Returns the route tables of a VPC. Those of a shared subnet's owner may not be among them.
///
/// # Errors
/// The request fails.
pub async fn route_tables(aws: &Session, vpc: &str) -> Result<Vec<RouteTable>> {
    let input = json!({ "Filter": [filter("vpc-id", &[vpc.to_owned()])] });
    let tables = list(aws, DESCRIBE_ROUTE_TABLES, input, "routeTableSet").await?;
    let table = |table: &Value| {
        let associations = items(&table["associationSet"], "item");
        RouteTable {
            id: text(table, "routeTableId"),
            is_main: associations.iter().any(|one| one["main"] == "true"),
            subnets: associations
                .iter()
                .filter_map(|one| one["subnetId"].as_str())
                .map(str::to_owned)
                .collect(),
            routes: items(&table["routeSet"], "item").into_iter().map(route).collect(),
        }
    };
    Ok(tables.iter().map(table).collect())
}

/// Members with the target of a route (Amazon EC2 API Reference: `Route`).
const TARGETS: [&str; 11] = [
    "natGatewayId",
    "transitGatewayId",
    "gatewayId",
    "networkInterfaceId",
    "instanceId",
    "vpcPeeringConnectionId",
    "coreNetworkArn",
    "localGatewayId",
    "carrierGatewayId",
    "egressOnlyInternetGatewayId",
    "odbNetworkArn",
];

fn route(route: &Value) -> Route {
    let target = TARGETS.iter().find_map(|name| route[*name].as_str());
    Route {
        destination: text(route, "destinationCidrBlock"),
        target: target.unwrap_or_default().to_owned(),
        is_active: route["state"] != "blackhole",
    }
}

/// Returns the endpoints of AWS's APIs in a VPC.
///
/// # Errors
/// The request fails.
pub async fn endpoints(aws: &Session, vpc: &str) -> Result<Vec<VpcEndpoint>> {
    let input = json!({ "Filter": [filter("vpc-id", &[vpc.to_owned()])] });
    let endpoints = list(aws, DESCRIBE_VPC_ENDPOINTS, input, "vpcEndpointSet").await?;
    let prefix = format!("com.amazonaws.{}.", aws.region());
    let own = endpoints.iter().filter_map(|endpoint| {
        let api = endpoint["serviceName"].as_str()?.strip_prefix(&prefix)?.to_owned();
        let is_interface = endpoint["vpcEndpointType"] == "Interface";
        // The state of an interface that AWS has accepted is `available`, in either case.
        let answers = text(endpoint, "state").eq_ignore_ascii_case("available");
        let texts = |set: &str| items(&endpoint[set], "item").into_iter().filter_map(Value::as_str);
        Some(VpcEndpoint {
            id: text(endpoint, "vpcEndpointId"),
            is_usable: answers && (!is_interface || endpoint["privateDnsEnabled"] == "true"),
            route_tables: texts("routeTableIdSet").map(str::to_owned).collect(),
            groups: items(&endpoint["groupSet"], "item")
                .into_iter()
                .map(|group| text(group, "groupId"))
                .collect(),
            api,
            is_interface,
        })
    });
    Ok(own.collect())
}
