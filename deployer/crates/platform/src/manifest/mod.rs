//! `deployer.toml`, parsed into types that cannot be wrong.
//!
//! Reading has three steps: the file's shape ([`file`], unknown keys are errors with their line), the merge of one
//! environment's overrides, and the check that turns names into links which exist.

mod bootstrap;
mod egress;
mod error;
mod file;
mod merge;
mod source;
mod toml_error;
mod validate;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use bootstrap::Bootstrap;
pub use egress::Egress;
pub use error::ManifestError;
pub use file::{KafkaSecurity, Nat, Scaling};

/// One environment of a manifest, checked: every name in it is of something that it declares.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub project: String,
    pub environment: String,
    /// The cargo workspace, absolute.
    pub workspace: PathBuf,
    /// The names of all environments that the file declares.
    pub environments: Vec<String>,
    pub demo_data: bool,
    /// Deletion protection, final snapshots and termination protection.
    pub protected: bool,
    /// A KMS key of this platform's own encrypts what is kept, instead of AWS's default keys.
    pub customer_key: bool,
    pub network: Network,
    pub ingress: Ingress,
    /// None where nothing is watched.
    pub alarms: Option<Alarms>,
    pub kafka: Option<Kafka>,
    pub databases: Vec<Database>,
    pub topics: Vec<Topic>,
    pub services: Vec<Service>,
}

#[derive(Debug, Clone)]
pub struct Network {
    pub cidr: Cidr,
    pub availability_zones: u8,
    pub nat: Nat,
    pub flow_logs: bool,
}

/// An IPv4 network of 16 to 20 bits: room for nine subnets of 24 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    pub address: std::net::Ipv4Addr,
    pub bits: u8,
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Cidr {
    /// The `n`th network of 24 bits inside.
    pub fn subnet(self, n: u8) -> String {
        let [a, b, c, _] = self.address.octets();
        format!("{a}.{b}.{}.0/24", c + n)
    }
}

#[derive(Debug, Clone)]
pub struct Ingress {
    pub service: String,
    pub port: u16,
    pub certificate: Option<String>,
    /// The name that people use; the load balancer's own where there is none, and on local endpoints.
    pub host: Option<String>,
    pub probe: String,
    pub curl: Vec<String>,
    pub access_logs: bool,
}

#[derive(Debug, Clone)]
pub struct Alarms {
    pub email: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Kafka {
    pub version: String,
    pub instance_type: String,
    pub brokers: u16,
    pub storage_gib: u32,
    pub security: KafkaSecurity,
    pub bootstrap: Option<Bootstrap>,
}

#[derive(Debug, Clone)]
pub struct Database {
    /// The key in the manifest.
    pub key: String,
    pub name: String,
    pub engine_version: String,
    pub instance_class: String,
    pub storage_gib: u32,
    pub multi_az: bool,
    pub backup_days: u8,
    /// The DB snapshot that it is made from, by identifier or ARN.
    pub snapshot: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Topic {
    pub name: String,
    pub partitions: u32,
    pub replication_factor: u16,
}

#[derive(Debug, Clone)]
pub struct Service {
    pub name: String,
    pub package: String,
    /// What it runs when it is not built from a crate.
    pub image: Option<String>,
    pub ports: Vec<Port>,
    /// Fargate CPU units, 1024 to a core.
    pub cpu: u32,
    /// MiB.
    pub memory: u32,
    pub count: u32,
    pub scaling: Option<Scaling>,
    pub spot: bool,
    pub health_path: String,
    pub health_command: Option<Vec<String>>,
    /// The key of its database.
    pub database: Option<String>,
    pub publishes: Vec<String>,
    pub consumes: Vec<String>,
    pub calls: Vec<Call>,
    /// Where it may go outside the platform, besides HTTPS.
    pub egress: Vec<Egress>,
    pub environment: BTreeMap<String, String>,
    /// Variables whose values are generated for this service alone.
    pub secrets: Vec<String>,
    pub alarms: bool,
    pub log_retention_days: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    pub name: String,
    pub number: u16,
    /// The variable that tells it to the service.
    pub variable: String,
}

/// A link: this service calls that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub service: String,
    pub port: Port,
    pub secret: Option<String>,
}

impl Manifest {
    /// Reads the file and takes one environment of it.
    pub fn load(path: &Path, environment: &str) -> Result<Self, ManifestError> {
        let source = source::Source::read(path)?;
        Self::from_source(&source, environment)
    }

    fn from_source(source: &source::Source, environment: &str) -> Result<Self, ManifestError> {
        let file: file::File = toml::from_str(&source.text).map_err(|error| source.unreadable(&error))?;
        if !file.environments.contains_key(environment) {
            return Err(ManifestError::NoEnvironment {
                path: source.path.clone(),
                name: environment.to_owned(),
                known: file.environments.keys().cloned().collect(),
            });
        }
        let settings = merge::settings(source, environment)?;
        validate::manifest(
            source,
            environment,
            settings,
            file.environments.keys().cloned().collect(),
        )
    }

    /// `<project>-<env>`, what every stack's name begins with.
    pub fn prefix(&self) -> String {
        format!("{}-{}", self.project, self.environment)
    }

    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }
}

impl Call {
    /// The variable that tells the caller where the callee is: `…_URL` for HTTP, `…_ADDRESS` for the rest.
    pub fn variable(&self) -> String {
        let stem = self.service.to_uppercase().replace('-', "_");
        let kind = if self.port.name == "http" { "URL" } else { "ADDRESS" };
        format!("{stem}_{kind}")
    }
}

impl Service {
    pub fn uses_kafka(&self) -> bool {
        !self.publishes.is_empty() || !self.consumes.is_empty()
    }

    /// The port that serves HTTP, if it has one.
    pub fn http_port(&self) -> Option<&Port> {
        self.ports.iter().find(|port| port.name == "http")
    }
}

#[cfg(test)]
mod tests;
