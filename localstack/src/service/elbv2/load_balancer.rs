//! Load balancers. The DNS name of each one is `localhost`, and its listeners are ports on it.

use super::attribute_kind::Kind;
use super::model::{LOAD_BALANCERS, arn_suffix, attribute};
use crate::records::{Record, RecordType, Records, texts};
use crate::{AwsError, Context, Desired, Resource, Schema};

/// The Route 53 hosted zone of the load balancers of us-east-1.
pub const HOSTED_ZONE_ID: &str = "Z35SXDOTRQ7X7K";

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
            return Err(AwsError::validation(format!(
                "The embedded endpoint supports application load balancers only, not {kind}."
            )));
        }
        let name = record.text("Name").unwrap_or_else(|| desired.generated_name(32));
        if name.len() > 32 || name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(AwsError::validation(format!(
                "The load balancer name '{name}' must be 1 to 32 alphanumeric characters and hyphens"
            )));
        }
        if LOAD_BALANCERS
            .find(cx, |r| r.computed("Name").as_ref() == Some(&name))?
            .is_some()
        {
            let message = format!("A load balancer with the same name '{name}' exists, but with different settings");
            return Err(AwsError::new("DuplicateLoadBalancerName", message));
        }
        let subnets = texts(record.properties.get("Subnets")).len()
            + record
                .properties
                .get("SubnetMappings")
                .and_then(|m| m.as_array())
                .map_or(0, Vec::len);
        if subnets < 2 {
            return Err(AwsError::validation(
                "At least two subnets in two different Availability Zones must be specified",
            ));
        }
        Kind::LoadBalancer.check(&record)?;
        let full = format!("app/{name}/{}", arn_suffix());
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
            .with("CanonicalHostedZoneID", HOSTED_ZONE_ID)
            .with("LoadBalancerArn", record.id.clone())
            .with("LoadBalancerFullName", record.computed("FullName").unwrap_or_default())
            .with("LoadBalancerName", record.computed("Name").unwrap_or_default())
            .with("SecurityGroups", groups)
    }

    fn update(_cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        Kind::LoadBalancer.check(record)
    }

    fn delete(_cx: &Context, record: &Record) -> Result<(), AwsError> {
        match attribute(record, "LoadBalancerAttributes", "deletion_protection.enabled").as_deref() {
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
