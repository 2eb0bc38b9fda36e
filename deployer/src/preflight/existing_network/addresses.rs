//! Free addresses of the subnets. Each task, database, broker and node of a load balancer has a network interface with one.

use platform::manifest::{Manifest, Service, SubnetTier};
use platform::stacks::Stack;

use super::super::problem::NetworkProblem;
use super::super::{PreflightFinding, fatal, warning};
use super::Survey;

/// "At least eight free IP addresses per subnet" (Application Load Balancers: "Subnets for your load balancer").
const BALANCER: u64 = 8;

/// Compares the free addresses with what is not deployed yet.
pub fn check(survey: &Survey, manifest: &Manifest, new: &[&Stack]) -> Vec<PreflightFinding> {
    let is_new = |name: &str| new.iter().any(|stack| stack.short_name == name);
    let mut findings = Vec::new();
    if is_new("platform") {
        let full = survey
            .of(SubnetTier::Public)
            .filter(|subnet| subnet.free_addresses < BALANCER);
        findings.extend(full.map(|subnet| {
            fatal(NetworkProblem::BalancerAddresses {
                subnet: subnet.id.clone(),
                free: subnet.free_addresses,
                needed: BALANCER,
            })
        }));
    }
    let services = || manifest.services.iter().filter(|service| is_new(&service.name));
    let tasks = |number: fn(&Service) -> u32| services().map(|service| u64::from(number(service))).sum::<u64>();
    let start = tasks(|service| {
        service
            .scaling
            .map_or(service.count, |scaling| scaling.minimum.max(service.count))
    });
    // A rollout starts as many new tasks before it stops the old ones.
    let rollout = 2 * tasks(|service| service.scaling.map_or(service.count, |scaling| scaling.maximum));
    let private = free(survey, SubnetTier::Private);
    let addresses = |tier, free, needed, use_| NetworkProblem::Addresses {
        tier,
        free,
        needed,
        use_,
    };
    if private < start {
        let use_ = "the tasks of the first start need";
        findings.push(fatal(addresses(SubnetTier::Private, private, start, use_)));
    } else if private < rollout {
        let use_ = "a rollout at the maximum of scaling needs";
        findings.push(warning(addresses(SubnetTier::Private, private, rollout, use_)));
    }
    let mut data = 0;
    if is_new("data") {
        let instances = manifest
            .databases
            .iter()
            .map(|database| if database.multi_az { 2u64 } else { 1 });
        data += instances.sum::<u64>();
    }
    if is_new("messaging") {
        let brokers = manifest.kafka.as_ref().filter(|kafka| kafka.bootstrap.is_none());
        data += brokers.map_or(0, |kafka| u64::from(kafka.brokers));
    }
    let isolated = free(survey, SubnetTier::Isolated);
    if isolated < data {
        let use_ = "databases and brokers need";
        findings.push(fatal(addresses(SubnetTier::Isolated, isolated, data, use_)));
    }
    findings
}

fn free(survey: &Survey, tier: SubnetTier) -> u64 {
    survey.of(tier).map(|subnet| subnet.free_addresses).sum()
}
