//! The availability zones of the subnets.

use std::collections::BTreeMap;

use platform::manifest::{Manifest, SubnetTier};

use super::super::problem::NetworkProblem;
use super::super::{PreflightFinding, fatal, warning};
use super::Survey;

/// Checks that each tier is in zones that its users accept.
pub fn check(survey: &Survey, manifest: &Manifest) -> Vec<PreflightFinding> {
    let has_brokers = manifest.kafka.as_ref().is_some_and(|kafka| kafka.bootstrap.is_none());
    let has_data = has_brokers || !manifest.databases.is_empty();
    let mut findings = Vec::new();
    // Application Load Balancer: subnets of at least two zones, one in each (Elastic Load Balancing API: `CreateLoadBalancer`).
    findings.extend(two_zones(survey, SubnetTier::Public).map(fatal));
    findings.extend(one_in_each(survey, SubnetTier::Public));
    // ECS accepts one zone, whose outage is then one of every task.
    findings.extend(two_zones(survey, SubnetTier::Private).map(warning));
    findings.extend(without_balancer(survey));
    if has_data {
        // A DB subnet group has subnets of at least two zones (Amazon RDS User Guide: "Working with a DB instance in a VPC").
        findings.extend(two_zones(survey, SubnetTier::Isolated).map(fatal));
    }
    if has_brokers {
        // `BrokerNodeGroupInfo`: "The subnets that you specify must be in distinct Availability Zones" (Amazon MSK API Reference).
        findings.extend(one_in_each(survey, SubnetTier::Isolated));
    }
    findings.extend(without_needs(survey, has_brokers));
    findings
}

/// Returns the subnets of a tier by their zones.
fn by_zone(survey: &Survey, tier: SubnetTier) -> BTreeMap<&str, Vec<String>> {
    let mut zones: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for subnet in survey.of(tier) {
        zones.entry(&subnet.zone).or_default().push(subnet.id.clone());
    }
    zones
}

fn two_zones(survey: &Survey, tier: SubnetTier) -> Option<NetworkProblem> {
    let zones = by_zone(survey, tier);
    let (zone, _) = zones.first_key_value().filter(|_| zones.len() == 1)?;
    Some(NetworkProblem::OneZone {
        tier,
        zone: (*zone).to_owned(),
    })
}

fn one_in_each(survey: &Survey, tier: SubnetTier) -> Vec<PreflightFinding> {
    let several = by_zone(survey, tier)
        .into_iter()
        .filter(|(_, subnets)| subnets.len() > 1);
    let finding = |(zone, subnets): (&str, Vec<String>)| {
        let zone = zone.to_owned();
        fatal(NetworkProblem::SameZone { tier, zone, subnets })
    };
    several.map(finding).collect()
}

/// "If you register targets in an Availability Zone but do not enable the Availability Zone, these registered targets do not receive
/// traffic" (Elastic Load Balancing User Guide: "How Elastic Load Balancing works").
fn without_balancer(survey: &Survey) -> Vec<PreflightFinding> {
    let enabled = by_zone(survey, SubnetTier::Public);
    let outside = survey
        .of(SubnetTier::Private)
        .filter(|subnet| !enabled.contains_key(subnet.zone.as_str()));
    let finding = |subnet: &aws::subnets::Subnet| {
        fatal(NetworkProblem::ZoneWithoutBalancer {
            subnet: subnet.id.clone(),
            zone: subnet.zone.clone(),
        })
    };
    outside.map(finding).collect()
}

/// A broker is in each subnet, and a database in one of those whose zones offer its class.
fn without_needs(survey: &Survey, has_brokers: bool) -> Vec<PreflightFinding> {
    let lacks = |zone: &str| {
        survey
            .zones
            .iter()
            .find(|found| found.name == zone)
            .map_or(&[][..], |found| found.lacks.as_slice())
    };
    let mut findings = Vec::new();
    let mut everywhere: Option<Vec<String>> = None;
    for subnet in survey.of(SubnetTier::Isolated) {
        let lacking = lacks(&subnet.zone);
        if has_brokers && lacking.iter().any(|need| need == "MSK") {
            findings.push(fatal(NetworkProblem::ZoneWithoutKafka {
                subnet: subnet.id.clone(),
                zone: subnet.zone.clone(),
            }));
        }
        everywhere = Some(match everywhere {
            None => lacking.to_vec(),
            Some(known) => known.into_iter().filter(|need| lacking.contains(need)).collect(),
        });
    }
    let classes = everywhere.into_iter().flatten().filter(|need| need != "MSK");
    findings.extend(classes.map(|class| {
        let tier = SubnetTier::Isolated;
        fatal(NetworkProblem::ZonesWithoutClass { tier, class })
    }));
    findings
}
