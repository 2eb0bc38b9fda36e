//! Load balancers. A load balancer here is its listeners; its DNS name is `localhost`.

use super::{refused, suffix};
use crate::records::{Record, RecordType, Records, texts};
use crate::{AwsError, Context, Desired, Resource, Schema};

pub const LOAD_BALANCERS: Records = Records("elbv2.load-balancers");
/// Where Route 53 would find the load balancers of us-east-1.
pub const ZONE: &str = "Z35SXDOTRQ7X7K";

pub struct LoadBalancer;

impl RecordType for LoadBalancer {
    const TYPE: &'static str = "AWS::ElasticLoadBalancingV2::LoadBalancer";
    const RECORDS: Records = LOAD_BALANCERS;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "EnablePrefixForIpv6SourceNat",
                "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic",
                "IpAddressType",
                "Ipv4IpamPoolId",
                "LoadBalancerAttributes",
                "MinimumLoadBalancerCapacity",
                "Name",
                "Scheme",
                "SecurityGroups",
                "SubnetMappings",
                "Subnets",
                "Tags",
                "Type",
            ],
            create_only: &["Name", "Scheme", "Type"],
            attributes: &[
                "CanonicalHostedZoneID",
                "DNSName",
                "LoadBalancerArn",
                "LoadBalancerFullName",
                "LoadBalancerName",
                "SecurityGroups",
            ],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        if let Some(kind) = record.text("Type").filter(|t| t != "application") {
            return Err(refused(format!(
                "The embedded endpoint has application load balancers only, not {kind}."
            )));
        }
        let name = record.text("Name").unwrap_or_else(|| desired.generated_name(32));
        if name.len() > 32 || name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(refused(format!(
                "The load balancer name '{name}' must be 1 to 32 letters, digits and hyphens"
            )));
        }
        if LOAD_BALANCERS
            .find(cx, |r| r.computed("Name").as_ref() == Some(&name))?
            .is_some()
        {
            let words = format!("A load balancer with the same name '{name}' exists, but with different settings");
            return Err(AwsError::new("DuplicateLoadBalancerName", words));
        }
        let subnets = texts(record.properties.get("Subnets")).len()
            + record
                .properties
                .get("SubnetMappings")
                .and_then(|m| m.as_array())
                .map_or(0, Vec::len);
        if subnets < 2 {
            return Err(refused(
                "At least two subnets in two different Availability Zones must be specified",
            ));
        }
        let full = format!("app/{name}/{}", suffix());
        record.id = cx.arn("elasticloadbalancing", &format!("loadbalancer/{full}"));
        record.computed.insert("Name".into(), name.into());
        record.computed.insert("FullName".into(), full.into());
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        let groups = record
            .properties
            .get("SecurityGroups")
            .cloned()
            .unwrap_or_else(|| serde_json::json!([]));
        Resource::new(&record.id)
            .with("DNSName", "localhost")
            .with("CanonicalHostedZoneID", ZONE)
            .with("LoadBalancerArn", record.id.clone())
            .with("LoadBalancerFullName", record.computed("FullName").unwrap_or_default())
            .with("LoadBalancerName", record.computed("Name").unwrap_or_default())
            .with("SecurityGroups", groups)
    }

    fn delete(_cx: &Context, record: &Record) -> Result<(), AwsError> {
        match super::attribute(record, "LoadBalancerAttributes", "deletion_protection.enabled").as_deref() {
            Some("true") => Err(AwsError::new(
                "OperationNotPermitted",
                format!(
                    "Load balancer '{}' cannot be deleted because deletion protection is enabled",
                    record.id
                ),
            )),
            _ => Ok(()),
        }
    }
}

pub fn named(cx: &Context, arn: &str) -> Result<Record, AwsError> {
    LOAD_BALANCERS
        .get(cx, arn)?
        .ok_or_else(|| AwsError::new("LoadBalancerNotFound", format!("Load balancers '[{arn}]' not found")))
}
