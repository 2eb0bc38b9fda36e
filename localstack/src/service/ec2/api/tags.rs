//! `CreateTags` and `DeleteTags`, for every kind of resource with a record.

use serde_json::{Value, json};

use super::super::describe::{not_found, response};
use super::super::error::invalid_parameter;
use super::super::model::{
    self, ADDRESSES, DHCP_OPTION_SETS, EGRESS_ONLY_GATEWAYS, FLOW_LOGS, INTERNET_GATEWAYS, NAT_GATEWAYS, NETWORK_ACLS,
    NETWORK_INTERFACES, PEERINGS, ROUTE_TABLES, SECURITY_GROUP_RULES, SECURITY_GROUPS, SUBNETS, VPC_ENDPOINTS, VPCS,
};
use crate::records::{Record, Records, WriteLock};
use crate::service::Call;
use crate::{AwsError, Context};

/// The most tags of one resource (EC2 User Guide, "Tag restrictions").
const MAX_TAGS: usize = 50;

/// The prefixes of IDs, with the collection of the records, the member with such an ID, and the resource type of tags.
const KINDS: [(&str, Records, &str, &str); 15] = [
    ("vpc", VPCS, "VpcId", "vpc"),
    ("subnet", SUBNETS, "SubnetId", "subnet"),
    ("igw", INTERNET_GATEWAYS, "InternetGatewayId", "internet-gateway"),
    ("rtb", ROUTE_TABLES, "RouteTableId", "route-table"),
    ("eipalloc", ADDRESSES, "AllocationId", "elastic-ip"),
    ("nat", NAT_GATEWAYS, "NatGatewayId", "natgateway"),
    ("sg", SECURITY_GROUPS, "GroupId", "security-group"),
    (
        "sgr",
        SECURITY_GROUP_RULES,
        "SecurityGroupRuleId",
        "security-group-rule",
    ),
    ("vpce", VPC_ENDPOINTS, "VpcEndpointId", "vpc-endpoint"),
    ("fl", FLOW_LOGS, "FlowLogId", "vpc-flow-log"),
    (
        "eigw",
        EGRESS_ONLY_GATEWAYS,
        "EgressOnlyInternetGatewayId",
        "egress-only-internet-gateway",
    ),
    ("acl", NETWORK_ACLS, "NetworkAclId", "network-acl"),
    ("dopt", DHCP_OPTION_SETS, "DhcpOptionsId", "dhcp-options"),
    ("eni", NETWORK_INTERFACES, "NetworkInterfaceId", "network-interface"),
    ("pcx", PEERINGS, "VpcPeeringConnectionId", "vpc-peering-connection"),
];

/// Checks the keys of tags.
///
/// # Errors
/// `InvalidParameterValue` for a key that is reserved, empty or too long.
pub fn check(tags: &[Value]) -> Result<(), AwsError> {
    for tag in tags {
        let key = tag["Key"].as_str().unwrap_or_default();
        if key.is_empty() || key.chars().count() > 127 {
            return Err(invalid_parameter(format!(
                "Tag key '{key}' must have 1 to 127 characters"
            )));
        }
        if key.to_lowercase().starts_with("aws:") {
            return Err(invalid_parameter(format!(
                "Value ( {key} ) for parameter key is invalid. Tag keys starting with 'aws:' are reserved for internal use"
            )));
        }
    }
    Ok(())
}

pub fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let tags = call.list("Tags");
    check(&tags)?;
    change(cx, call, |record| {
        for tag in &tags {
            let text = |member: &str| tag[member].as_str().unwrap_or_default().to_owned();
            record.inherited.retain(|key| *key != text("Key"));
            record.tags.insert(text("Key"), text("Value"));
        }
        if record.tags.len() > MAX_TAGS {
            let reason = format!("A resource can have at most {MAX_TAGS} tags: {}", record.id);
            return Err(AwsError::new("TagLimitExceeded", reason));
        }
        Ok(())
    })
}

/// Deletes tags by key, or by key and value; without `Tags` all that do not belong to AWS.
pub fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let tags = call.list("Tags");
    change(cx, call, |record| {
        let named = |key: &str, value: &str| {
            tags.iter()
                .any(|tag| tag["Key"] == key && tag.get("Value").is_none_or(|given| given == value))
        };
        record.tags.retain(|key, value| {
            let deleted = tags.is_empty() || named(key, value);
            !deleted || key.starts_with("aws:")
        });
        Ok(())
    })
}

/// Changes the tags of all resources that the call names, or of none.
fn change(cx: &Context, call: &Call, apply: impl Fn(&mut Record) -> Result<(), AwsError>) -> Result<Value, AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let mut changed = Vec::new();
    for id in call.texts("Resources") {
        let (records, mut record) = find(cx, &id)?;
        apply(&mut record)?;
        changed.push((records, record));
    }
    for (records, record) in changed {
        records.put(cx, &record)?;
    }
    Ok(json!({}))
}

/// Lists the tags of all resources.
pub fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut tags = Vec::new();
    for (_, records, _, kind) in KINDS {
        for record in records.list(cx)? {
            let id = match kind {
                "elastic-ip" => record.computed("AllocationId").unwrap_or_default(),
                _ => record.id,
            };
            let of = record.tags.iter();
            tags.extend(
                of.map(|(key, value)| json!({"ResourceId": id, "ResourceType": kind, "Key": key, "Value": value})),
            );
        }
    }
    response("Tags", "Key", tags, call)
}

fn find(cx: &Context, id: &str) -> Result<(Records, Record), AwsError> {
    let prefix = id.split_once('-').map(|(prefix, _)| prefix).unwrap_or_default();
    let Some((_, records, member, _)) = KINDS.iter().find(|(known, ..)| *known == prefix) else {
        return Err(AwsError::new("InvalidID", format!("The ID '{id}' is not valid")));
    };
    let found = match prefix {
        "eipalloc" => Some(model::address(cx, id)?),
        _ => records.get(cx, id)?,
    };
    Ok((*records, found.ok_or_else(|| not_found(member, id))?))
}
