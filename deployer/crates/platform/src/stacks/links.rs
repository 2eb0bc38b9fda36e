//! Links between services, databases and topics: network paths, variables, secrets, start order.

use std::fmt;

use crate::manifest::{Bootstrap, Call, Egress, KafkaSecurity, Manifest, Service};
use cfn::template::logical_id;

/// A path of traffic from one security group to another, on a TCP port. No other path is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The security group of the client.
    pub from: Group,
    /// The security group of the server.
    pub to: Group,
    /// The server's port.
    pub port: u16,
    /// The link that requires it; the rule's description.
    pub reason: String,
}

/// A security group of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Group {
    /// The load balancer.
    LoadBalancer,
    /// A service's tasks, by the service's name.
    Service(String),
    /// A database, by its key.
    Database(String),
    /// The brokers.
    Kafka,
    /// The interface endpoints of AWS's APIs, which exist without NAT.
    Endpoints,
}

impl Group {
    /// Returns the logical ID of the security group.
    pub fn logical_id(&self) -> String {
        match self {
            Self::LoadBalancer => "LoadBalancerSecurityGroup".into(),
            Self::Service(name) => logical_id(&[name, "SecurityGroup"]),
            Self::Database(key) => logical_id(&[key, "DatabaseSecurityGroup"]),
            Self::Kafka => "KafkaSecurityGroup".into(),
            Self::Endpoints => "EndpointsSecurityGroup".into(),
        }
    }

    /// Returns the name of the network stack's output with the security group's ID.
    pub fn output(&self) -> String {
        format!("{}Id", self.logical_id())
    }
}

/// The name in descriptions.
impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoadBalancer => f.write_str("load balancer"),
            Self::Service(name) => f.write_str(name),
            Self::Database(key) => write!(f, "{key} database"),
            Self::Kafka => f.write_str("Kafka"),
            Self::Endpoints => f.write_str("AWS endpoints"),
        }
    }
}

/// The port of every database.
pub const POSTGRES: u16 = 5432;
/// The port that redirects to HTTPS.
pub const HTTP: u16 = 80;
/// The port of HTTPS, and of AWS's APIs.
pub const HTTPS: u16 = 443;

/// Seconds for which a resolver caches the address of a task (the TTL of the Cloud Map record).
pub const RECORD_TTL: u32 = 10;
/// Seconds that a stopping task still accepts requests for. ECS stops a task without waiting until callers have forgotten its
/// address (aws/containers-roadmap, issue 343), which takes the TTL and the spread of Route 53's resolvers.
pub const SHUTDOWN_DELAY: u32 = RECORD_TTL + 15;

/// Returns the port of the brokers for this authentication (Amazon MSK: port information).
pub fn kafka_port(security: KafkaSecurity) -> u16 {
    match security {
        KafkaSecurity::Plaintext => 9092,
        KafkaSecurity::MskIam => 9098,
    }
}

/// Returns every security group, in the order of the templates.
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
    if manifest.network.has_own_endpoints() {
        groups.push(Group::Endpoints);
    }
    groups
}

/// Returns the ports of the load balancer that are open to the internet: with HTTPS on 443, port 80 redirects there.
pub fn public_ports(manifest: &Manifest) -> Vec<u16> {
    let redirects = manifest.ingress.certificate.is_some() && manifest.ingress.port == HTTPS;
    let own = manifest.ingress.port;
    if redirects { vec![own, HTTP] } else { vec![own] }
}

/// Returns true if the platform creates a Kafka cluster.
pub fn has_cluster(manifest: &Manifest) -> bool {
    manifest.kafka.as_ref().is_some_and(|kafka| kafka.bootstrap.is_none())
}

/// Returns every path that a link requires.
pub fn paths(manifest: &Manifest) -> Vec<Path> {
    let mut paths = Vec::new();
    let mut path = |from: Group, to: Group, port: u16, reason: String| {
        let path = Path { from, to, port, reason };
        if !paths.contains(&path) {
            paths.push(path);
        }
    };
    if let Some(public) = manifest.service(&manifest.ingress.service) {
        let to = || Group::Service(public.name.clone());
        if let Some(http) = public.http_port() {
            let reason = format!("the load balancer forwards to {}", public.name);
            path(Group::LoadBalancer, to(), http.number, reason);
        }
        if let Some(port) = public.health_port {
            path(
                Group::LoadBalancer,
                to(),
                port,
                "health checks of the load balancer".into(),
            );
        }
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
        if manifest.network.has_own_endpoints() {
            let reason = format!("{}: images, secrets, logs", service.name);
            path(from, Group::Endpoints, HTTPS, reason);
        }
    }
    paths
}

/// Returns the destinations of a service outside the VPC, besides HTTPS: those of the manifest, and brokers of another
/// operator.
pub fn egress(manifest: &Manifest, service: &str) -> Vec<Egress> {
    let Some(service) = manifest.service(service) else {
        return Vec::new();
    };
    let mut destinations = service.egress.clone();
    let kafka = manifest.kafka.as_ref().filter(|_| service.uses_kafka());
    destinations.extend(
        kafka
            .and_then(|kafka| kafka.bootstrap.as_ref())
            .map_or_else(Vec::new, Bootstrap::destinations),
    );
    destinations
}

/// Returns the host name of a service inside the VPC.
pub fn host(manifest: &Manifest, service: &str) -> String {
    format!("{service}.{}", namespace(manifest))
}

/// Returns true if other services find this one by its name.
pub fn is_called(manifest: &Manifest, service: &str) -> bool {
    let calls = manifest.services.iter().flat_map(|caller| &caller.calls);
    calls.into_iter().any(|call| call.service == service)
}

/// Returns the private DNS namespace.
pub fn namespace(manifest: &Manifest) -> String {
    format!("{}.internal", manifest.prefix())
}

/// Returns the variable with the address of a called service, and its value.
pub fn address_variable(manifest: &Manifest, call: &Call) -> (String, String) {
    let address = format!("{}:{}", host(manifest, &call.service), call.port.number);
    let value = match call.port.name.as_str() {
        "http" => format!("http://{address}"),
        _ => address,
    };
    (call.variable(), value)
}

/// Returns the generated secrets of a service: its own, and those of the links to and from it, as variable and logical ID.
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

/// A link's secret has the name of the called service, which checks it.
fn secret_id(service: &str, variable: &str) -> String {
    logical_id(&[service, &variable.to_lowercase(), "Secret"])
}

/// Returns the services, called ones before their callers if possible, and the public one after all that it calls. Only the latter
/// order is required: services wait for peers.
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
        // Services that call each other in a circle start in the order of their names.
        let next = waiting.iter().position(ready).unwrap_or_else(|| {
            let is_inner = |service: &&Service| service.name != manifest.ingress.service;
            waiting.iter().position(is_inner).unwrap_or(0)
        });
        ordered.push(waiting.remove(next));
    }
    ordered
}
