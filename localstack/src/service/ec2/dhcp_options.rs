//! DHCP options: kept and given back. No machine of this endpoint asks for an address.

use serde_json::{Value, json};

use super::error::{dependency_violation, invalid_parameter};
use super::model::{self, DHCP_OPTION_SETS, VPCS, new_id};
use super::zone;
use crate::records::{Record, RecordType, Records, texts};
use crate::{AwsError, Context, Desired, Resource, Schema};

/// The DHCP options of every VPC to which no others were associated.
pub const DEFAULT: &str = "dopt-00000000000000001";
/// The computed value of a VPC with the options that were associated.
const OPTIONS: &str = "DhcpOptions";
/// Keys of options and the properties of `AWS::EC2::DHCPOptions` for them, with the most values (EC2 API Reference, `CreateDhcpOptions`).
pub const KEYS: [(&str, &str, usize); 6] = [
    ("domain-name", "DomainName", 1),
    ("domain-name-servers", "DomainNameServers", 4),
    ("ntp-servers", "NtpServers", 4),
    ("netbios-name-servers", "NetbiosNameServers", 4),
    ("netbios-node-type", "NetbiosNodeType", 1),
    ("ipv6-address-preferred-lease-time", "Ipv6AddressPreferredLeaseTime", 1),
];

pub struct DhcpOptions;

impl RecordType for DhcpOptions {
    const TYPE: &'static str = "AWS::EC2::DHCPOptions";
    const RECORDS: Records = DHCP_OPTION_SETS;

    fn schema() -> Schema {
        const PROPERTIES: &[&str] = &[
            "DomainName",
            "DomainNameServers",
            "NtpServers",
            "NetbiosNameServers",
            "NetbiosNodeType",
            "Ipv6AddressPreferredLeaseTime",
            "Tags",
        ];
        Schema {
            properties: PROPERTIES,
            create_only: PROPERTIES.split_last().map_or(&[], |(_, rest)| rest),
            attributes: &["DhcpOptionsId"],
            ..Schema::default()
        }
    }

    fn create(_cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let record = Record::new(new_id("dopt"), desired);
        for (key, property, most) in KEYS {
            if values(&record, property).len() > most {
                let reason = format!("Value for parameter {key} is invalid: it can have at most {most}.");
                return Err(invalid_parameter(reason));
            }
        }
        if let Some(kind) = record
            .text("NetbiosNodeType")
            .filter(|kind| !["1", "2", "4", "8"].contains(&kind.as_str()))
        {
            return Err(invalid_parameter(format!(
                "Value ({kind}) for parameter netbios-node-type is invalid."
            )));
        }
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("DhcpOptionsId", record.id.clone())
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        match VPCS.find(cx, |vpc| of_vpc(vpc) == record.id)? {
            Some(vpc) => {
                let reason = format!(
                    "The dhcpOptions '{}' has dependencies and cannot be deleted: {}",
                    record.id, vpc.id
                );
                Err(dependency_violation(reason))
            }
            None => Ok(()),
        }
    }
}

/// The association of DHCP options with a VPC, which has one at a time.
pub struct Association;

impl RecordType for Association {
    const TYPE: &'static str = "AWS::EC2::VPCDHCPOptionsAssociation";
    const RECORDS: Records = Records("ec2.dhcp-options-associations");

    fn schema() -> Schema {
        Schema {
            properties: &["VpcId", "DhcpOptionsId"],
            required: &["VpcId", "DhcpOptionsId"],
            create_only: &["VpcId"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        record.id = record.text("VpcId").unwrap_or_default();
        Self::update(cx, &mut record)?;
        Ok(record)
    }

    fn update(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        let options = record.text("DhcpOptionsId").unwrap_or_default();
        if options != "default" && options != DEFAULT {
            model::dhcp_options(cx, &options)?;
        }
        let mut vpc = model::vpc(cx, &record.id)?;
        vpc.computed.insert(OPTIONS.into(), options.into());
        VPCS.put(cx, &vpc)
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        if let Some(mut vpc) = VPCS.get(cx, &record.id)? {
            vpc.computed.shift_remove(OPTIONS);
            VPCS.put(cx, &vpc)?;
        }
        Ok(())
    }
}

/// Returns the ID of a VPC's options.
pub fn of_vpc(vpc: &Record) -> String {
    vpc.computed(OPTIONS).unwrap_or_else(|| DEFAULT.to_owned())
}

fn values(record: &Record, property: &str) -> Vec<String> {
    match record.text(property) {
        Some(value) => vec![value],
        None => texts(record.properties.get(property)),
    }
}

pub fn describe(cx: &Context) -> Result<Vec<Value>, AwsError> {
    let option = |key: &str, values: Vec<String>| {
        let values: Vec<Value> = values.iter().map(|value| json!({"Value": value})).collect();
        json!({"Key": key, "Values": values})
    };
    let servers = option("domain-name-servers", vec!["AmazonProvidedDNS".to_owned()]);
    let default = json!({
        "DhcpOptionsId": DEFAULT, "OwnerId": cx.account(), "Tags": [],
        "DhcpConfigurations": [option("domain-name", vec![zone::internal_domain(cx)]), servers],
    });
    let shown = |record: &Record| {
        let given = KEYS.iter().map(|(key, property, _)| (key, values(record, property)));
        let given = given.filter(|(_, values)| !values.is_empty());
        let configurations: Vec<Value> = given.map(|(key, values)| option(key, values)).collect();
        json!({
            "DhcpOptionsId": record.id, "OwnerId": cx.account(), "Tags": record.tag_list(),
            "DhcpConfigurations": configurations,
        })
    };
    let sets = DHCP_OPTION_SETS.list(cx)?;
    Ok(std::iter::once(default).chain(sets.iter().map(shown)).collect())
}
