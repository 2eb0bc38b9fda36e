//! Network ACLs and DHCP options.

use serde_json::{Map, Value, json};

use super::super::dhcp_options::{self, KEYS};
use super::super::error::invalid_parameter;
use super::super::model;
use super::super::network_acl::{self, Entry};
use super::{Creation, input};
use crate::records::{RecordType, WriteLock, texts};
use crate::service::Call;
use crate::{AwsError, Context};

const ENTRY_MEMBERS: [&str; 8] = [
    "NetworkAclId",
    "RuleNumber",
    "Egress",
    "Protocol",
    "RuleAction",
    "CidrBlock",
    "Ipv6CidrBlock",
    "PortRange",
];

fn entry(call: &Call) -> Result<Map<String, Value>, AwsError> {
    let mut call = call.clone();
    let icmp = call
        .input
        .as_object_mut()
        .and_then(|input| input.shift_remove("IcmpTypeCode"));
    let mut properties = input::properties(&call, "", &ENTRY_MEMBERS, &[])?;
    if let Some(icmp) = icmp {
        properties.insert("Icmp".into(), icmp);
    }
    Ok(properties)
}

pub async fn create_entry(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    cx.create_resource(Entry::TYPE, entry(call)?.into()).await?;
    Ok(json!({}))
}

pub async fn replace_entry(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (id, properties) = (entry_id(cx, call)?, entry(call)?);
    let replaced = cx.update_resource(Entry::TYPE, &id, |before| {
        *before = properties;
        Ok(())
    });
    replaced.await?.map(|_| json!({})).ok_or_else(|| no_entry(call))
}

pub async fn delete_entry(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let deleted = cx.delete_resource(Entry::TYPE, &entry_id(cx, call)?).await?;
    if deleted { Ok(json!({})) } else { Err(no_entry(call)) }
}

fn entry_id(cx: &Context, call: &Call) -> Result<String, AwsError> {
    let acl = model::network_acl(cx, &call.text("NetworkAclId").unwrap_or_default())?;
    let number = call.integer("RuleNumber").unwrap_or_default();
    Ok(network_acl::entry_id(
        &acl.id,
        call.boolean("Egress") == Some(true),
        number,
    ))
}

fn no_entry(call: &Call) -> AwsError {
    let number = call.text("RuleNumber").unwrap_or_default();
    let reason = format!("The network acl entry identified by {number} does not exist");
    AwsError::new("InvalidNetworkAclEntry.NotFound", reason)
}

pub fn replace_association(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let text = |member: &str| call.text(member).unwrap_or_default();
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let subnet = network_acl::associated_subnet(cx, &text("AssociationId"))?;
    let id = network_acl::associate(cx, &subnet.id, &text("NetworkAclId"))?;
    Ok(json!({"NewAssociationId": id}))
}

pub async fn create_dhcp_options(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut properties = json!({});
    for option in call.list("DhcpConfigurations") {
        let key = option["Key"].as_str().unwrap_or_default();
        let Some((_, property, most)) = KEYS.iter().find(|(known, ..)| *known == key) else {
            return Err(invalid_parameter(format!(
                "Value ({key}) for parameter key is invalid. It is no DHCP option."
            )));
        };
        let values = texts(option.get("Values"));
        properties[*property] = match (most, values.as_slice()) {
            (1, [one]) => one.as_str().into(),
            _ => values.into(),
        };
    }
    let mut call = call.clone();
    call.input
        .as_object_mut()
        .map(|input| input.shift_remove("DhcpConfigurations"));
    let creation = Creation {
        resource_type: "AWS::EC2::DHCPOptions",
        kind: "dhcp-options",
        members: &[],
        defaults: &[],
        output: ("DhcpOptions", "DhcpOptionsId"),
        describe: dhcp_options::describe,
    };
    creation.create_with(cx, &call, properties).await
}

pub async fn delete_dhcp_options(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let id = call.text("DhcpOptionsId").unwrap_or_default();
    if !id.starts_with("dopt-") {
        let reason = format!("Invalid id: \"{id}\" (expecting \"dopt-...\")");
        return Err(AwsError::new("InvalidDhcpOptionsId.Malformed", reason));
    }
    super::delete(cx, call, "AWS::EC2::DHCPOptions", "DhcpOptionsId").await
}

pub async fn associate_dhcp_options(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let properties = input::properties(call, "", &["DhcpOptionsId", "VpcId"], &[])?;
    model::vpc(cx, &call.text("VpcId").unwrap_or_default())?;
    cx.create_resource("AWS::EC2::VPCDHCPOptionsAssociation", properties.into())
        .await?;
    Ok(json!({}))
}
