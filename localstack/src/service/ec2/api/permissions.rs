//! Permissions of security groups as the API writes them, split into the rules that the resource types have.

use serde_json::{Map, Value, json};

use super::super::error::invalid_parameter;
use super::super::model::{self, SECURITY_GROUPS};
use super::input::unsupported;
use crate::records::{Record, scalar};
use crate::service::Call;
use crate::{AwsError, Context};

/// Returns the properties of the rules that a call names, for one group and direction.
///
/// # Errors
/// `MissingParameter` without a permission, and `InvalidParameterValue` for what the endpoint does not support.
pub fn of_call(cx: &Context, call: &Call, group: &Record, egress: bool) -> Result<Vec<Value>, AwsError> {
    for member in ["SourceSecurityGroupName", "SourceSecurityGroupOwnerId"] {
        if let Some(value) = call.input.get(member) {
            return Err(unsupported(member, value));
        }
    }
    let mut permissions = call.list("IpPermissions");
    if call.input.get("IpProtocol").is_some() {
        let mut one = json!({});
        for member in ["IpProtocol", "FromPort", "ToPort"] {
            if let Some(value) = call.input.get(member) {
                one[member] = value.clone();
            }
        }
        one["IpRanges"] = json!([{"CidrIp": call.text("CidrIp")}]);
        permissions.push(one);
    }
    if permissions.is_empty() {
        return Err(AwsError::new(
            "MissingParameter",
            "The request must contain the parameter ipPermissions",
        ));
    }
    let mut rules = Vec::new();
    for permission in permissions {
        rules.extend(rules_of(cx, &permission, group, egress)?);
    }
    Ok(rules)
}

/// Returns one rule for each peer of a permission.
fn rules_of(cx: &Context, permission: &Value, group: &Record, egress: bool) -> Result<Vec<Value>, AwsError> {
    let side = if egress { "Destination" } else { "Source" };
    let lists = [
        ("IpRanges", "CidrIp", "CidrIp".to_owned()),
        ("Ipv6Ranges", "CidrIpv6", "CidrIpv6".to_owned()),
        ("PrefixListIds", "PrefixListId", format!("{side}PrefixListId")),
        ("UserIdGroupPairs", "GroupId", format!("{side}SecurityGroupId")),
    ];
    let base = base(permission, group)?;
    let mut rules = Vec::new();
    for (list, member, property) in lists {
        for peer in permission.get(list).and_then(Value::as_array).into_iter().flatten() {
            let mut rule = base.clone();
            let value = match (peer.get(member).and_then(scalar), list) {
                (Some(value), _) => value,
                (None, "UserIdGroupPairs") => group_named(cx, peer, group)?,
                (None, _) => return Err(invalid_parameter(format!("{list} must have {member}"))),
            };
            if let Some(account) = peer.get("UserId").filter(|id| *id != cx.account()) {
                return Err(unsupported("UserId", account));
            }
            rule.insert(property.clone(), value.into());
            if let Some(text) = peer
                .get("Description")
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
            {
                rule.insert("Description".into(), text.into());
            }
            rules.push(rule.into());
        }
    }
    Ok(rules)
}

/// Returns the protocol and the ports. Protocol numbers become names, and "all" has no ports (EC2 API Reference, `IpPermission`).
fn base(permission: &Value, group: &Record) -> Result<Map<String, Value>, AwsError> {
    let protocol = permission.get("IpProtocol").and_then(scalar).unwrap_or_default();
    let protocol = match protocol.to_lowercase().as_str() {
        "" => {
            return Err(AwsError::new(
                "MissingParameter",
                "The request must contain the parameter ipProtocol",
            ));
        }
        "all" | "-1" => "-1".to_owned(),
        "1" => "icmp".to_owned(),
        "6" => "tcp".to_owned(),
        "17" => "udp".to_owned(),
        "58" => "icmpv6".to_owned(),
        other => other.to_owned(),
    };
    let mut base = Map::new();
    base.insert("GroupId".into(), group.id.clone().into());
    for member in ["FromPort", "ToPort"] {
        if let Some(port) = permission.get(member).filter(|_| protocol != "-1") {
            base.insert(member.into(), port.clone());
        }
    }
    base.insert("IpProtocol".into(), protocol.into());
    Ok(base)
}

/// Returns the properties of a rule that `ModifySecurityGroupRules` describes.
///
/// # Errors
/// As for [`of_call`].
pub fn of_request(request: &Value, group: &Record, egress: bool) -> Result<Map<String, Value>, AwsError> {
    let side = if egress { "Destination" } else { "Source" };
    let mut rule = base(request, group)?;
    for (member, property) in [
        ("CidrIpv4", "CidrIp".to_owned()),
        ("CidrIpv6", "CidrIpv6".to_owned()),
        ("PrefixListId", format!("{side}PrefixListId")),
        ("ReferencedGroupId", format!("{side}SecurityGroupId")),
        ("Description", "Description".to_owned()),
    ] {
        if let Some(value) = request.get(member).filter(|value| *value != "") {
            rule.insert(property, value.clone());
        }
    }
    Ok(rule)
}

fn group_named(cx: &Context, peer: &Value, group: &Record) -> Result<String, AwsError> {
    let name = peer.get("GroupName").and_then(scalar).unwrap_or_default();
    let found = SECURITY_GROUPS.find(cx, |other| {
        other.computed("Name").as_ref() == Some(&name) && other.text("VpcId") == group.text("VpcId")
    })?;
    match found {
        Some(found) => Ok(found.id),
        None => model::security_group(cx, &name).map(|group| group.id),
    }
}
