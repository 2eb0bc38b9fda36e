//! The VPC of an environment: one that the platform creates, or one that exists.

use std::fmt;

use ipnet::Ipv4Net;

use super::file::{self, Nat, Tag};
use super::problem::Problem;

/// The VPC of an environment.
#[derive(Debug, Clone)]
pub enum Network {
    /// One that the platform creates, with its subnets, routes and gateways.
    New(NewNetwork),
    /// One that exists: the platform creates security groups in it, and nothing else.
    Existing(ExistingNetwork),
}

/// A VPC that the platform creates.
#[derive(Debug, Clone)]
pub struct NewNetwork {
    /// A private network of 16 to 20 bits, large enough for nine subnets of 24 bits.
    pub cidr: Ipv4Net,
    /// 2 or 3.
    pub availability_zones: u8,
    /// Internet access of private subnets.
    pub nat: Nat,
    /// The VPC's flow logs are stored.
    pub flow_logs: bool,
}

/// A VPC that another team or project owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExistingNetwork {
    /// Its ID, `vpc-…`.
    pub vpc: String,
    /// The number of zones in which subnets are chosen by their tag: 2 or 3.
    pub availability_zones: u8,
    /// Subnets of the load balancer.
    pub public: Subnets,
    /// Subnets of the tasks.
    pub private: Subnets,
    /// Subnets of the databases and brokers.
    pub isolated: Subnets,
}

/// Subnets of an existing VPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subnets {
    /// Their IDs, sorted.
    Ids(Vec<String>),
    /// One with this tag in each zone, chosen when the environment is created.
    Tag(Tag),
}

/// A kind of subnet, by what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SubnetTier {
    /// The load balancer, reachable from the internet.
    Public,
    /// The tasks.
    Private,
    /// The databases and brokers.
    Isolated,
}

impl Network {
    /// Returns the network of the VPC, if it follows from the manifest.
    pub fn cidr(&self) -> Option<Ipv4Net> {
        match self {
            Self::New(network) => Some(network.cidr),
            Self::Existing(_) => None,
        }
    }

    /// Returns the number of subnets for databases and brokers, each in its own zone.
    pub fn isolated_subnets(&self) -> usize {
        match self {
            Self::New(network) => network.availability_zones.into(),
            Self::Existing(network) => network.count(SubnetTier::Isolated),
        }
    }

    /// Returns true if services reach AWS's APIs through interface endpoints of the platform alone.
    pub fn has_own_endpoints(&self) -> bool {
        matches!(self, Self::New(network) if network.nat == Nat::None)
    }

    /// Returns the VPC if it exists already.
    pub fn existing(&self) -> Option<&ExistingNetwork> {
        match self {
            Self::New(_) => None,
            Self::Existing(network) => Some(network),
        }
    }
}

impl NewNetwork {
    /// Returns the `n`th network of 24 bits inside the VPC, from 0.
    pub fn subnet(&self, n: u8) -> Ipv4Net {
        let address = u32::from(self.cidr.network()) + (u32::from(n) << 8);
        Ipv4Net::new_assert(address.into(), 24)
    }
}

impl ExistingNetwork {
    /// Returns the subnets of a tier.
    pub fn subnets(&self, tier: SubnetTier) -> &Subnets {
        match tier {
            SubnetTier::Public => &self.public,
            SubnetTier::Private => &self.private,
            SubnetTier::Isolated => &self.isolated,
        }
    }

    fn count(&self, tier: SubnetTier) -> usize {
        match self.subnets(tier) {
            Subnets::Ids(ids) => ids.len(),
            Subnets::Tag(_) => self.availability_zones.into(),
        }
    }
}

impl SubnetTier {
    /// The tiers, from the internet inwards.
    pub const ALL: [Self; 3] = [Self::Public, Self::Private, Self::Isolated];

    /// Returns the first word of its resources, parameters and outputs.
    pub fn stem(self) -> &'static str {
        match self {
            Self::Public => "Public",
            Self::Private => "Private",
            Self::Isolated => "Isolated",
        }
    }

    /// Returns the key in the manifest.
    pub fn key(self) -> &'static str {
        match self {
            Self::Public => "public_subnets",
            Self::Private => "private_subnets",
            Self::Isolated => "isolated_subnets",
        }
    }

    /// Returns the parameter and output of the network stack with the subnets of this tier.
    pub fn parameter(self) -> &'static str {
        match self {
            Self::Public => "PublicSubnetIds",
            Self::Private => "PrivateSubnetIds",
            Self::Isolated => "IsolatedSubnetIds",
        }
    }
}

/// The key in the manifest.
impl fmt::Display for SubnetTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "network.{}", self.key())
    }
}

impl Subnets {
    /// Validates what is written.
    ///
    /// # Errors
    /// An ID is not one of a subnet or is listed twice, there are fewer than two, or the tag has no key or value.
    pub fn parse(written: &file::Subnets) -> Result<Self, Problem> {
        match written {
            file::Subnets::Tag(tag) if tag.key.is_empty() || tag.value.is_empty() => Err(Problem::EmptyTag),
            file::Subnets::Tag(tag) => Ok(Self::Tag(tag.clone())),
            file::Subnets::Ids(ids) => {
                if let Some(wrong) = ids.iter().find(|id| !is_id(id, "subnet-")) {
                    return Err(Problem::SubnetId(wrong.clone()));
                }
                // The order has no meaning, and a property with another order is another one.
                let mut sorted = ids.clone();
                sorted.sort_unstable();
                if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
                    return Err(Problem::SubnetTwice(twice[0].clone()));
                }
                if sorted.len() < 2 {
                    return Err(Problem::OneSubnet);
                }
                Ok(Self::Ids(sorted))
            }
        }
    }
}

/// Returns true for the ID of a resource of EC2: 8 or 17 hexadecimal digits after the prefix (Amazon EC2 User Guide: "Resource IDs").
pub fn is_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|digits| {
        matches!(digits.len(), 8 | 17) && digits.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
    })
}
