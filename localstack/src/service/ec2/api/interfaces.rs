//! Network interfaces, and Elastic IP addresses associated with them.

use serde_json::{Value, json};

use super::super::describe::{flag_text, not_found};
use super::super::error::invalid_parameter;
use super::super::interface::{self, AddressAssociation, NetworkInterface};
use super::super::model::{self, ADDRESS_ASSOCIATIONS, NETWORK_INTERFACES};
use super::input::{self, unsupported};
use super::{Creation, attribute, update};
use crate::records::{RecordType, WriteLock, texts};
use crate::service::Call;
use crate::{AwsError, Context};

pub async fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut call = call.clone();
    let mut take = |member: &str| call.input.as_object_mut().and_then(|input| input.shift_remove(member));
    let (groups, listed) = (take("Groups"), take("PrivateIpAddresses"));
    let creation = Creation {
        resource_type: NetworkInterface::TYPE,
        kind: "network-interface",
        members: &[
            "SubnetId",
            "Description",
            "PrivateIpAddress",
            "SecondaryPrivateIpAddressCount",
        ],
        defaults: &[("InterfaceType", "interface")],
        output: ("NetworkInterface", "NetworkInterfaceId"),
        describe: interface::describe,
    };
    let mut more = json!({});
    for (property, value) in [("GroupSet", groups), ("PrivateIpAddresses", listed)] {
        if let Some(value) = value {
            more[property] = value;
        }
    }
    creation.create_with(cx, &call, more).await
}

const ATTRIBUTES: [&str; 3] = ["Description", "SourceDestCheck", "Groups"];

pub async fn modify(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let members = call.input.as_object().into_iter().flatten();
    for (member, value) in members {
        if !ATTRIBUTES.contains(&member.as_str()) && member != "NetworkInterfaceId" && member != "DryRun" {
            return Err(unsupported(member, value));
        }
    }
    update(cx, call, NetworkInterface::TYPE, "NetworkInterfaceId", |properties| {
        if let Some(value) = call
            .input
            .get("Description")
            .and_then(|description| description.get("Value"))
        {
            properties.insert("Description".into(), value.clone());
        }
        if let Some(value) = attribute(call, "SourceDestCheck") {
            properties.insert("SourceDestCheck".into(), value.into());
        }
        if let Some(groups) = call.input.get("Groups") {
            properties.insert("GroupSet".into(), groups.clone());
        }
        Ok(())
    })
    .await?;
    Ok(json!({}))
}

pub fn describe_attribute(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let id = call.text("NetworkInterfaceId").unwrap_or_default();
    let found = interface::describe(cx)?
        .into_iter()
        .find(|one| one["NetworkInterfaceId"] == id);
    let found = found.ok_or_else(|| not_found("NetworkInterfaceId", &id))?;
    let (member, value) = match call.text("Attribute").as_deref() {
        Some("description") => ("Description", json!({"Value": found["Description"]})),
        Some("sourceDestCheck") => ("SourceDestCheck", json!({"Value": found["SourceDestCheck"]})),
        Some("groupSet") => ("Groups", found["Groups"].clone()),
        Some("attachment") => ("Attachment", Value::Null),
        _ => {
            return Err(invalid_parameter(
                "The request must name one of the attributes description, groupSet, sourceDestCheck, attachment",
            ));
        }
    };
    Ok(super::super::describe::with(
        json!({"NetworkInterfaceId": id}),
        member,
        Some(value).filter(|value| !value.is_null()),
    ))
}

/// Assigns secondary private addresses, or takes them away.
pub fn change_addresses(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    input::properties(
        call,
        "",
        &[
            "NetworkInterfaceId",
            "PrivateIpAddresses",
            "SecondaryPrivateIpAddressCount",
            "AllowReassignment",
        ],
        &[],
    )?;
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let mut record = model::network_interface(cx, &call.text("NetworkInterfaceId").unwrap_or_default())?;
    let given = call.texts("PrivateIpAddresses");
    let before = texts(record.computed.get("PrivateIpAddresses"));
    if call.operation == "UnassignPrivateIpAddresses" {
        interface::unassign(&mut record, &given)?;
    } else {
        // An address that the interface has already stays.
        let new: Vec<String> = given.into_iter().filter(|address| !before.contains(address)).collect();
        let more = usize::try_from(call.integer("SecondaryPrivateIpAddressCount").unwrap_or(0)).unwrap_or(0);
        let count = before.len() + new.len() + more;
        interface::assign(cx, &mut record, new, count)?;
    }
    NETWORK_INTERFACES.put(cx, &record)?;
    if call.operation == "UnassignPrivateIpAddresses" {
        return Ok(json!({}));
    }
    let assigned = texts(record.computed.get("PrivateIpAddresses"))
        .into_iter()
        .filter(|address| !before.contains(address));
    let assigned: Vec<Value> = assigned.map(|address| json!({"PrivateIpAddress": address})).collect();
    Ok(json!({"NetworkInterfaceId": record.id, "AssignedPrivateIpAddresses": assigned}))
}

pub async fn associate_address(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let members = [
        "AllocationId",
        "PublicIp",
        "InstanceId",
        "NetworkInterfaceId",
        "PrivateIpAddress",
        "AllowReassociation",
    ];
    let mut properties = input::properties(call, "", &members, &[])?;
    let again = properties
        .shift_remove("AllowReassociation")
        .as_ref()
        .and_then(flag_text)
        == Some(true);
    if let Some(ip) = properties.shift_remove("PublicIp") {
        properties.insert("EIP".into(), ip);
    }
    let address = match (call.text("AllocationId"), call.text("PublicIp")) {
        (Some(allocation), _) => Some(model::address(cx, &allocation)?),
        (None, Some(ip)) => Some(model::address_of(cx, &ip)?),
        (None, None) => None,
    };
    if call.text("InstanceId").is_none() && call.text("NetworkInterfaceId").is_none() {
        let reason = "Either instance ID or network interface id must be specified";
        return Err(AwsError::new("MissingParameter", reason));
    }
    if let Some(address) = &address
        && let Some(before) = interface::association_of(cx, &address.id)?
    {
        if before.text("NetworkInterfaceId") == call.text("NetworkInterfaceId") {
            return Ok(json!({"AssociationId": before.id}));
        }
        if !again {
            let reason = format!(
                "resource {} is already associated with associate-id {}",
                address.id, before.id
            );
            return Err(AwsError::new("Resource.AlreadyAssociated", reason));
        }
        cx.delete_resource(AddressAssociation::TYPE, &before.id).await?;
    }
    let created = cx.create_resource(AddressAssociation::TYPE, properties.into()).await?;
    Ok(json!({"AssociationId": created.physical_id}))
}

pub async fn disassociate_address(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let found = match (call.text("AssociationId"), call.text("PublicIp")) {
        (Some(id), _) => ADDRESS_ASSOCIATIONS.get(cx, &id)?,
        (None, Some(ip)) => interface::association_of(cx, &model::address_of(cx, &ip)?.id)?,
        (None, None) => {
            let reason = "Either associationId or publicIp must be specified";
            return Err(AwsError::new("MissingParameter", reason));
        }
    };
    let id = call.text("AssociationId").or(call.text("PublicIp")).unwrap_or_default();
    let reason = format!("The association ID '{id}' does not exist");
    let found = found.ok_or_else(|| AwsError::new("InvalidAssociationID.NotFound", reason))?;
    cx.delete_resource(AddressAssociation::TYPE, &found.id).await?;
    Ok(json!({}))
}
