//! `AWS::EC2::Subnet`.

use serde_json::{Value, json};

use super::describe::{flag, flag_text};
use super::error::{dependency_violation, invalid_parameter, required};
use super::model::{self, NAT_GATEWAYS, NETWORK_INTERFACES, ROUTE_TABLE_ASSOCIATIONS, SUBNETS, VPC_ENDPOINTS, new_id};
use super::{cidr, interface, vpc_block, zone};
use crate::records::{Record, RecordType, Records, scalar, texts};
use crate::{AwsError, Context, Desired, Resource, Schema};

pub struct Subnet;

impl RecordType for Subnet {
    const TYPE: &'static str = "AWS::EC2::Subnet";
    const RECORDS: Records = SUBNETS;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "VpcId",
                "CidrBlock",
                "AvailabilityZone",
                "MapPublicIpOnLaunch",
                "PrivateDnsNameOptionsOnLaunch",
                "AssignIpv6AddressOnCreation",
                "EnableDns64",
                "Tags",
            ],
            required: &["VpcId"],
            create_only: &["VpcId", "CidrBlock", "AvailabilityZone"],
            attributes: &[
                "SubnetId",
                "VpcId",
                "CidrBlock",
                "AvailabilityZone",
                "Ipv6CidrBlocks",
                "NetworkAclAssociationId",
            ],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new(new_id("subnet"), desired);
        let vpc = model::vpc(cx, &required(&record, "VpcId")?)?;
        let block = model::block(&record)?;
        if !vpc_block::blocks(cx, &vpc)?.iter().any(|own| own.contains(&block))
            || !(16..=28).contains(&block.prefix_len())
        {
            return Err(AwsError::new(
                "InvalidSubnet.Range",
                format!("The CIDR '{block}' is invalid."),
            ));
        }
        for other in SUBNETS.list(cx)?.iter().filter(|other| other.has("VpcId", &vpc.id)) {
            if model::block(other).is_ok_and(|other| cidr::overlap(other, block)) {
                let reason = format!("The CIDR '{block}' conflicts with another subnet");
                return Err(AwsError::new("InvalidSubnet.Conflict", reason));
            }
        }
        let zones = zone::names(cx);
        let zone = record.text("AvailabilityZone").unwrap_or_else(|| zones[0].clone());
        if !zones.contains(&zone) {
            return Err(invalid_parameter(format!(
                "Value ({zone}) for parameter availabilityZone is invalid. Subnets can currently only be created in \
                 the following availability zones: {}.",
                zones.join(", ")
            )));
        }
        record.properties.insert("AvailabilityZone".into(), zone.into());
        record
            .computed
            .insert("NetworkAclAssociationId".into(), new_id("aclassoc").into());
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        let text = |property: &str| record.text(property).unwrap_or_default();
        Resource::new(&record.id)
            .with("SubnetId", record.id.clone())
            .with("VpcId", text("VpcId"))
            .with("CidrBlock", text("CidrBlock"))
            .with("AvailabilityZone", text("AvailabilityZone"))
            .with("Ipv6CidrBlocks", json!([]))
            .with(
                "NetworkAclAssociationId",
                record.computed("NetworkAclAssociationId").unwrap_or_default(),
            )
    }

    fn update(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        let zone = SUBNETS
            .get(cx, &record.id)?
            .and_then(|before| before.text("AvailabilityZone"));
        record
            .properties
            .entry("AvailabilityZone")
            .or_insert_with(|| zone.into());
        Ok(())
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        let listed = |r: &Record| texts(r.properties.get("SubnetIds")).contains(&record.id);
        let user = NAT_GATEWAYS.find(cx, |r| r.has("SubnetId", &record.id))?;
        let user = user.or(VPC_ENDPOINTS.find(cx, listed)?);
        let user = user.or(NETWORK_INTERFACES.find(cx, |r| r.has("SubnetId", &record.id))?);
        if let Some(user) = user {
            let reason = format!(
                "The subnet '{}' has dependencies and cannot be deleted: {}",
                record.id, user.id
            );
            return Err(dependency_violation(reason));
        }
        for association in ROUTE_TABLE_ASSOCIATIONS
            .list(cx)?
            .iter()
            .filter(|a| a.has("SubnetId", &record.id))
        {
            ROUTE_TABLE_ASSOCIATIONS.delete(cx, &association.id)?;
        }
        Ok(())
    }
}

pub fn describe(cx: &Context) -> Result<Vec<Value>, AwsError> {
    let shown = |subnet: &Record| -> Result<Value, AwsError> {
        let used = interface::addresses_in(cx, &subnet.id)?.len() as u64;
        let block = subnet.text("CidrBlock").unwrap_or_default();
        let zone = subnet.text("AvailabilityZone").unwrap_or_default();
        Ok(json!({
            "SubnetId": subnet.id, "Ipv6CidrBlockAssociationSet": [], "SubnetArn": cx.arn("ec2", &format!("subnet/{}", subnet.id)),
            "VpcId": subnet.text("VpcId"), "CidrBlock": block, "State": "available", "OwnerId": cx.account(),
            "AvailableIpAddressCount": cidr::parse(&block).map_or(0, cidr::usable_addresses).saturating_sub(used),
            "AvailabilityZoneId": zone::id(cx, &zone), "AvailabilityZone": zone, "DefaultForAz": subnet.computed.contains_key("Default"),
            "MapPublicIpOnLaunch": flag(subnet, "MapPublicIpOnLaunch", false),
            "AssignIpv6AddressOnCreation": false, "EnableDns64": flag(subnet, "EnableDns64", false), "Ipv6Native": false,
            "PrivateDnsNameOptionsOnLaunch": dns_name_options(subnet), "Tags": subnet.tag_list(),
        }))
    };
    SUBNETS.list(cx)?.iter().map(shown).collect()
}

/// Returns the options with the defaults of an IPv4 subnet (EC2 API Reference, `PrivateDnsNameOptionsOnLaunch`).
fn dns_name_options(subnet: &Record) -> Value {
    let given = subnet.properties.get("PrivateDnsNameOptionsOnLaunch");
    let flag = |name: &str| given.and_then(|options| flag_text(options.get(name)?)).unwrap_or(false);
    let kind = given.and_then(|options| options.get("HostnameType")).and_then(scalar);
    json!({
        "HostnameType": kind.unwrap_or_else(|| "ip-name".into()),
        "EnableResourceNameDnsARecord": flag("EnableResourceNameDnsARecord"),
        "EnableResourceNameDnsAAAARecord": flag("EnableResourceNameDnsAAAARecord"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::{context_with, create, error_code};

    #[tokio::test]
    async fn a_subnet_is_inside_its_vpc_overlaps_no_other_and_keeps_the_vpc_from_deletion() {
        let (cx, _folder) = context_with(vec![crate::service::ec2::service()]);
        let subnet = |vpc: &str, block: &str| json!({"VpcId": vpc, "CidrBlock": block});
        let kind = "AWS::EC2::Subnet";
        let no_vpc = create(&cx, kind, "S", subnet("vpc-0123456789abcdef0", "10.0.0.0/24"))
            .await
            .unwrap_err();
        insta::assert_snapshot!(no_vpc, @"The vpc ID 'vpc-0123456789abcdef0' does not exist (InvalidVpcID.NotFound)");

        let vpc = create(&cx, "AWS::EC2::VPC", "V", json!({"CidrBlock": "10.0.0.0/16"}))
            .await
            .unwrap()
            .physical_id;
        let created = create(&cx, kind, "S", subnet(&vpc, "10.0.1.0/24"))
            .await
            .unwrap()
            .physical_id;
        let overlapping = create(&cx, kind, "T", subnet(&vpc, "10.0.0.0/20")).await.unwrap_err();
        assert_eq!(error_code(&overlapping), Some("InvalidSubnet.Conflict"));
        let outside = create(&cx, kind, "T", subnet(&vpc, "10.1.0.0/24")).await.unwrap_err();
        assert_eq!(error_code(&outside), Some("InvalidSubnet.Range"));

        let by_tag = json!({"Filters": [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "tag:team", "Values": ["bl*"]}]});
        let found = cx.call("ec2", "DescribeSubnets", by_tag).await.unwrap();
        assert_eq!(found["Subnets"][0]["SubnetId"], created);
        let types = |name: &str| cx.resource_type(name).unwrap();
        let in_use = types("AWS::EC2::VPC").delete(&cx, &vpc, &json!({})).await.unwrap_err();
        assert_eq!(error_code(&in_use), Some("DependencyViolation"));
        types(kind).delete(&cx, &created, &json!({})).await.unwrap();
        types("AWS::EC2::VPC").delete(&cx, &vpc, &json!({})).await.unwrap();
    }
}
