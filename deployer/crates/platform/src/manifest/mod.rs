//! `deployer.toml`, parsed into types that cannot be invalid.
//!
//! Reading has three steps: the file's shape (`file`: unknown keys are errors with their line), the merge of one
//! environment's overrides (`merge`), and the validation, which turns names into links that exist (`validate`).

mod error;
mod problem;
mod toml_error;

mod file;
mod merge;
mod source;
mod validate;

mod account;
mod bootstrap;
mod egress;
mod network;
mod permission;
mod region;
mod rollout;
mod strategy;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use account::Account;
pub use bootstrap::Bootstrap;
pub use egress::Egress;
pub use error::ManifestError;
pub use file::{Architecture, KafkaSecurity, Nat, Scaling, Tag};
pub use network::{ExistingNetwork, Network, NewNetwork, SubnetTier, Subnets};
pub use permission::{ExistingSecret, Permission, SecretSource};
pub use problem::{Meaning, Problem};
pub use region::{Partition, is_region};
pub use rollout::{Rollout, RolloutProblem, Steps};
pub use toml_error::TomlProblem;

/// One environment of a manifest, validated: every name in it is of something that it declares.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The project's name.
    pub project: String,
    /// The environment's name.
    pub environment: String,
    /// The cargo workspace, as an absolute path.
    pub workspace: PathBuf,
    /// The names of all environments that the file declares.
    pub environments: Vec<String>,
    /// Services create demo data.
    pub demo_data: bool,
    /// Deletion protection, final snapshots and termination protection.
    pub protected: bool,
    /// A customer managed KMS key of the platform encrypts stored data, instead of AWS's default keys.
    pub customer_key: bool,
    /// The account, the region, and the rights with which it is deployed.
    pub account: Account,
    /// A PEM file with the authorities of the databases, in place of AWS's bundle; an absolute path.
    pub ca_bundle: Option<PathBuf>,
    /// The VPC.
    pub network: Network,
    /// The entry from outside.
    pub ingress: Ingress,
    /// `None` if no service and no environment enables alarms.
    pub alarms: Option<Alarms>,
    /// `None` without topics.
    pub kafka: Option<Kafka>,
    /// The databases, sorted by key.
    pub databases: Vec<Database>,
    /// The topics, sorted by name.
    pub topics: Vec<Topic>,
    /// The services, sorted by name.
    pub services: Vec<Service>,
}

/// The load balancer, and the service behind it.
#[derive(Debug, Clone)]
pub struct Ingress {
    /// The service that receives the requests.
    pub service: String,
    /// The listener's port.
    pub port: u16,
    /// The certificate with which the listener accepts HTTPS.
    pub certificate: Option<Certificate>,
    /// The public host name; `None` on local endpoints and for the load balancer's own name.
    pub host: Option<String>,
    /// The reason why a protected environment may serve plain HTTP on AWS.
    pub plaintext: Option<String>,
    /// The ARN of the web ACL of AWS WAF that filters requests.
    pub web_acl: Option<String>,
    /// The path that `up` requests to check that the system serves.
    pub readiness_path: String,
    /// Commands that `up` prints, with `{url}` for the base URL.
    pub curl: Vec<String>,
    /// The load balancer's access logs are stored.
    pub access_logs: bool,
}

/// The certificate of the public listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificate {
    /// One that exists, by its ARN.
    Existing(String),
    /// One for `host` that the platform requests; its validation records, and an alias for the load balancer, are in this public
    /// hosted zone of Route 53.
    InZone(String),
}

/// Notifications of alarms.
#[derive(Debug, Clone)]
pub struct Alarms {
    /// The address that receives them.
    pub email: Option<String>,
}

/// The brokers.
#[derive(Debug, Clone)]
pub struct Kafka {
    /// Kafka's version, in MSK's spelling.
    pub version: String,
    /// The MSK broker type.
    pub instance_type: String,
    /// The number of brokers.
    pub brokers: u16,
    /// The size of each broker's volume.
    pub storage_gib: u32,
    /// Hours after which a message of any topic is deleted at the latest.
    pub retention_hours: u32,
    /// Authentication of clients.
    pub security: KafkaSecurity,
    /// Brokers of another operator, in place of a cluster.
    pub bootstrap: Option<Bootstrap>,
}

/// A PostgreSQL database with its own instance.
#[derive(Debug, Clone)]
pub struct Database {
    /// The key in the manifest.
    pub key: String,
    /// The database's name inside the instance.
    pub name: String,
    /// PostgreSQL's version.
    pub engine_version: String,
    /// The RDS instance class.
    pub instance_class: String,
    /// The initial storage.
    pub storage_gib: u32,
    /// A standby in another zone.
    pub multi_az: bool,
    /// Days for which RDS retains automated backups.
    pub backup_retention_days: u8,
    /// The DB snapshot that the database is restored from, by identifier or ARN.
    pub snapshot: Option<String>,
}

/// A Kafka topic.
#[derive(Debug, Clone)]
pub struct Topic {
    /// The topic's name.
    pub name: String,
    /// The number of partitions.
    pub partitions: u32,
    /// The number of replicas of each partition.
    pub replication_factor: u16,
}

/// A service of the platform.
#[derive(Debug, Clone)]
pub struct Service {
    /// The service's name.
    pub name: String,
    /// The cargo package; its binary has the same name.
    pub package: String,
    /// An existing image that the service runs, in place of a package.
    pub image: Option<String>,
    /// The ports on which it listens.
    pub ports: Vec<Port>,
    /// Fargate CPU units, 1024 to a core.
    pub cpu: u32,
    /// Memory in MiB.
    pub memory: u32,
    /// The processor architecture of its tasks.
    pub architecture: Architecture,
    /// The number of tasks without scaling.
    pub count: u32,
    /// Limits of automatic scaling.
    pub scaling: Option<Scaling>,
    /// Runs on Fargate Spot.
    pub spot: bool,
    /// The way in which a new version replaces the running one.
    pub rollout: Rollout,
    /// The path that the load balancer's health check requests.
    pub health_path: String,
    /// The port that the load balancer's health check requests, if it is not the port of the requests.
    pub health_port: Option<u16>,
    /// The health check inside the container: arguments for the package's binary, or the complete command of an image.
    pub health_command: Option<Vec<String>>,
    /// The key of its database.
    pub database: Option<String>,
    /// Topics to which it writes.
    pub publishes: Vec<String>,
    /// Topics from which it reads.
    pub consumes: Vec<String>,
    /// Services that it calls.
    pub calls: Vec<Call>,
    /// Destinations outside the platform, besides HTTPS.
    pub egress: Vec<Egress>,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// Variables whose values are generated for this service alone.
    pub secrets: Vec<String>,
    /// Secrets that exist already.
    pub existing_secrets: Vec<ExistingSecret>,
    /// Statements of the task role besides those of its links.
    pub permissions: Vec<Permission>,
    /// The service has alarms.
    pub alarms: bool,
    /// Days for which CloudWatch Logs retains the log.
    pub log_retention_days: u32,
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The name, such as `http` or `grpc`.
    pub name: String,
    /// The number.
    pub number: u16,
    /// The variable that passes the number to the service.
    pub variable: String,
}

/// A link: one service calls another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The called service.
    pub service: String,
    /// Its port.
    pub port: Port,
    /// The variable of a generated secret that both services receive.
    pub secret: Option<String>,
}

impl Manifest {
    /// Reads the file and returns one environment of it.
    ///
    /// # Errors
    /// The file cannot be read, is not a manifest, does not declare the environment, or has a value that is not valid.
    pub fn load(path: &Path, environment: &str) -> Result<Self, ManifestError> {
        let source = source::SourceText::read(path)?;
        Self::from_source(&source, environment)
    }

    fn from_source(source: &source::SourceText, environment: &str) -> Result<Self, ManifestError> {
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
            &settings,
            file.environments.keys().cloned().collect(),
        )
    }

    /// Returns `<project>-<env>`, the prefix of every stack's name.
    pub fn prefix(&self) -> String {
        format!("{}-{}", self.project, self.environment)
    }

    /// Returns the service of this name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }
}

impl Call {
    /// Returns the variable that passes the called service's address: `…_URL` for HTTP, `…_ADDRESS` for another port.
    pub fn variable(&self) -> String {
        let stem = self.service.to_uppercase().replace('-', "_");
        let suffix = if self.port.name == "http" { "URL" } else { "ADDRESS" };
        format!("{stem}_{suffix}")
    }
}

impl Service {
    /// Returns true if the service writes to a topic or reads from one.
    pub fn uses_kafka(&self) -> bool {
        !self.publishes.is_empty() || !self.consumes.is_empty()
    }

    /// Returns the port named `http`.
    pub fn http_port(&self) -> Option<&Port> {
        self.ports.iter().find(|port| port.name == "http")
    }
}

#[cfg(test)]
mod tests;
