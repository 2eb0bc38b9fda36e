//! The check of an existing VPC: what its owner must provide is there before anything is created in it.

mod addresses;
mod moved;
mod routes;
mod zones;

use std::collections::{BTreeMap, BTreeSet};

use aws::subnets::{self, ChosenSubnets, Subnet, SubnetsError};
use aws::vpc::{self, RouteTable, Vpc, VpcEndpoint};
use aws::zones::Zone;
use aws::{Result, Session, account, cloudformation, ec2};
use platform::manifest::{ExistingNetwork, Manifest, SubnetTier, Subnets};
use platform::stacks::{Plan, Source, Stack};

use super::problem::NetworkProblem;
use super::{PreflightFinding, fatal, warning};

pub use moved::moved;

/// An existing VPC as far as it is visible, and the subnets of it that the platform uses.
struct Survey {
    vpc: Vpc,
    chosen: ChosenSubnets,
    subnets: Vec<Subnet>,
    tables: Vec<RouteTable>,
    endpoints: Vec<VpcEndpoint>,
    zones: Vec<Zone>,
    /// The VPC belongs to another account, which may hide its routes and endpoints.
    is_shared: bool,
}

impl Survey {
    /// Returns the subnets of a tier that exist.
    fn of(&self, tier: SubnetTier) -> impl Iterator<Item = &Subnet> {
        let ids = self.chosen.get(&tier).map_or(&[][..], Vec::as_slice);
        ids.iter()
            .filter_map(|id| self.subnets.iter().find(|subnet| subnet.id == *id))
    }

    /// Returns a fatal finding, or a warning if the owner of a shared VPC may hide the solution.
    fn visible(&self, problem: NetworkProblem) -> PreflightFinding {
        if self.is_shared {
            warning(problem)
        } else {
            fatal(problem)
        }
    }
}

/// Checks the VPC of the manifest, its subnets, their zones, routes and free addresses. Finds nothing for a VPC that the platform
/// creates.
///
/// # Errors
/// A request fails.
pub async fn check(
    aws: &Session,
    manifest: &Manifest,
    plan: &Plan,
    existing: &BTreeMap<String, cloudformation::Stack>,
    new: &[&Stack],
) -> Result<Vec<PreflightFinding>> {
    let (Some(network), Some(stack)) = (manifest.network.existing(), plan.stack("network")) else {
        return Ok(Vec::new());
    };
    let former = existing.get(&stack.name).filter(|former| !former.is_failed_create());
    if let Some(problem) = former.and_then(|former| moved(plan, former)) {
        return Ok(vec![fatal(problem)]);
    }
    let Some(vpc) = vpc::find(aws, &network.vpc).await? else {
        let (vpc, region) = (network.vpc.clone(), aws.region().to_owned());
        return Ok(vec![fatal(NetworkProblem::Missing { vpc, region })]);
    };
    let chosen = match subnets::resolve(aws, stack, former.map(|former| &former.parameters)).await {
        Ok(chosen) => chosen,
        Err(SubnetsError::TooFew(problem)) => return Ok(vec![fatal(NetworkProblem::from(problem))]),
        Err(SubnetsError::Request(error)) => return Err(error),
    };
    let needs = stack.parameters.iter().find_map(|parameter| match &parameter.source {
        Source::Subnets { needs, .. } => Some(needs),
        _ => None,
    });
    let zones = async {
        match needs {
            Some(needs) => aws::zones::survey(aws, needs).await,
            None => Ok(Vec::new()),
        }
    };
    let (subnets, tables, endpoints, zones, identity) = tokio::try_join!(
        subnets::of_vpc(aws, &network.vpc),
        vpc::route_tables(aws, &network.vpc),
        vpc::endpoints(aws, &network.vpc),
        zones,
        account::identity(aws),
    )?;
    let survey = Survey {
        is_shared: !vpc.owner.is_empty() && vpc.owner != identity.account,
        vpc,
        chosen,
        subnets,
        tables,
        endpoints,
        zones,
    };
    let mut findings = settings(&survey);
    let missing = missing(&survey);
    if !missing.is_empty() {
        findings.extend(missing);
        return Ok(findings);
    }
    findings.extend(kept(&survey, network));
    findings.extend(zones::check(&survey, manifest));
    findings.extend(routes::check(&survey, manifest));
    findings.extend(addresses::check(&survey, manifest, new));
    // A rule may name a security group of the platform once that exists.
    if former.is_none() {
        findings.extend(closed_endpoints(aws, &survey, manifest).await?);
    }
    Ok(findings)
}

/// Private hosted zones, and private DNS of endpoints, need both attributes (Route 53 Developer Guide: "Considerations when working with
/// a private hosted zone").
fn settings(survey: &Survey) -> Vec<PreflightFinding> {
    let vpc = &survey.vpc;
    let mut findings = Vec::new();
    for (is_set, setting) in [(vpc.dns_support, "support"), (vpc.dns_hostnames, "hostnames")] {
        if !is_set {
            let vpc = vpc.id.clone();
            findings.push(fatal(NetworkProblem::Dns { vpc, setting }));
        }
    }
    if survey.is_shared {
        let (vpc, owner) = (vpc.id.clone(), vpc.owner.clone());
        findings.push(warning(NetworkProblem::Shared { vpc, owner }));
    }
    findings
}

/// Returns a finding for each subnet that the VPC does not have.
fn missing(survey: &Survey) -> Vec<PreflightFinding> {
    let mut reported = BTreeSet::new();
    let all = survey
        .chosen
        .iter()
        .flat_map(|(tier, ids)| ids.iter().map(|id| (*tier, id)));
    all.filter(|(_, id)| survey.subnets.iter().all(|subnet| subnet.id != **id))
        // `isolated_subnets` are the private ones by default.
        .filter(|(_, id)| reported.insert(*id))
        .map(|(tier, id)| {
            let (subnet, vpc) = (id.clone(), survey.vpc.id.clone());
            fatal(NetworkProblem::NotInVpc { tier, subnet, vpc })
        })
        .collect()
}

/// Returns a warning for each deployed subnet that lacks the tag of the manifest: it stays, and another tag changes nothing.
fn kept(survey: &Survey, network: &ExistingNetwork) -> Vec<PreflightFinding> {
    let mut findings = Vec::new();
    for tier in SubnetTier::ALL {
        let Subnets::Tag(tag) = network.subnets(tier) else {
            continue;
        };
        let other = survey
            .of(tier)
            .find(|subnet| subnet.tags.get(&tag.key) != Some(&tag.value));
        findings.extend(other.map(|subnet| {
            let subnet = subnet.id.clone();
            warning(NetworkProblem::OtherTag { tier, subnet })
        }));
    }
    findings
}

/// Returns a warning for each interface endpoint without a rule for a subnet of tasks that has no other way to AWS's APIs.
async fn closed_endpoints(aws: &Session, survey: &Survey, manifest: &Manifest) -> Result<Vec<PreflightFinding>> {
    let mut findings = Vec::new();
    for (endpoint, subnets) in routes::needed_interfaces(survey, manifest) {
        let rules = ec2::security_group_rules(aws, &endpoint.groups).await?;
        let closed = subnets
            .into_iter()
            .find(|subnet| !rules.iter().any(|rule| routes::accepts(rule, subnet)));
        findings.extend(closed.map(|subnet| {
            warning(NetworkProblem::EndpointClosed {
                endpoint: endpoint.id.clone(),
                api: endpoint.api.clone(),
                subnet: subnet.id.clone(),
                cidr: subnet.cidr.clone(),
            })
        }));
    }
    Ok(findings)
}

#[cfg(test)]
mod tests;
