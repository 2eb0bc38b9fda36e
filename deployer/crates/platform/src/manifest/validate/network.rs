//! Validation of the VPC: the settings of a new one, or the subnets of an existing one.

use ipnet::Ipv4Net;

use super::super::file::{self, Nat};
use super::super::network::is_id;
use super::super::problem::Problem;
use super::super::{ExistingNetwork, Network, NewNetwork, SubnetTier, Subnets};
use super::{ErrorContext, Validated};

/// Returns the VPC. The settings of a new one and those of an existing one exclude each other.
pub fn network(context: &ErrorContext, written: &file::Network) -> Validated<Network> {
    match &written.vpc {
        Some(vpc) => existing(context, written, vpc).map(Network::Existing),
        None => new(context, written).map(Network::New),
    }
}

fn new(context: &ErrorContext, written: &file::Network) -> Validated<NewNetwork> {
    for tier in SubnetTier::ALL {
        if subnets_of(written, tier).is_some() {
            return context.reject(&["network", tier.key()], Problem::SubnetsWithoutVpc);
        }
    }
    let text = written.cidr.as_deref().unwrap_or("10.0.0.0/16");
    let cidr: Option<Ipv4Net> = text.parse().ok();
    let Some(cidr) = cidr.filter(|cidr| (16..=20).contains(&cidr.prefix_len()) && cidr.trunc() == *cidr) else {
        return context.reject(&["network", "cidr"], Problem::PlatformNetwork(text.to_owned()));
    };
    if !cidr.addr().is_private() {
        return context.reject(&["network", "cidr"], Problem::PublicNetwork(cidr));
    }
    Ok(NewNetwork {
        cidr,
        availability_zones: zones(context, written)?,
        nat: written.nat.unwrap_or(Nat::Single),
        flow_logs: written.flow_logs.unwrap_or(false),
    })
}

fn existing(context: &ErrorContext, written: &file::Network, vpc: &str) -> Validated<ExistingNetwork> {
    if !is_id(vpc, "vpc-") {
        return context.reject(&["network", "vpc"], Problem::VpcId(vpc.to_owned()));
    }
    for (key, is_set) in [
        ("cidr", written.cidr.is_some()),
        ("nat", written.nat.is_some()),
        ("flow_logs", written.flow_logs.is_some()),
    ] {
        if is_set {
            return context.reject(&["network", key], Problem::ExistingVpc);
        }
    }
    let parse = |tier: SubnetTier| {
        let parsed = subnets_of(written, tier).map(Subnets::parse).transpose();
        parsed.or_else(|problem| context.reject(&["network", tier.key()], problem))
    };
    let required = |tier: SubnetTier, users: &'static str| match parse(tier)? {
        Some(subnets) => Ok(subnets),
        None => context.reject(&["network", tier.key()], Problem::NoSubnets(users)),
    };
    let public = required(SubnetTier::Public, "the load balancer")?;
    let private = required(SubnetTier::Private, "the tasks")?;
    let isolated = parse(SubnetTier::Isolated)?.unwrap_or_else(|| private.clone());
    let by_tag = [&public, &private, &isolated]
        .iter()
        .any(|subnets| matches!(subnets, Subnets::Tag(_)));
    if written.availability_zones.is_some() && !by_tag {
        return context.reject(&["network", "availability_zones"], Problem::ZonesOfSubnets);
    }
    Ok(ExistingNetwork {
        vpc: vpc.to_owned(),
        availability_zones: zones(context, written)?,
        public,
        private,
        isolated,
    })
}

fn zones(context: &ErrorContext, written: &file::Network) -> Validated<u8> {
    let zones = written.availability_zones.unwrap_or(2);
    context.in_range(&["network", "availability_zones"], zones.into(), 2, 3, "")?;
    Ok(zones)
}

fn subnets_of(written: &file::Network, tier: SubnetTier) -> Option<&file::Subnets> {
    match tier {
        SubnetTier::Public => written.public_subnets.as_ref(),
        SubnetTier::Private => written.private_subnets.as_ref(),
        SubnetTier::Isolated => written.isolated_subnets.as_ref(),
    }
}
