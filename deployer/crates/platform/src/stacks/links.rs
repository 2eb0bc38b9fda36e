//! What the links between services, databases and topics mean: who talks to whom on which port, and in which order.

use crate::manifest::{Bootstrap, Call, Egress, KafkaSecurity, Manifest, Nat, Service};
use cfn::template::logical_id;

/// One path that traffic takes: from a security group to another, on a TCP port. Nothing else is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    pub from: Group,
    pub to: Group,
    pub port: u16,
    /// Why it is there; becomes the rule's description.
    pub reason: String,
}

/// A security group of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Group {
    LoadBalancer,
    Service(String),
    Database(String),
    Kafka,
    /// The interface endpoints of AWS's APIs, where there is no NAT.
    Endpoints,
}

impl Group {
    /// Its logical id, and with `Id` behind it the output of the network stack.
    pub fn logical_id(&self) -> String {
        match self {
            Self::LoadBalancer => "LoadBalancerSecurityGroup".into(),
            Self::Service(name) => logical_id(&[name, "SecurityGroup"]),
            Self::Database(key) => logical_id(&[key, "DatabaseSecurityGroup"]),
            Self::Kafka => "KafkaSecurityGroup".into(),
            Self::Endpoints => "EndpointsSecurityGroup".into(),
        }
    }

    pub fn output(&self) -> String {
        format!("{}Id", self.logical_id())
    }

    /// In words, for descriptions.
    pub fn words(&self) -> String {
        match self {
            Self::LoadBalancer => "load balancer".into(),
            Self::Service(name) => name.clone(),
            Self::Database(key) => format!("{key} database"),
            Self::Kafka => "Kafka".into(),
            Self::Endpoints => "AWS endpoints".into(),
        }
    }
}

pub const POSTGRES: u16 = 5432;
pub const HTTP: u16 = 80;
pub const HTTPS: u16 = 443;

/// The port on which the brokers listen for the manifest's kind of security (Amazon MSK: port information).
pub fn kafka_port(security: KafkaSecurity) -> u16 {
    match security {
        KafkaSecurity::Plaintext => 9092,
        KafkaSecurity::MskIam => 9098,
    }
}

/// Every group, in the order of the templates.
pub fn groups(manifest: &Manifest) -> Vec<Group> {
    let mut groups = vec![Group::LoadBalancer];
    groups.extend(
        manifest
            .services
            .iter()
            .map(|service| Group::Service(service.name.clone())),
    );
    groups.extend(
        manifest
            .databases
            .iter()
            .map(|database| Group::Database(database.key.clone())),
    );
    if has_cluster(manifest) {
        groups.push(Group::Kafka);
    }
    if manifest.network.nat == Nat::None {
        groups.push(Group::Endpoints);
    }
    groups
}

/// The ports of the load balancer that everybody may reach: with HTTPS on 443, port 80 redirects there.
pub fn public_ports(manifest: &Manifest) -> Vec<u16> {
    let redirects = manifest.ingress.certificate.is_some() && manifest.ingress.port == HTTPS;
    let own = manifest.ingress.port;
    if redirects { vec![own, HTTP] } else { vec![own] }
}

/// Whether this platform makes a Kafka cluster of its own.
pub fn has_cluster(manifest: &Manifest) -> bool {
    manifest.kafka.as_ref().is_some_and(|kafka| kafka.bootstrap.is_none())
}

/// Every path that a link needs.
pub fn paths(manifest: &Manifest) -> Vec<Path> {
    let mut paths = Vec::new();
    let mut path = |from: Group, to: Group, port: u16, reason: String| {
        let path = Path { from, to, port, reason };
        if !paths.contains(&path) {
            paths.push(path);
        }
    };
    if let Some(http) = manifest.service(&manifest.ingress.service).and_then(Service::http_port) {
        let to = Group::Service(manifest.ingress.service.clone());
        path(Group::LoadBalancer, to, http.number, "the public door".into());
    }
    for service in &manifest.services {
        let from = Group::Service(service.name.clone());
        for call in &service.calls {
            let reason = format!("{} calls {} ({})", service.name, call.service, call.port.name);
            path(
                from.clone(),
                Group::Service(call.service.clone()),
                call.port.number,
                reason,
            );
        }
        if let Some(key) = &service.database {
            let reason = format!("{} stores in {key}", service.name);
            path(from.clone(), Group::Database(key.clone()), POSTGRES, reason);
        }
        if let Some(kafka) = manifest
            .kafka
            .as_ref()
            .filter(|_| has_cluster(manifest) && service.uses_kafka())
        {
            let reason = format!("{} uses Kafka", service.name);
            path(from.clone(), Group::Kafka, kafka_port(kafka.security), reason);
        }
        if manifest.network.nat == Nat::None {
            let reason = format!("{}: images, secrets, logs", service.name);
            path(from, Group::Endpoints, HTTPS, reason);
        }
    }
    paths
}

/// Where a service may go that is not in this VPC, besides HTTPS: what its manifest says, and brokers that somebody
/// else runs.
pub fn outside(manifest: &Manifest, service: &str) -> Vec<Egress> {
    let Some(service) = manifest.service(service) else {
        return Vec::new();
    };
    let mut ways = service.egress.clone();
    let kafka = manifest.kafka.as_ref().filter(|_| service.uses_kafka());
    ways.extend(
        kafka
            .and_then(|kafka| kafka.bootstrap.as_ref())
            .map_or_else(Vec::new, Bootstrap::destinations),
    );
    ways
}

/// The host name of a service inside the VPC.
pub fn host(manifest: &Manifest, service: &str) -> String {
    format!("{service}.{}", namespace(manifest))
}

/// The private DNS namespace.
pub fn namespace(manifest: &Manifest) -> String {
    format!("{}.internal", manifest.prefix())
}

/// The variable that tells a caller where a callee is, with its value.
pub fn address_variable(manifest: &Manifest, call: &Call) -> (String, String) {
    let address = format!("{}:{}", host(manifest, &call.service), call.port.number);
    let value = match call.port.name.as_str() {
        "http" => format!("http://{address}"),
        _ => address,
    };
    (call.variable(), value)
}

/// The generated secrets of a service: its own, and those of the links at either end, as variable and logical id.
pub fn secrets(manifest: &Manifest, service: &Service) -> Vec<(String, String)> {
    let own = service
        .secrets
        .iter()
        .map(|variable| (variable.clone(), secret_id(&service.name, variable)));
    let called = service
        .calls
        .iter()
        .filter_map(|call| Some((&call.service, call.secret.clone()?)));
    let called = called.map(|(callee, variable)| (variable.clone(), secret_id(callee, &variable)));
    let calling = manifest.services.iter().flat_map(|caller| &caller.calls);
    let calling = calling
        .filter(|call| call.service == service.name)
        .filter_map(|call| call.secret.clone());
    let calling = calling.map(|variable| (variable.clone(), secret_id(&service.name, &variable)));
    let mut all: Vec<(String, String)> = Vec::new();
    for secret in own.chain(called).chain(calling) {
        if !all.contains(&secret) {
            all.push(secret);
        }
    }
    all
}

/// A link's secret is named for the end that checks it.
fn secret_id(service: &str, variable: &str) -> String {
    logical_id(&[service, &variable.to_lowercase(), "Secret"])
}

/// The services, callees before callers where that is possible: a start order, not a need (services wait for peers).
pub fn start_order(manifest: &Manifest) -> Vec<&Service> {
    let mut ordered: Vec<&Service> = Vec::new();
    let mut waiting: Vec<&Service> = manifest.services.iter().collect();
    while !waiting.is_empty() {
        let ready = |service: &&Service| {
            service
                .calls
                .iter()
                .all(|call| ordered.iter().any(|done| done.name == call.service))
        };
        // services that call each other in a circle start in the order of their names
        let next = waiting.iter().position(ready).unwrap_or(0);
        ordered.push(waiting.remove(next));
    }
    ordered
}
