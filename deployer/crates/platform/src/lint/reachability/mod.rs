//! Reachability: which component can connect to which, computed from the templates over routes, security groups and listeners.
//!
//! Two components in one VPC always have a route to each other, and no network ACL except the default one, which allows all
//! traffic; so security groups decide between them, on both sides. Connections to the internet also require a route.
//! An existing VPC is not in the templates: its private subnets are taken to have a route to the internet, and its isolated ones none.
//! Anything else (network ACLs, peerings, prefix lists) is not modelled: it is a finding, and never opens a path unnoticed.

mod components;
mod expression;
mod groups;
mod routes;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

use ipnet::IpNet;

use super::finding::{LintFinding, LintProblem};
use crate::manifest::Manifest;
use crate::stacks::links::Group;
use crate::stacks::{self, Plan};
use components::{Component, ComponentKind};
use groups::{Direction, Groups, Peer};
use routes::Routes;

/// Destination of a rule that opens nothing: the broadcast address, which no host has.
const NOWHERE: &str = "255.255.255.255/32";

/// A path that traffic can take.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NetworkPath {
    pub from: PathEnd,
    pub to: PathEnd,
    pub protocol: &'static str,
    pub port: u16,
}

/// An end of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathEnd {
    Internet,
    /// The logical ID of the security group that the plan has for the component.
    Component(String),
}

impl PathEnd {
    fn of(group: &Group) -> Self {
        Self::Component(group.logical_id())
    }
}

impl fmt::Display for PathEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Internet => f.write_str("the internet"),
            Self::Component(group) => f.write_str(group.trim_end_matches("SecurityGroup")),
        }
    }
}

/// Returns paths without a link, paths to ports without a listener, and subnets that are not isolated.
pub fn check(manifest: &Manifest, plan: &Plan) -> Vec<LintFinding> {
    let model = NetworkModel::of(plan);
    let mut findings = model.unclear.clone();
    let declared = declared_paths(manifest);
    for path in model.open_paths().difference(&declared) {
        let problem = LintProblem::UndeclaredPath {
            from: path.from.to_string(),
            protocol: path.protocol,
            port: path.port,
        };
        findings.push(LintFinding::new("network", &path.to.to_string(), problem));
    }
    for path in &declared {
        let PathEnd::Component(group) = &path.to else { continue };
        let server = model.components.iter().find(|component| component.identity == *group);
        if let Some(server) = server.filter(|server| !server.ports.contains(&path.port)) {
            let problem = LintProblem::ClosedPort {
                from: path.from.to_string(),
                protocol: path.protocol,
                port: path.port,
            };
            findings.push(LintFinding::new(&server.stack, &server.logical_id, problem));
        }
    }
    findings.extend(model.routes.isolation(&model.components));
    findings
}

/// Returns the paths of the manifest's links, ingress and egress.
fn declared_paths(manifest: &Manifest) -> BTreeSet<NetworkPath> {
    let tcp = |from: PathEnd, to: PathEnd, port: u16| NetworkPath {
        from,
        to,
        protocol: "tcp",
        port,
    };
    let links = stacks::paths(manifest).into_iter();
    let mut paths: BTreeSet<NetworkPath> = links
        .map(|path| tcp(PathEnd::of(&path.from), PathEnd::of(&path.to), path.port))
        .collect();
    for port in stacks::public_ports(manifest) {
        paths.insert(tcp(PathEnd::Internet, PathEnd::of(&Group::LoadBalancer), port));
    }
    // The load balancer is open to the internet, so also to services, whose egress to AWS's APIs is on the same port.
    if stacks::public_ports(manifest).contains(&stacks::HTTPS) {
        let services = manifest
            .services
            .iter()
            .map(|service| Group::Service(service.name.clone()));
        paths.extend(services.map(|group| {
            let load_balancer = PathEnd::of(&Group::LoadBalancer);
            tcp(PathEnd::of(&group), load_balancer, stacks::HTTPS)
        }));
    }
    if manifest.network.has_own_endpoints() {
        return paths;
    }
    for service in &manifest.services {
        let from = PathEnd::of(&Group::Service(service.name.clone()));
        paths.insert(tcp(from.clone(), PathEnd::Internet, stacks::HTTPS));
        for egress in stacks::links::egress(manifest, &service.name) {
            let outside = manifest.network.cidr().is_none_or(|own| !own.contains(&egress.network));
            if outside {
                paths.insert(tcp(from.clone(), PathEnd::Internet, egress.port));
            }
            // The addresses of an existing VPC are not known: a destination on a public port may be the load balancer's.
            if manifest.network.existing().is_some() && stacks::public_ports(manifest).contains(&egress.port) {
                paths.insert(tcp(from.clone(), PathEnd::of(&Group::LoadBalancer), egress.port));
            }
        }
    }
    paths
}

/// The network that the templates describe.
struct NetworkModel {
    components: Vec<Component>,
    groups: Groups,
    routes: Routes,
    unclear: Vec<LintFinding>,
}

impl NetworkModel {
    fn of(plan: &Plan) -> Self {
        let mut unclear = Vec::new();
        let groups = Groups::of(plan, &mut unclear);
        let routes = Routes::of(plan, &mut unclear);
        let components = components::all(plan, &mut unclear);
        Self {
            components,
            groups,
            routes,
            unclear,
        }
    }

    /// Returns every open path, between all pairs and the internet, on every port at which a rule or listener starts or ends,
    /// and on the ports next to it.
    fn open_paths(&self) -> BTreeSet<NetworkPath> {
        let mut ports: BTreeSet<u16> = self.groups.bounds();
        ports.extend(self.components.iter().flat_map(|component| component.ports.clone()));
        let adjacent = |port: &u16| [port.saturating_sub(1).max(1), *port, port.saturating_add(1)];
        let ports: BTreeSet<u16> = ports.iter().flat_map(adjacent).collect();
        let mut paths = BTreeSet::new();
        for protocol in ["tcp", "udp"] {
            for &port in &ports {
                let mut add = |from: PathEnd, to: PathEnd| {
                    paths.insert(NetworkPath {
                        from,
                        to,
                        protocol,
                        port,
                    })
                };
                for to in &self.components {
                    for from in &self.components {
                        if self.connects(from, to, protocol, port) {
                            add(from.end(), to.end());
                        }
                    }
                    if self.internet_reaches(to, protocol, port) {
                        add(PathEnd::Internet, to.end());
                    }
                    if self.reaches_internet(to, protocol, port) {
                        add(to.end(), PathEnd::Internet);
                    }
                }
            }
        }
        paths
    }

    /// Security groups are stateful: responses require no rule.
    fn connects(&self, from: &Component, to: &Component, protocol: &str, port: u16) -> bool {
        // A load balancer connects to its targets alone, whatever its security group allows.
        let sends = from.kind != ComponentKind::LoadBalancer || from.targets.contains(&(to.identity.clone(), port));
        let peer = |of: &Component| {
            let (groups, networks) = (of.groups.clone(), self.routes.networks(&of.subnets));
            move |peer: &Peer| match peer {
                Peer::Group(group) => groups.contains(group),
                Peer::Network(network) => networks
                    .iter()
                    .any(|own| own.contains(network) || network.contains(own)),
            }
        };
        sends
            && self
                .groups
                .allow(&from.groups, Direction::Egress, protocol, port, peer(to))
            && self
                .groups
                .allow(&to.groups, Direction::Ingress, protocol, port, peer(from))
    }

    fn internet_reaches(&self, to: &Component, protocol: &str, port: u16) -> bool {
        to.public
            && self.routes.through_gateway(&to.subnets)
            && self
                .groups
                .allow(&to.groups, Direction::Ingress, protocol, port, self.outside())
    }

    fn reaches_internet(&self, from: &Component, protocol: &str, port: u16) -> bool {
        let route = self.routes.through_nat(&from.subnets) || from.public && self.routes.through_gateway(&from.subnets);
        route
            && from.kind != ComponentKind::LoadBalancer
            && self
                .groups
                .allow(&from.groups, Direction::Egress, protocol, port, self.outside())
    }

    fn outside(&self) -> impl Fn(&Peer) -> bool {
        let nowhere = network(NOWHERE);
        move |peer: &Peer| match peer {
            Peer::Group(_) => false,
            Peer::Network(network) => {
                !self.routes.vpc.is_some_and(|vpc| vpc.contains(network)) && nowhere != Some(*network)
            }
        }
    }
}

/// Reads a network, without the bits after its prefix.
fn network(text: &str) -> Option<IpNet> {
    Some(text.parse::<IpNet>().ok()?.trunc())
}
