//! Network ACLs, their entries and the subnets that they apply to. They are kept and given back: the endpoint filters no packets.

use serde_json::{Value, json};

use super::cidr;
use super::error::{dependency_violation, invalid_parameter, required};
use super::model::{self, NETWORK_ACL_ENTRIES, NETWORK_ACLS, SUBNETS, VPCS, new_id};
use crate::records::{Record, RecordType, Records};
use crate::{AwsError, Context, Desired, Resource, Schema};

/// The computed value of a subnet with the ACL that was associated; without it the VPC's default one applies.
const ACL: &str = "NetworkAclId";
/// The computed value of a subnet with the ID of that association.
const ASSOCIATION: &str = "NetworkAclAssociationId";
const LAST_RULE: i64 = 32_767;

pub struct NetworkAcl;

impl RecordType for NetworkAcl {
    const TYPE: &'static str = "AWS::EC2::NetworkAcl";
    const RECORDS: Records = NETWORK_ACLS;

    fn schema() -> Schema {
        Schema {
            properties: &["VpcId", "Tags"],
            required: &["VpcId"],
            create_only: &["VpcId"],
            attributes: &["Id"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let record = Record::new(new_id("acl"), desired);
        model::vpc(cx, &required(&record, "VpcId")?)?;
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Id", record.id.clone())
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        if is_default(record) {
            let reason = format!(
                "The network acl '{}' is the default one of its VPC and cannot be deleted.",
                record.id
            );
            return Err(invalid_parameter(reason));
        }
        if SUBNETS
            .find(cx, |subnet| subnet.computed(ACL).as_ref() == Some(&record.id))?
            .is_some()
        {
            let reason = format!("The networkAcl '{}' has dependencies and cannot be deleted.", record.id);
            return Err(dependency_violation(reason));
        }
        delete_entries(cx, &record.id)
    }
}

fn is_default(acl: &Record) -> bool {
    acl.computed.contains_key("Default")
}

fn delete_entries(cx: &Context, acl: &str) -> Result<(), AwsError> {
    for entry in NETWORK_ACL_ENTRIES
        .list(cx)?
        .iter()
        .filter(|entry| entry.has("NetworkAclId", acl))
    {
        NETWORK_ACL_ENTRIES.delete(cx, &entry.id)?;
    }
    Ok(())
}

/// Creates the default ACL of a VPC, which allows all traffic (Amazon VPC User Guide, "Default network ACL"), and returns its ID.
pub fn create_default(cx: &Context, vpc: &str) -> Result<String, AwsError> {
    let mut acl = Record::from_properties(new_id("acl"), json!({"VpcId": vpc}));
    acl.computed.insert("Default".into(), true.into());
    NETWORK_ACLS.put(cx, &acl)?;
    for egress in [false, true] {
        let properties = json!({
            "NetworkAclId": acl.id, "Egress": egress, "RuleNumber": 100, "Protocol": "-1", "RuleAction": "allow", "CidrBlock": "0.0.0.0/0",
        });
        let id = entry_id(&acl.id, egress, 100);
        NETWORK_ACL_ENTRIES.put(cx, &Record::from_properties(id, properties))?;
    }
    Ok(acl.id)
}

/// Deletes the default ACL of a VPC that is deleted.
pub fn delete_default(cx: &Context, acl: &str) -> Result<(), AwsError> {
    delete_entries(cx, acl)?;
    NETWORK_ACLS.delete(cx, acl)?;
    Ok(())
}

pub fn entry_id(acl: &str, egress: bool, number: i64) -> String {
    format!("{acl}|{}|{number}", if egress { "egress" } else { "ingress" })
}

pub struct Entry;

impl RecordType for Entry {
    const TYPE: &'static str = "AWS::EC2::NetworkAclEntry";
    const RECORDS: Records = NETWORK_ACL_ENTRIES;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "NetworkAclId",
                "RuleNumber",
                "Egress",
                "Protocol",
                "RuleAction",
                "CidrBlock",
                "Ipv6CidrBlock",
                "PortRange",
                "Icmp",
            ],
            required: &["NetworkAclId", "RuleNumber", "Protocol", "RuleAction"],
            create_only: &["NetworkAclId", "RuleNumber", "Egress"],
            attributes: &["Id"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        let acl = model::network_acl(cx, &required(&record, "NetworkAclId")?)?;
        let number = number(&record)?;
        record.id = entry_id(&acl.id, record.has("Egress", "true"), number);
        if NETWORK_ACL_ENTRIES.get(cx, &record.id)?.is_some() {
            let reason = format!("The network acl entry identified by {number} already exists.");
            return Err(AwsError::new("NetworkAclEntryAlreadyExists", reason));
        }
        check(&record)?;
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Id", record.id.clone())
    }

    fn update(_cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        check(record)
    }
}

fn number(entry: &Record) -> Result<i64, AwsError> {
    let given = required(entry, "RuleNumber")?;
    // "Positive integer from 1 to 32766" (CreateNetworkAclEntry, RuleNumber).
    let number = given.parse().ok().filter(|number| (1..LAST_RULE).contains(number));
    number.ok_or_else(|| {
        invalid_parameter(format!(
            "Value ({given}) for parameter ruleNumber is invalid. It must be 1 to 32766."
        ))
    })
}

fn check(entry: &Record) -> Result<(), AwsError> {
    match (entry.text("CidrBlock"), entry.text("Ipv6CidrBlock")) {
        (Some(block), None) => cidr::parse(&block)
            .map(drop)
            .map_err(|error| invalid_parameter(error.to_string()))?,
        (None, Some(block)) if block.parse::<ipnet::Ipv6Net>().is_ok() => {}
        (None, Some(block)) => {
            return Err(invalid_parameter(format!(
                "Value ({block}) for parameter ipv6CidrBlock is invalid. This is not a valid CIDR block."
            )));
        }
        _ => {
            let reason = "The request must contain exactly one of cidrBlock and ipv6CidrBlock";
            return Err(AwsError::new("InvalidParameterCombination", reason));
        }
    }
    // "If you specify protocol 6 (TCP) or 17 (UDP), you must specify the port range" (CreateNetworkAclEntry, PortRange).
    let protocol = entry.text("Protocol").unwrap_or_default();
    if ["6", "17"].contains(&protocol.as_str()) && !entry.properties.contains_key("PortRange") {
        return Err(AwsError::new(
            "MissingParameter",
            "The request must contain the parameter portRange",
        ));
    }
    Ok(())
}

/// The association of an ACL with a subnet, which has one at a time.
pub struct Association;

impl RecordType for Association {
    const TYPE: &'static str = "AWS::EC2::SubnetNetworkAclAssociation";
    const RECORDS: Records = Records("ec2.network-acl-associations");

    fn schema() -> Schema {
        Schema {
            properties: &["SubnetId", "NetworkAclId"],
            required: &["SubnetId", "NetworkAclId"],
            create_only: &["SubnetId", "NetworkAclId"],
            attributes: &["AssociationId"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new(new_id("aclassoc"), desired);
        let subnet = required(&record, "SubnetId")?;
        record.id = associate(cx, &subnet, &required(&record, "NetworkAclId")?)?;
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("AssociationId", record.id.clone())
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        // A newer association of the subnet stays.
        let subnet = SUBNETS.find(cx, |subnet| subnet.computed(ASSOCIATION).as_ref() == Some(&record.id))?;
        if let Some(mut subnet) = subnet {
            subnet.computed.shift_remove(ACL);
            subnet.computed.insert(ASSOCIATION.into(), new_id("aclassoc").into());
            SUBNETS.put(cx, &subnet)?;
        }
        Ok(())
    }
}

/// Makes an ACL that of a subnet, and returns the ID of the association.
pub fn associate(cx: &Context, subnet: &str, acl: &str) -> Result<String, AwsError> {
    let (mut subnet, acl) = (model::subnet(cx, subnet)?, model::network_acl(cx, acl)?);
    if subnet.text("VpcId") != acl.text("VpcId") {
        let reason = format!(
            "Network ACL {} and subnet {} belong to different networks",
            acl.id, subnet.id
        );
        return Err(invalid_parameter(reason));
    }
    let id = new_id("aclassoc");
    subnet.computed.insert(ASSOCIATION.into(), id.clone().into());
    subnet.computed.insert(ACL.into(), acl.id.into());
    SUBNETS.put(cx, &subnet)?;
    Ok(id)
}

/// Returns the subnet with an association.
pub fn associated_subnet(cx: &Context, association: &str) -> Result<Record, AwsError> {
    let found = SUBNETS.find(cx, |subnet| {
        subnet.computed(ASSOCIATION).as_deref() == Some(association)
    })?;
    let reason = format!("The association ID '{association}' does not exist");
    found.ok_or_else(|| AwsError::new("InvalidAssociationID.NotFound", reason))
}

pub fn describe(cx: &Context) -> Result<Vec<Value>, AwsError> {
    let (vpcs, subnets, entries) = (VPCS.list(cx)?, SUBNETS.list(cx)?, NETWORK_ACL_ENTRIES.list(cx)?);
    let default_of = |vpc: &str| {
        vpcs.iter()
            .find(|known| known.id == vpc)
            .and_then(|vpc| vpc.computed("DefaultNetworkAcl"))
    };
    let shown = |acl: &Record| {
        let of_subnet = |subnet: &&Record| {
            let default = || subnet.text("VpcId").and_then(|vpc| default_of(&vpc));
            subnet.computed(ACL).or_else(default).as_ref() == Some(&acl.id)
        };
        let associations: Vec<Value> = subnets
            .iter()
            .filter(of_subnet)
            .map(|subnet| {
                json!({
                    "NetworkAclAssociationId": subnet.computed(ASSOCIATION), "NetworkAclId": acl.id, "SubnetId": subnet.id,
                })
            })
            .collect();
        let own = entries.iter().filter(|entry| entry.has("NetworkAclId", &acl.id));
        let mut own: Vec<Value> = own.map(shown_entry).collect();
        own.sort_by_key(|entry| entry["RuleNumber"].as_i64());
        own.extend([true, false].map(|egress| {
            json!({
                "Egress": egress, "RuleNumber": LAST_RULE, "Protocol": "-1", "CidrBlock": "0.0.0.0/0", "RuleAction": "deny",
            })
        }));
        json!({
            "NetworkAclId": acl.id, "VpcId": acl.text("VpcId"), "IsDefault": is_default(acl), "OwnerId": cx.account(),
            "Tags": acl.tag_list(), "Associations": associations, "Entries": own,
        })
    };
    Ok(NETWORK_ACLS.list(cx)?.iter().map(shown).collect())
}

fn shown_entry(entry: &Record) -> Value {
    let number = |value: &Value| crate::records::scalar(value).and_then(|text| text.parse::<i64>().ok());
    let numbers = |names: [&str; 2], value: &Value| {
        let mut shown = json!({});
        for name in names {
            shown[name] = json!(number(&value[name]));
        }
        shown
    };
    let mut shown = json!({
        "Egress": entry.has("Egress", "true"), "RuleNumber": entry.properties.get("RuleNumber").and_then(number),
        "Protocol": entry.text("Protocol"), "RuleAction": entry.text("RuleAction").map(|action| action.to_lowercase()),
    });
    for member in ["CidrBlock", "Ipv6CidrBlock"] {
        if let Some(block) = entry.text(member) {
            shown[member] = block.into();
        }
    }
    if let Some(ports) = entry.properties.get("PortRange") {
        shown["PortRange"] = numbers(["From", "To"], ports);
    }
    if let Some(icmp) = entry.properties.get("Icmp") {
        shown["IcmpTypeCode"] = numbers(["Code", "Type"], icmp);
    }
    shown
}
