//! Subnets of an existing VPC: those that exist, and the choice among those with a tag.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use platform::manifest::{ExistingNetwork, SubnetTier, Subnets, Tag};
use platform::stacks::{Source, Stack};
use serde_json::{Value, json};

use crate::ec2::{filter, list, text};
use crate::error::{Error, Result};
use crate::session::Session;
use crate::signed_request::{DESCRIBE_SUBNETS, items};
use crate::zones;

/// A subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// The ID, `subnet-…`.
    pub id: String,
    /// The name of its zone.
    pub zone: String,
    /// Its IPv4 network.
    pub cidr: String,
    /// Addresses that nothing uses.
    pub free_addresses: u64,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// The IDs of the subnets of each tier.
pub type ChosenSubnets = BTreeMap<SubnetTier, Vec<String>>;

/// Subnets that cannot be chosen.
#[derive(Debug, thiserror::Error)]
pub enum SubnetsError {
    /// A request fails.
    #[error(transparent)]
    Request(#[from] Error),
    /// The VPC has too few zones with a subnet that has the tag.
    #[error(transparent)]
    TooFew(#[from] TooFewSubnets),
}

/// Too few zones with a subnet that has a tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{tier}: {vpc} has subnets with the tag {} = {} in {}, and {needed} zones are needed",
    .tag.key,
    .tag.value,
    in_zones(.zones)
)]
pub struct TooFewSubnets {
    /// The subnets' use.
    pub tier: SubnetTier,
    /// The VPC.
    pub vpc: String,
    /// The tag.
    pub tag: Tag,
    /// The zones that have one and offer what databases and brokers need.
    pub zones: Vec<String>,
    /// The number of zones that are needed.
    pub needed: usize,
}

fn in_zones(zones: &[String]) -> String {
    if zones.is_empty() {
        "no usable zone".to_owned()
    } else {
        zones.join(" and ")
    }
}

/// Returns the subnets of a VPC.
///
/// # Errors
/// The request fails.
pub async fn of_vpc(aws: &Session, vpc: &str) -> Result<Vec<Subnet>> {
    let input = json!({ "Filter": [filter("vpc-id", &[vpc.to_owned()])] });
    let subnets = list(aws, DESCRIBE_SUBNETS, input, "subnetSet").await?;
    let subnet = |subnet: &Value| Subnet {
        id: text(subnet, "subnetId"),
        zone: text(subnet, "availabilityZone"),
        cidr: text(subnet, "cidrBlock"),
        free_addresses: text(subnet, "availableIpAddressCount").parse().unwrap_or_default(),
        tags: items(&subnet["tagSet"], "item")
            .into_iter()
            .map(|tag| (text(tag, "key"), text(tag, "value")))
            .collect(),
    };
    Ok(subnets.iter().map(subnet).collect())
}

/// Returns the subnets of a stack's parameters: those that the manifest lists, those that were chosen for the deployed stack, or a
/// new choice. `former` are the deployed parameters.
///
/// # Errors
/// A request fails, or the VPC has too few zones with a tag.
pub async fn resolve(
    aws: &Session,
    stack: &Stack,
    former: Option<&BTreeMap<String, String>>,
) -> Result<ChosenSubnets, SubnetsError> {
    let mut found = stack.parameters.iter().filter_map(|parameter| match &parameter.source {
        Source::Subnets { network, needs, .. } => Some((network, needs)),
        _ => None,
    });
    let Some((network, needs)) = found.next() else {
        return Ok(ChosenSubnets::new());
    };
    let kept = fixed(network, former);
    if kept.len() == SubnetTier::ALL.len() {
        return Ok(kept);
    }
    let (subnets, zones) = tokio::try_join!(of_vpc(aws, &network.vpc), zones::survey(aws, needs))?;
    let lacking = zones.into_iter().filter(|zone| !zone.lacks.is_empty());
    let lacking = lacking.map(|zone| zone.name).collect();
    Ok(choose(network, &subnets, &kept, &lacking)?)
}

/// Returns the subnets that need no choice: those of a list, and those that a deployed stack has already.
fn fixed(network: &ExistingNetwork, former: Option<&BTreeMap<String, String>>) -> ChosenSubnets {
    let known = SubnetTier::ALL.into_iter().filter_map(|tier| {
        let ids = match network.subnets(tier) {
            Subnets::Ids(ids) => ids.clone(),
            Subnets::Tag(_) => {
                let deployed = former?.get(tier.parameter()).filter(|ids| !ids.is_empty())?;
                deployed.split(',').map(str::to_owned).collect()
            }
        };
        Some((tier, ids))
    });
    known.collect()
}

/// Completes the subnets: for a tag one in each zone, in zones that all tiers have if possible, and of several in a zone the one with
/// most free addresses.
///
/// # Errors
/// There are too few zones with the tag.
pub fn choose(
    network: &ExistingNetwork,
    subnets: &[Subnet],
    kept: &ChosenSubnets,
    lacking: &BTreeSet<String>,
) -> Result<ChosenSubnets, TooFewSubnets> {
    let candidates = |tier: SubnetTier| -> Vec<&Subnet> {
        let fits = |subnet: &&Subnet| match (kept.get(&tier), network.subnets(tier)) {
            (Some(ids), _) | (None, Subnets::Ids(ids)) => ids.contains(&subnet.id),
            (None, Subnets::Tag(tag)) => {
                subnet.tags.get(&tag.key) == Some(&tag.value) && !lacking.contains(&subnet.zone)
            }
        };
        subnets.iter().filter(fits).collect()
    };
    let zones =
        |tier: SubnetTier| -> BTreeSet<&str> { candidates(tier).iter().map(|subnet| subnet.zone.as_str()).collect() };
    let mut chosen = kept.clone();
    for tier in SubnetTier::ALL {
        let Subnets::Tag(tag) = network.subnets(tier) else {
            continue;
        };
        if kept.contains_key(&tier) {
            continue;
        }
        let own = zones(tier);
        let is_common = |zone: &&str| SubnetTier::ALL.iter().all(|other| zones(*other).contains(zone));
        let (common, others): (Vec<&str>, Vec<&str>) = own.iter().copied().partition(is_common);
        let needed = usize::from(network.availability_zones);
        let order: Vec<&str> = common.into_iter().chain(others).take(needed).collect();
        if order.len() < needed {
            return Err(TooFewSubnets {
                tier,
                vpc: network.vpc.clone(),
                tag: tag.clone(),
                zones: own.into_iter().map(str::to_owned).collect(),
                needed,
            });
        }
        let in_zone = |zone: &&str| {
            let here = candidates(tier).into_iter().filter(|subnet| subnet.zone == *zone);
            here.min_by_key(|subnet| (Reverse(subnet.free_addresses), subnet.id.clone()))
        };
        let mut ids: Vec<String> = order
            .iter()
            .filter_map(in_zone)
            .map(|subnet| subnet.id.clone())
            .collect();
        ids.sort_unstable();
        chosen.insert(tier, ids);
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(id: &str, zone: &str, tier: &str, free_addresses: u64) -> Subnet {
        Subnet {
            id: format!("subnet-{id}"),
            zone: zone.to_owned(),
            cidr: String::new(),
            free_addresses,
            tags: BTreeMap::from([("tier".to_owned(), tier.to_owned())]),
        }
    }

    fn by_tag(zones: u8) -> ExistingNetwork {
        let tag = |value: &str| {
            Subnets::Tag(Tag {
                key: "tier".to_owned(),
                value: value.to_owned(),
            })
        };
        ExistingNetwork {
            vpc: "vpc-1".to_owned(),
            availability_zones: zones,
            public: tag("public"),
            private: tag("private"),
            isolated: tag("private"),
        }
    }

    fn ids(chosen: &ChosenSubnets, tier: SubnetTier) -> Vec<&str> {
        chosen[&tier]
            .iter()
            .map(|id| id.trim_start_matches("subnet-"))
            .collect()
    }

    #[test]
    fn a_tag_is_one_subnet_in_each_zone_in_zones_that_all_tiers_have() {
        let subnets = [
            subnet("pb", "b", "public", 9),
            subnet("pc", "c", "public", 9),
            subnet("ra", "a", "private", 9),
            subnet("rb1", "b", "private", 10),
            subnet("rb2", "b", "private", 20),
            subnet("rc", "c", "private", 9),
        ];
        let chosen = choose(&by_tag(2), &subnets, &ChosenSubnets::new(), &BTreeSet::new()).expect("subnets");
        assert_eq!(ids(&chosen, SubnetTier::Public), ["pb", "pc"]);
        assert_eq!(ids(&chosen, SubnetTier::Private), ["rb2", "rc"]);
        assert_eq!(ids(&chosen, SubnetTier::Isolated), ["rb2", "rc"]);

        let three = choose(&by_tag(3), &subnets, &ChosenSubnets::new(), &BTreeSet::new());
        let too_few = three.expect_err("two public subnets");
        assert_eq!((too_few.tier, too_few.zones.len()), (SubnetTier::Public, 2));
        let lacking = BTreeSet::from(["c".to_owned()]);
        choose(&by_tag(2), &subnets, &ChosenSubnets::new(), &lacking).expect_err("a zone does not offer everything");
    }

    #[test]
    fn deployed_subnets_stay_whatever_the_owner_adds() {
        let mut deployed: BTreeMap<String, String> = BTreeMap::new();
        deployed.insert(
            SubnetTier::Private.parameter().to_owned(),
            "subnet-x,subnet-y".to_owned(),
        );
        let kept = fixed(&by_tag(2), Some(&deployed));
        assert_eq!(kept.len(), 1);
        let subnets = [
            subnet("x", "a", "private", 0),
            subnet("y", "b", "private", 0),
            subnet("new", "a", "private", 200),
            subnet("pa", "a", "public", 9),
            subnet("pb", "b", "public", 9),
        ];
        let chosen = choose(&by_tag(2), &subnets, &kept, &BTreeSet::new()).expect("subnets");
        assert_eq!(ids(&chosen, SubnetTier::Private), ["x", "y"]);
        assert_eq!(ids(&chosen, SubnetTier::Public), ["pa", "pb"]);
        assert_eq!(ids(&chosen, SubnetTier::Isolated), ["new", "y"]);
    }
}
