//! `AWS::EC2::VPC`.

use serde_json::{Value, json};

use super::describe::flag;
use super::error::{dependency_violation, invalid_parameter};
use super::model::{
    self, EGRESS_ONLY_GATEWAYS, GATEWAY_ATTACHMENTS, NETWORK_ACLS, ROUTE_TABLES, SECURITY_GROUPS, SUBNETS, VPC_BLOCKS,
    VPC_ENDPOINTS, VPCS, new_id,
};
use super::{dhcp_options, network_acl, route, security_group, vpc_block};
use crate::records::{Record, RecordType, Records};
use crate::service::Call;
use crate::{AwsError, Context, Desired, Resource, Schema};

pub struct Vpc;

impl RecordType for Vpc {
    const TYPE: &'static str = "AWS::EC2::VPC";
    const RECORDS: Records = VPCS;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "CidrBlock",
                "EnableDnsHostnames",
                "EnableDnsSupport",
                "InstanceTenancy",
                "Tags",
            ],
            required: &["CidrBlock"],
            create_only: &["CidrBlock"],
            attributes: &[
                "VpcId",
                "CidrBlock",
                "CidrBlockAssociations",
                "DefaultNetworkAcl",
                "DefaultSecurityGroup",
                "Ipv6CidrBlocks",
            ],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new(new_id("vpc"), desired);
        let block = model::block(&record)?;
        if !(16..=28).contains(&block.prefix_len()) {
            return Err(AwsError::new(
                "InvalidVpc.Range",
                format!("The CIDR '{block}' is invalid."),
            ));
        }
        let group = security_group::create_default(cx, &record.id)?;
        let table = route::create_main(cx, &record.id, &block.to_string())?;
        record.computed.insert("DefaultSecurityGroup".into(), group.into());
        record.computed.insert("MainRouteTable".into(), table.into());
        let acl = network_acl::create_default(cx, &record.id)?;
        record.computed.insert("DefaultNetworkAcl".into(), acl.into());
        record
            .computed
            .insert("Association".into(), new_id("vpc-cidr-assoc").into());
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id)
            .with("VpcId", record.id.clone())
            .with("CidrBlock", record.text("CidrBlock").unwrap_or_default())
            .with("CidrBlockAssociations", json!([record.computed("Association")]))
            .with(
                "DefaultNetworkAcl",
                record.computed("DefaultNetworkAcl").unwrap_or_default(),
            )
            .with(
                "DefaultSecurityGroup",
                record.computed("DefaultSecurityGroup").unwrap_or_default(),
            )
            .with("Ipv6CidrBlocks", json!([]))
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        let own = [
            record.computed("DefaultSecurityGroup"),
            record.computed("MainRouteTable"),
            record.computed("DefaultNetworkAcl"),
        ];
        let kinds = [
            SUBNETS,
            SECURITY_GROUPS,
            ROUTE_TABLES,
            NETWORK_ACLS,
            EGRESS_ONLY_GATEWAYS,
            GATEWAY_ATTACHMENTS,
            VPC_ENDPOINTS,
        ];
        for records in kinds {
            let within = |r: &Record| r.has("VpcId", &record.id) && !own.contains(&Some(r.id.clone()));
            if let Some(user) = records.find(cx, within)? {
                let reason = format!(
                    "The vpc '{}' has dependencies and cannot be deleted: {}",
                    record.id, user.id
                );
                return Err(dependency_violation(reason));
            }
        }
        if let Some(group) = record.computed("DefaultSecurityGroup") {
            security_group::delete(cx, &group)?;
        }
        if let Some(table) = record.computed("MainRouteTable") {
            route::delete_routes(cx, &table)?;
            ROUTE_TABLES.delete(cx, &table)?;
        }
        if let Some(acl) = record.computed("DefaultNetworkAcl") {
            network_acl::delete_default(cx, &acl)?;
        }
        for block in vpc_block::of_vpc(cx, &record.id)? {
            VPC_BLOCKS.delete(cx, &block.id)?;
        }
        Ok(())
    }
}

pub fn describe(cx: &Context) -> Result<Vec<Value>, AwsError> {
    let shown = |vpc: &Record| -> Result<Value, AwsError> {
        let block = vpc.text("CidrBlock");
        let first = vpc_block::shown(vpc.computed("Association").as_deref(), block.as_deref(), "associated");
        let others = vpc_block::of_vpc(cx, &vpc.id)?;
        let others = others
            .iter()
            .map(|block| vpc_block::shown(Some(&block.id), block.text("CidrBlock").as_deref(), "associated"));
        Ok(json!({
            "VpcId": vpc.id, "CidrBlock": block, "State": "available", "IsDefault": model::is_default(vpc), "OwnerId": cx.account(),
            "InstanceTenancy": vpc.text("InstanceTenancy").unwrap_or_else(|| "default".into()),
            "DhcpOptionsId": dhcp_options::of_vpc(vpc), "Tags": vpc.tag_list(),
            "CidrBlockAssociationSet": std::iter::once(first).chain(others).collect::<Vec<_>>(),
        }))
    };
    VPCS.list(cx)?.iter().map(shown).collect()
}

/// Attributes with their defaults in a VPC that is not the account's default one (Amazon VPC User Guide: "DNS attributes in your VPC").
const ATTRIBUTES: [(&str, bool); 3] = [
    ("EnableDnsSupport", true),
    ("EnableDnsHostnames", false),
    ("EnableNetworkAddressUsageMetrics", false),
];

/// Returns one attribute of a VPC.
///
/// # Errors
/// The VPC or the attribute does not exist.
pub fn describe_attribute(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let vpc = model::vpc(cx, &call.text("VpcId").unwrap_or_default())?;
    let name = call.text("Attribute").unwrap_or_default();
    let Some((member, default)) = ATTRIBUTES.iter().find(|(member, _)| member.eq_ignore_ascii_case(&name)) else {
        return Err(invalid_parameter(format!(
            "Value ({name}) for parameter attribute is invalid. Unknown VPC attribute."
        )));
    };
    Ok(json!({ "VpcId": vpc.id, *member: { "Value": flag(&vpc, member, *default) } }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::{context_with, create};

    #[tokio::test]
    async fn the_dns_attributes_are_those_of_the_properties_or_the_defaults() {
        let (cx, _folder) = context_with(vec![crate::service::ec2::service()]);
        let vpc = async |properties: Value| create(&cx, "AWS::EC2::VPC", "V", properties).await.unwrap().physical_id;
        let attribute = async |vpc: &str, name: &str| {
            let input = json!({"VpcId": vpc, "Attribute": name});
            cx.call("ec2", "DescribeVpcAttribute", input).await
        };
        let plain = vpc(json!({"CidrBlock": "10.0.0.0/16"})).await;
        let named =
            vpc(json!({"CidrBlock": "10.1.0.0/16", "EnableDnsHostnames": true, "EnableDnsSupport": "false"})).await;
        for (vpc, support, hostnames) in [(&plain, true, false), (&named, false, true)] {
            let found = attribute(vpc, "enableDnsSupport").await.unwrap();
            assert_eq!(found["EnableDnsSupport"]["Value"], support);
            let found = attribute(vpc, "enableDnsHostnames").await.unwrap();
            assert_eq!(found["EnableDnsHostnames"]["Value"], hostnames);
        }
        let unknown = attribute(&plain, "enableTelepathy").await.unwrap_err();
        assert_eq!(unknown.code, "InvalidParameterValue");
        let missing = attribute("vpc-0123456789abcdef0", "enableDnsSupport")
            .await
            .unwrap_err();
        assert_eq!(missing.code, "InvalidVpcID.NotFound");
    }
}
