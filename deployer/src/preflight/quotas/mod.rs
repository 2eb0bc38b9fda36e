//! The check of the account's service quotas: how many of a thing the new stacks need, and how many exist.

mod fargate;

use aws::quotas::{self, Quota};
use aws::{Result, Session, ec2, elb, kafka};
use futures::future::try_join_all;
use platform::stacks::{Plan, Stack};

use super::problem::QuotaProblem;
use super::{PreflightFinding, fatal, resources, warning};

/// A quota, by the number of a thing in an account and region. Codes: AWS General Reference, "Service endpoints and quotas" of each
/// service.
#[derive(Debug, Clone, Copy)]
struct Countable {
    quota: Quota,
    /// The quota's name, as Service Quotas shows it.
    name: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Vpcs,
    Addresses,
    /// In the zone that has most of them.
    NatGateways,
    LoadBalancers,
    Databases,
    Brokers,
}

const fn countable(service: &'static str, code: &'static str, name: &'static str, kind: Kind) -> Countable {
    let quota = Quota { service, code };
    Countable { quota, name, kind }
}

const COUNTABLE: [Countable; 6] = [
    countable("vpc", "L-F678F1CE", "VPCs per Region", Kind::Vpcs),
    countable("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs", Kind::Addresses),
    countable(
        "vpc",
        "L-FE5A380F",
        "NAT gateways per Availability Zone",
        Kind::NatGateways,
    ),
    countable(
        "elasticloadbalancing",
        "L-53DA6B97",
        "Application Load Balancers per Region",
        Kind::LoadBalancers,
    ),
    countable("rds", "L-7B6409FD", "DB instances", Kind::Databases),
    countable("kafka", "L-EDD31C36", "Number of brokers per account", Kind::Brokers),
];

impl Kind {
    /// Returns how many the stacks create.
    fn needed(self, new: &[&Stack]) -> usize {
        let count = |kind: &str| resources(new, kind).count();
        match self {
            Self::Vpcs => count("AWS::EC2::VPC"),
            Self::Addresses => count("AWS::EC2::EIP"),
            // They are spread over the zones.
            Self::NatGateways => count("AWS::EC2::NatGateway").min(1),
            Self::LoadBalancers => count("AWS::ElasticLoadBalancingV2::LoadBalancer"),
            Self::Databases => count("AWS::RDS::DBInstance"),
            Self::Brokers => resources(new, "AWS::MSK::Cluster")
                .filter_map(|cluster| cluster["Properties"]["NumberOfBrokerNodes"].as_u64())
                .filter_map(|brokers| usize::try_from(brokers).ok())
                .sum(),
        }
    }

    /// Returns how many the account has in the region.
    async fn existing(self, aws: &Session) -> Result<usize> {
        match self {
            Self::Vpcs => Ok(ec2::vpcs(aws, &[]).await?.len()),
            Self::Addresses => Ok(ec2::addresses(aws, &[]).await?.len()),
            Self::NatGateways => Ok(ec2::nat_gateways_by_zone(aws).await?.into_values().max().unwrap_or(0)),
            Self::LoadBalancers => elb::application_load_balancers(aws).await,
            Self::Databases => quotas::db_instances(aws).await,
            Self::Brokers => kafka::broker_count(aws).await,
        }
    }
}

/// Compares what the stacks create with what the quotas leave, and the plan's tasks with the vCPUs of Fargate.
///
/// # Errors
/// A request fails. On an endpoint without Service Quotas there is no finding.
pub async fn check(aws: &Session, plan: &Plan, new: &[&Stack]) -> Result<Vec<PreflightFinding>> {
    let counts = try_join_all(COUNTABLE.iter().map(|countable| count(aws, countable, new)));
    let (counts, vcpus) = tokio::join!(counts, fargate::check(aws, plan, new));
    let found = counts.and_then(|counts| Ok([counts.into_iter().flatten().collect(), vcpus?].concat()));
    match found {
        Err(error) if error.is_unsupported() => Ok(Vec::new()),
        found => found,
    }
}

async fn count(aws: &Session, countable: &Countable, new: &[&Stack]) -> Result<Option<PreflightFinding>> {
    let needed = countable.kind.needed(new);
    if needed == 0 {
        return Ok(None);
    }
    let (value, used) = tokio::join!(quotas::value(aws, countable.quota), countable.kind.existing(aws));
    let (Some(value), used) = (value?, used?) else {
        return Ok(None);
    };
    let problem = QuotaProblem::Exceeded {
        quota: countable.quota,
        name: countable.name,
        needed,
        used,
        value,
        region: aws.region().to_owned(),
    };
    let exceeded = (used + needed) as f64 > value;
    // Which zone is full matters for NAT gateways, and the zones of a new network are chosen later.
    let certain = countable.kind != Kind::NatGateways;
    Ok(exceeded.then(|| if certain { fatal(problem) } else { warning(problem) }))
}

#[cfg(test)]
mod tests;
