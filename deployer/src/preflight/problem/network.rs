//! Problems of an existing VPC.

use aws::subnets::TooFewSubnets;
use platform::manifest::SubnetTier;

/// A property of an existing VPC with which the platform cannot be created in it, or would not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkProblem {
    #[error("network.vpc is {vpc}, which does not exist in {region} in this account")]
    Missing { vpc: String, region: String },
    #[error("{vpc} has no DNS {setting}: names of services and endpoints do not resolve in it")]
    Dns {
        vpc: String,
        /// `support` or `hostnames`.
        setting: &'static str,
    },
    #[error(
        "{vpc} belongs to the account {owner}: Route 53 associates a private hosted zone, which services are found by, with VPCs of the \
         same account only, and the routes may not be visible"
    )]
    Shared { vpc: String, owner: String },
    #[error("{tier} has {subnet}, which is not a subnet of {vpc}")]
    NotInVpc {
        tier: SubnetTier,
        subnet: String,
        vpc: String,
    },
    #[error(transparent)]
    TooFew(#[from] TooFewSubnets),
    #[error("the deployed stack uses {subnet} for {tier}, which does not have the tag of the manifest")]
    OtherTag { tier: SubnetTier, subnet: String },
    #[error("{tier} is in {zone} alone, and needs two availability zones")]
    OneZone { tier: SubnetTier, zone: String },
    #[error("{tier} has {} in {zone}, and takes one subnet in each availability zone", .subnets.join(" and "))]
    SameZone {
        tier: SubnetTier,
        zone: String,
        subnets: Vec<String>,
    },
    #[error("tasks run in {subnet} in {zone}, where the load balancer has no subnet: it sends them no request")]
    ZoneWithoutBalancer { subnet: String, zone: String },
    #[error("MSK has no brokers in {zone} of {subnet}")]
    ZoneWithoutKafka { subnet: String, zone: String },
    #[error("no zone of {tier} offers {class}")]
    ZonesWithoutClass { tier: SubnetTier, class: String },
    #[error("{subnet} is not public: its route table {table} has no route 0.0.0.0/0 to an internet gateway")]
    NotPublic { subnet: String, table: String },
    #[error("databases and brokers are in {subnet}, whose route table {table} leads to an internet gateway")]
    PublicData { subnet: String, table: String },
    #[error(
        "tasks in {subnet} cannot reach AWS's APIs, from which they get images, secrets and log streams: its route table {table} {}, and \
         no endpoint of the VPC serves {} there",
        route(.target.as_deref()),
        .missing.join(", ")
    )]
    NoWayOut {
        subnet: String,
        table: String,
        /// The target of the default route, which does not lead there.
        target: Option<String>,
        /// The APIs without an endpoint.
        missing: Vec<String>,
    },
    #[error(
        "it is not known whether tasks in {subnet} reach {}: its route table {table} has no default route, and leads to {through}",
        .missing.join(", ")
    )]
    UnknownWayOut {
        subnet: String,
        table: String,
        missing: Vec<String>,
        /// A transit gateway or the like.
        through: String,
    },
    #[error("no route table of {subnet} is visible: its routes are not checked")]
    NoTable { subnet: String },
    #[error(
        "the endpoint {endpoint} of {api} may not accept HTTPS from {subnet} ({cidr}): no rule of its security groups names it"
    )]
    EndpointClosed {
        endpoint: String,
        api: String,
        subnet: String,
        cidr: String,
    },
    #[error("{subnet} has {free} free addresses, and a load balancer needs {needed} in each subnet")]
    BalancerAddresses { subnet: String, free: u64, needed: u64 },
    #[error("{tier} has {free} free addresses, and {use_} {needed}")]
    Addresses {
        tier: SubnetTier,
        free: u64,
        needed: u64,
        /// The resources that need them, with the verb.
        use_: &'static str,
    },
    #[error(
        "the platform runs in {before}, and network.vpc is {after}: everything in it would be replaced, its data included"
    )]
    Moved { before: String, after: String },
    #[error("the brokers are in {}, and {} is {}: MSK replaces a cluster that changes its subnets", .before.replace(',', ", "), SubnetTier::Isolated, .after.replace(',', ", "))]
    MovedBrokers { before: String, after: String },
}

fn route(target: Option<&str>) -> String {
    match target {
        Some(target) if target.starts_with("igw-") => {
            format!("leads to {target}, through which only public addresses connect, and tasks have none")
        }
        Some(target) => format!("leads to {target}, which does not exist any more"),
        None => "has no route 0.0.0.0/0 to a NAT or transit gateway".to_owned(),
    }
}

impl NetworkProblem {
    /// Returns how to solve it.
    pub fn hint(&self) -> String {
        match self {
            Self::Missing { region, .. } => {
                format!("`aws ec2 describe-vpcs --region {region}` lists them; check network.vpc, --profile and --region")
            }
            Self::Dns { vpc, setting } => {
                format!("its owner enables it: `aws ec2 modify-vpc-attribute --vpc-id {vpc} --enable-dns-{setting}`")
            }
            Self::Shared { .. } => "deploy with the account that owns the VPC, or into a VPC of this account".into(),
            Self::NotInVpc { tier, vpc, .. } => format!(
                "`aws ec2 describe-subnets --filters Name=vpc-id,Values={vpc}` lists them; correct {tier}"
            ),
            Self::TooFew(problem) => format!(
                "tag a subnet in each zone, correct {}, or set network.availability_zones",
                problem.tier
            ),
            Self::OtherTag { tier, .. } => {
                format!("subnets stay as they were chosen; to change them, list their IDs in {tier}")
            }
            Self::OneZone { tier, .. } => format!("add a subnet of another zone to {tier}"),
            Self::SameZone { tier, .. } => format!("remove one of them from {tier}"),
            Self::ZoneWithoutBalancer { zone, .. } => {
                format!("add a public subnet in {zone} to {}, or remove that one from {}", SubnetTier::Public, SubnetTier::Private)
            }
            Self::ZoneWithoutKafka { .. } | Self::ZonesWithoutClass { .. } => {
                format!("list subnets of other zones in {}", SubnetTier::Isolated)
            }
            Self::NotPublic { table, .. } => format!(
                "add that route to {table}, or list public subnets in {}",
                SubnetTier::Public
            ),
            Self::PublicData { .. } => format!(
                "security groups keep the internet out; list subnets without that route in {} to be safe from a mistake in them",
                SubnetTier::Isolated
            ),
            Self::NoWayOut { table, .. } => {
                format!("add a default route to a NAT or transit gateway to {table}, or the endpoints with private DNS to the VPC")
            }
            Self::UnknownWayOut { .. } => "ask its owner: AWS's names must resolve to addresses behind that route".into(),
            Self::NoTable { .. } => "ask its owner, or allow ec2:DescribeRouteTables".into(),
            Self::EndpointClosed { cidr, .. } => {
                format!("its owner adds an ingress rule for TCP 443 from {cidr} to one of those groups")
            }
            Self::BalancerAddresses { .. } => {
                format!("list larger subnets in {}: /27 at least", SubnetTier::Public)
            }
            Self::Addresses { tier, .. } => format!("add subnets to {tier}, or list larger ones"),
            Self::Moved { .. } => {
                "set it back; another network needs another environment: deploy that, move the data (a database with `snapshot`), then \
                 destroy this one"
                    .into()
            }
            Self::MovedBrokers { .. } => {
                "set it back, or deploy another environment and move the topics' consumers and producers there".into()
            }
        }
    }
}
