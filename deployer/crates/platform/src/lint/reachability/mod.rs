//! Who can reach whom: computed from the templates themselves, over routes, security groups and listeners.
//!
//! Two things in one VPC always have a route to each other, and no network ACL but the default one, which lets all
//! through; so between them the security groups decide, on both sides. Towards the internet it takes a route, too.
//! What this does not model (network ACLs, peerings, prefix lists) is a finding and never silently open.

mod cidr;
mod components;
mod expression;
mod groups;
mod routes;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::Finding;
use crate::manifest::{Manifest, Nat};
use crate::stacks::links::Group;
use crate::stacks::{self, Plan};
use cidr::Network;
use components::{Component, Kind};
use groups::{Groups, Peer, Side};
use routes::Routes;

/// One way that traffic can take.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    pub from: End,
    pub to: End,
    pub protocol: &'static str,
    pub port: u16,
}

/// An end of a way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    Internet,
    /// The logical id of the security group that the manifest gives it, which is its name here.
    Component(String),
}

impl End {
    fn of(group: &Group) -> Self {
        Self::Component(group.logical_id())
    }

    fn words(&self) -> String {
        match self {
            Self::Internet => "the internet".into(),
            Self::Component(group) => group.trim_end_matches("SecurityGroup").to_owned(),
        }
    }
}

/// Ways that no link asks for, ways to where nobody listens, and subnets that are not as isolated as they say.
pub fn check(manifest: &Manifest, plan: &Plan) -> Vec<Finding> {
    let world = World::of(plan);
    let mut findings = world.unknown.clone();
    let declared = declared(manifest);
    for way in world.ways().difference(&declared) {
        let what = format!(
            "{} reaches it on {} {}, which no link of the manifest asks for",
            way.from.words(),
            way.protocol,
            way.port
        );
        findings.push(finding("network", &way.to.words(), what));
    }
    for way in &declared {
        let End::Component(group) = &way.to else { continue };
        let there = world.components.iter().find(|component| component.identity == *group);
        if let Some(component) = there.filter(|component| !component.ports.contains(&way.port)) {
            let what = format!(
                "{} is let in on {} {}, where nothing listens",
                way.from.words(),
                way.protocol,
                way.port
            );
            findings.push(finding(&component.stack, &component.place, what));
        }
    }
    findings.extend(world.routes.isolation(&world.components));
    findings
}

/// What the manifest's links, its ingress and its way out ask for, and nothing else.
fn declared(manifest: &Manifest) -> BTreeSet<Way> {
    let tcp = |from: End, to: End, port: u16| Way {
        from,
        to,
        protocol: "tcp",
        port,
    };
    let links = stacks::paths(manifest).into_iter();
    let mut ways: BTreeSet<Way> = links
        .map(|path| tcp(End::of(&path.from), End::of(&path.to), path.port))
        .collect();
    for port in stacks::public_ports(manifest) {
        ways.insert(tcp(End::Internet, End::of(&Group::LoadBalancer), port));
    }
    // the public door is open to everybody, so also to whoever may call AWS's APIs, which are on the same port
    if stacks::public_ports(manifest).contains(&stacks::HTTPS) {
        let services = manifest
            .services
            .iter()
            .map(|service| Group::Service(service.name.clone()));
        ways.extend(services.map(|group| tcp(End::of(&group), End::of(&Group::LoadBalancer), stacks::HTTPS)));
    }
    if manifest.network.nat == Nat::None {
        return ways;
    }
    let vpc = Network::parse(&manifest.network.cidr.to_string());
    for service in &manifest.services {
        let from = End::of(&Group::Service(service.name.clone()));
        ways.insert(tcp(from.clone(), End::Internet, stacks::HTTPS));
        for way in stacks::links::outside(manifest, &service.name) {
            let network = Network::parse(&way.cidr);
            if !vpc.zip(network).is_some_and(|(vpc, network)| vpc.contains(&network)) {
                ways.insert(tcp(from.clone(), End::Internet, way.port));
            }
        }
    }
    ways
}

/// The templates, read as a network.
struct World {
    components: Vec<Component>,
    groups: Groups,
    routes: Routes,
    unknown: Vec<Finding>,
}

impl World {
    fn of(plan: &Plan) -> Self {
        let mut unknown = Vec::new();
        let groups = Groups::of(plan, &mut unknown);
        let routes = Routes::of(plan, &mut unknown);
        let components = components::all(plan, &mut unknown);
        Self {
            components,
            groups,
            routes,
            unknown,
        }
    }

    /// Every way that is open, between all pairs and the internet, on every port at which any rule or listener begins
    /// or ends, and beside it.
    fn ways(&self) -> BTreeSet<Way> {
        let mut ports: BTreeSet<u16> = self.groups.bounds();
        ports.extend(self.components.iter().flat_map(|component| component.ports.clone()));
        let beside = |port: &u16| [port.saturating_sub(1).max(1), *port, port.saturating_add(1)];
        let ports: BTreeSet<u16> = ports.iter().flat_map(beside).collect();
        let mut ways = BTreeSet::new();
        for protocol in ["tcp", "udp"] {
            for &port in &ports {
                let mut note = |from: End, to: End| {
                    ways.insert(Way {
                        from,
                        to,
                        protocol,
                        port,
                    })
                };
                for to in &self.components {
                    for from in &self.components {
                        if self.between(from, to, protocol, port) {
                            note(from.end(), to.end());
                        }
                    }
                    if self.internet_reaches(to, protocol, port) {
                        note(End::Internet, to.end());
                    }
                    if self.reaches_internet(to, protocol, port) {
                        note(to.end(), End::Internet);
                    }
                }
            }
        }
        ways
    }

    /// What is answered needs no rule: security groups remember.
    fn between(&self, from: &Component, to: &Component, protocol: &str, port: u16) -> bool {
        // a load balancer sends to its targets only, whatever its group would let out
        let sends = from.kind != Kind::LoadBalancer || from.forwards.contains(&(to.identity.clone(), port));
        let peer = |of: &Component| {
            let (groups, networks) = (of.groups.clone(), self.routes.networks(&of.subnets));
            move |peer: &Peer| match peer {
                Peer::Group(group) => groups.contains(group),
                Peer::Network(network) => networks.iter().any(|own| own.overlaps(network)),
            }
        };
        sends
            && self.groups.allow(&from.groups, Side::Egress, protocol, port, peer(to))
            && self.groups.allow(&to.groups, Side::Ingress, protocol, port, peer(from))
    }

    fn internet_reaches(&self, to: &Component, protocol: &str, port: u16) -> bool {
        to.public
            && self.routes.through_gateway(&to.subnets)
            && self
                .groups
                .allow(&to.groups, Side::Ingress, protocol, port, self.outside())
    }

    fn reaches_internet(&self, from: &Component, protocol: &str, port: u16) -> bool {
        let route = self.routes.through_nat(&from.subnets) || from.public && self.routes.through_gateway(&from.subnets);
        route
            && from.kind != Kind::LoadBalancer
            && self
                .groups
                .allow(&from.groups, Side::Egress, protocol, port, self.outside())
    }

    fn outside(&self) -> impl Fn(&Peer) -> bool {
        |peer: &Peer| match peer {
            Peer::Group(_) => false,
            Peer::Network(network) => !self.routes.vpc.is_some_and(|vpc| vpc.contains(network)) && !network.is_nobody(),
        }
    }
}

fn finding(stack: &str, place: &str, what: impl Into<String>) -> Finding {
    Finding {
        stack: stack.to_owned(),
        place: place.to_owned(),
        what: what.into(),
    }
}
