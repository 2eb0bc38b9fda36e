//! Network interfaces with their addresses, and Elastic IP addresses associated with them. Nothing is attached: there are no instances.

use serde_json::{Value, json};

use super::cidr;
use super::describe::flag_text;
use super::error::{invalid_parameter, required};
use super::model::{self, ADDRESS_ASSOCIATIONS, NETWORK_INTERFACES, VPCS, new_id};
use super::{security_group, zone};
use crate::records::{Record, RecordType, Records, texts};
use crate::{AwsError, Context, Desired, Resource, Schema};

/// The computed value with the private addresses, the primary one first.
const ADDRESSES: &str = "PrivateIpAddresses";

pub struct NetworkInterface;

impl RecordType for NetworkInterface {
    const TYPE: &'static str = "AWS::EC2::NetworkInterface";
    const RECORDS: Records = NETWORK_INTERFACES;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "SubnetId",
                "Description",
                "GroupSet",
                "PrivateIpAddress",
                "PrivateIpAddresses",
                "SecondaryPrivateIpAddressCount",
                "SourceDestCheck",
                "Tags",
            ],
            required: &["SubnetId"],
            create_only: &["SubnetId", "PrivateIpAddress", "PrivateIpAddresses"],
            attributes: &["Id", "PrimaryPrivateIpAddress", "SecondaryPrivateIpAddresses", "VpcId"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new(new_id("eni"), desired);
        let subnet = model::subnet(cx, &required(&record, "SubnetId")?)?;
        let vpc = model::vpc(cx, &required(&subnet, "VpcId")?)?;
        let mut given: Vec<String> = record.text("PrivateIpAddress").into_iter().collect();
        let listed = record.properties.get("PrivateIpAddresses").and_then(Value::as_array);
        let mut listed: Vec<&Value> = listed.into_iter().flatten().collect();
        listed.sort_by_key(|address| flag_text(&address["Primary"]) != Some(true));
        given.extend(
            listed
                .into_iter()
                .filter_map(|address| address["PrivateIpAddress"].as_str())
                .map(str::to_owned),
        );
        let count = given.len().max(1);
        assign(cx, &mut record, given, count)?;
        let more = record
            .text("SecondaryPrivateIpAddressCount")
            .and_then(|count| count.parse().ok());
        assign(cx, &mut record, Vec::new(), count + more.unwrap_or(0))?;
        if texts(record.properties.get("GroupSet")).is_empty() {
            let default = vpc.computed("DefaultSecurityGroup");
            record.properties.insert("GroupSet".into(), json!([default]));
        }
        let mac: [u8; 5] = rand::random();
        let mac: Vec<String> = std::iter::once(2)
            .chain(mac)
            .map(|byte: u8| format!("{byte:02x}"))
            .collect();
        record.computed.insert("MacAddress".into(), mac.join(":").into());
        record.computed.insert("VpcId".into(), vpc.id.into());
        check_groups(cx, &record)?;
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        let addresses = addresses(record);
        Resource::new(&record.id)
            .with("Id", record.id.clone())
            .with(
                "PrimaryPrivateIpAddress",
                addresses.first().cloned().unwrap_or_default(),
            )
            .with("SecondaryPrivateIpAddresses", json!(addresses.get(1..)))
            .with("VpcId", record.computed("VpcId").unwrap_or_default())
    }

    fn update(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        check_groups(cx, record)
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        // An interface is deleted with the associations of its addresses.
        for association in ADDRESS_ASSOCIATIONS
            .list(cx)?
            .iter()
            .filter(|one| one.has("NetworkInterfaceId", &record.id))
        {
            ADDRESS_ASSOCIATIONS.delete(cx, &association.id)?;
        }
        Ok(())
    }
}

fn addresses(interface: &Record) -> Vec<String> {
    texts(interface.computed.get(ADDRESSES))
}

fn check_groups(cx: &Context, interface: &Record) -> Result<(), AwsError> {
    let vpc = interface.computed("VpcId");
    for id in texts(interface.properties.get("GroupSet")) {
        let group = model::security_group(cx, &id)?;
        if group.text("VpcId") != vpc {
            let reason = format!("You have specified two resources that belong to different networks: {id}");
            return Err(invalid_parameter(reason));
        }
    }
    Ok(())
}

/// Assigns private addresses to an interface until it has `count`, `given` ones first.
///
/// # Errors
/// An address that is not in the subnet or is in use, or a subnet that is full.
pub fn assign(cx: &Context, interface: &mut Record, given: Vec<String>, count: usize) -> Result<(), AwsError> {
    let subnet = model::subnet(cx, &required(interface, "SubnetId")?)?;
    let block = model::block(&subnet)?;
    let mut taken = addresses_in(cx, &subnet.id)?;
    let mut own = addresses(interface);
    for address in given {
        let inside = address
            .parse()
            .is_ok_and(|address: std::net::Ipv4Addr| block.contains(&address));
        if !inside {
            let reason = format!("Address does not fall within the subnet's address range: {address}");
            return Err(invalid_parameter(reason));
        }
        if taken.contains(&address) {
            let reason = format!("Address {address} is in use.");
            return Err(AwsError::new("InvalidIPAddress.InUse", reason));
        }
        own.push(address);
    }
    taken.extend(own.clone());
    // The first four addresses and the last are AWS's ("Subnet CIDR blocks").
    let last = (1u32 << (32 - block.prefix_len())) - 1;
    let mut free = (4..last)
        .map(|offset| cidr::address_at(block, offset))
        .filter(|address| !taken.contains(address));
    while own.len() < count {
        let full = || {
            AwsError::new(
                "InsufficientFreeAddressesInSubnet",
                "The specified subnet does not have enough free addresses.",
            )
        };
        own.push(free.next().ok_or_else(full)?);
    }
    interface.computed.insert(ADDRESSES.into(), json!(own));
    Ok(())
}

/// Takes secondary addresses from an interface.
///
/// # Errors
/// An address that the interface does not have, or its primary one.
pub fn unassign(interface: &mut Record, given: &[String]) -> Result<(), AwsError> {
    let mut own = addresses(interface);
    if let Some(address) = given
        .iter()
        .find(|address| !own.iter().skip(1).any(|one| one == *address))
    {
        let reason = format!(
            "Some of the specified addresses are not assigned to interface {}: {address}",
            interface.id
        );
        return Err(invalid_parameter(reason));
    }
    own.retain(|address| !given.contains(address));
    interface.computed.insert(ADDRESSES.into(), json!(own));
    Ok(())
}

/// Returns the addresses of the interfaces in a subnet.
pub fn addresses_in(cx: &Context, subnet: &str) -> Result<Vec<String>, AwsError> {
    let interfaces = NETWORK_INTERFACES.list(cx)?;
    let within = interfaces.iter().filter(|interface| interface.has("SubnetId", subnet));
    Ok(within.flat_map(addresses).collect())
}

/// The association of an Elastic IP address with a private address of an interface.
pub struct AddressAssociation;

impl RecordType for AddressAssociation {
    const TYPE: &'static str = "AWS::EC2::EIPAssociation";
    const RECORDS: Records = ADDRESS_ASSOCIATIONS;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "AllocationId",
                "EIP",
                "InstanceId",
                "NetworkInterfaceId",
                "PrivateIpAddress",
            ],
            create_only: &[
                "AllocationId",
                "EIP",
                "InstanceId",
                "NetworkInterfaceId",
                "PrivateIpAddress",
            ],
            attributes: &["Id"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new(new_id("eipassoc"), desired);
        let address = match (record.text("AllocationId"), record.text("EIP")) {
            (Some(allocation), _) => model::address(cx, &allocation)?,
            (None, Some(ip)) => model::address_of(cx, &ip)?,
            (None, None) => {
                let reason = "You must specify an allocation id when mapping an address to a network interface";
                return Err(AwsError::new("MissingParameter", reason));
            }
        };
        if let Some(instance) = record.text("InstanceId") {
            let reason = format!("The instance ID '{instance}' does not exist");
            return Err(AwsError::new("InvalidInstanceID.NotFound", reason));
        }
        let interface = model::network_interface(cx, &required(&record, "NetworkInterfaceId")?)?;
        let own = addresses(&interface);
        let private = record
            .text("PrivateIpAddress")
            .or_else(|| own.first().cloned())
            .unwrap_or_default();
        if !own.contains(&private) {
            let reason = format!(
                "The private IP address {private} is not assigned to interface {}",
                interface.id
            );
            return Err(invalid_parameter(reason));
        }
        record.computed.insert("PublicIp".into(), address.id.into());
        record.computed.insert("PrivateIpAddress".into(), private.into());
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Id", record.id.clone())
    }
}

/// Returns the association of a public address.
pub fn association_of(cx: &Context, public: &str) -> Result<Option<Record>, AwsError> {
    ADDRESS_ASSOCIATIONS.find(cx, |one| one.computed("PublicIp").as_deref() == Some(public))
}

pub fn describe(cx: &Context) -> Result<Vec<Value>, AwsError> {
    let associations = ADDRESS_ASSOCIATIONS.list(cx)?;
    let shown = |interface: &Record| -> Result<Value, AwsError> {
        let subnet = model::subnet(cx, &interface.text("SubnetId").unwrap_or_default())?;
        let vpc = VPCS.get(cx, &interface.computed("VpcId").unwrap_or_default())?;
        let zone = subnet.text("AvailabilityZone").unwrap_or_default();
        let groups: Vec<Value> = texts(interface.properties.get("GroupSet"))
            .into_iter()
            .map(|id| json!({"GroupId": id, "GroupName": security_group::name(cx, &id)}))
            .collect();
        let association = |private: &str| {
            let mut of = associations
                .iter()
                .filter(|one| one.has("NetworkInterfaceId", &interface.id));
            let found = of.find(|one| one.computed("PrivateIpAddress").as_deref() == Some(private))?;
            let address = model::address_of(cx, &found.computed("PublicIp")?).ok()?;
            Some(json!({
                "AssociationId": found.id, "PublicIp": address.id, "AllocationId": address.computed("AllocationId"),
                "IpOwnerId": cx.account(),
            }))
        };
        let domain = zone::internal_domain(cx);
        let dns = |address: &str| format!("ip-{}.{domain}", address.replace('.', "-"));
        let addresses = addresses(interface);
        let private: Vec<Value> = addresses
            .iter()
            .enumerate()
            .map(|(at, address)| {
                let shown = json!({"PrivateIpAddress": address, "Primary": at == 0, "PrivateDnsName": dns(address)});
                super::describe::with(shown, "Association", association(address))
            })
            .collect();
        let primary = addresses.first().cloned().unwrap_or_default();
        let shown = json!({
            "NetworkInterfaceId": interface.id, "SubnetId": subnet.id, "VpcId": vpc.map(|vpc| vpc.id),
            "AvailabilityZoneId": zone::id(cx, &zone), "AvailabilityZone": zone, "OwnerId": cx.account(), "Status": "available",
            "Description": interface.text("Description").unwrap_or_default(), "MacAddress": interface.computed("MacAddress"),
            "Groups": groups, "InterfaceType": "interface", "RequesterManaged": false, "Ipv6Addresses": [],
            "SourceDestCheck": !interface.has("SourceDestCheck", "false"), "TagSet": interface.tag_list(),
            "PrivateDnsName": dns(&primary), "PrivateIpAddresses": private,
        });
        let shown = super::describe::with(shown, "Association", association(&primary));
        Ok(super::describe::with(shown, "PrivateIpAddress", Some(primary)))
    };
    NETWORK_INTERFACES.list(cx)?.iter().map(shown).collect()
}
