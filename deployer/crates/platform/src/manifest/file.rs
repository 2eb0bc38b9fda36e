//! The shape of `deployer.toml`: what may be written, before it is checked.
//!
//! Every table appears twice: at the top, and under `[environments.<name>]` as an override. Both are read into the same
//! types, so an unknown key is an error with its line in either place.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::Deserialize;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    #[serde(rename = "project")]
    pub _project: Project,
    #[serde(default, rename = "network")]
    pub _network: Network,
    #[serde(default, rename = "ingress")]
    pub _ingress: Ingress,
    #[serde(default, rename = "alarms")]
    pub _alarms: Alarms,
    #[serde(default, rename = "kafka")]
    pub _kafka: Kafka,
    #[serde(default, rename = "database_defaults")]
    pub _database_defaults: Database,
    #[serde(default, rename = "service_defaults")]
    pub _service_defaults: Service,
    #[serde(default, rename = "databases")]
    pub _databases: IndexMap<String, Database>,
    #[serde(default, rename = "topics")]
    pub _topics: IndexMap<String, Topic>,
    #[serde(default, rename = "services")]
    pub _services: IndexMap<String, Service>,
    #[serde(default)]
    pub environments: IndexMap<String, Settings>,
}

/// What an environment may override; after the merge, all that holds for it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    pub demo_data: bool,
    pub protected: bool,
    pub customer_key: bool,
    pub project: Option<Project>,
    pub network: Network,
    pub ingress: Ingress,
    pub alarms: Alarms,
    pub kafka: Kafka,
    pub database_defaults: Database,
    pub service_defaults: Service,
    pub databases: IndexMap<String, Database>,
    pub topics: IndexMap<String, Topic>,
    pub services: IndexMap<String, Service>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    pub name: String,
    /// The cargo workspace, relative to the file.
    #[serde(default = "here")]
    pub workspace: String,
}

fn here() -> String {
    ".".to_owned()
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    pub cidr: Option<String>,
    pub availability_zones: Option<u8>,
    pub nat: Option<Nat>,
    pub flow_logs: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nat {
    /// One NAT gateway for all zones: cheap, and a zone's outage may take egress with it.
    Single,
    PerZone,
    /// No way out but AWS's own APIs, through endpoints in the VPC.
    None,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ingress {
    pub service: Option<String>,
    pub port: Option<u16>,
    /// An ACM certificate's ARN: the listener then speaks HTTPS.
    pub certificate: Option<String>,
    /// The name that people use, for which the certificate is; whoever holds its domain points it to the load balancer.
    pub host: Option<String>,
    pub probe: Option<String>,
    pub curl: Option<Vec<String>>,
    /// Whether the load balancer's access logs are kept in a bucket.
    pub access_logs: Option<bool>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alarms {
    pub enabled: Option<bool>,
    /// Who is told, once they have confirmed the subscription.
    pub email: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kafka {
    pub version: Option<String>,
    pub instance_type: Option<String>,
    pub brokers_per_zone: Option<u8>,
    pub storage_gib: Option<u32>,
    pub security: Option<KafkaSecurity>,
    /// Brokers that exist already, `host:port,…`: no MSK cluster is made then.
    pub bootstrap: Option<String>,
    /// The IPv4 network that holds those brokers: the services may reach no other on the brokers' ports.
    pub bootstrap_cidr: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KafkaSecurity {
    Plaintext,
    MskIam,
}

impl KafkaSecurity {
    /// The value of `KAFKA_SECURITY`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::MskIam => "msk-iam",
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// The database inside the instance; the table's key unless told.
    pub name: Option<String>,
    pub engine_version: Option<String>,
    pub instance_class: Option<String>,
    pub storage_gib: Option<u32>,
    pub multi_az: Option<bool>,
    pub backup_days: Option<u8>,
    /// The DB snapshot that it is made from; it stays named for as long as the database is to stay.
    pub snapshot: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Topic {
    pub partitions: Option<u32>,
    pub replication_factor: Option<u16>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Service {
    /// The cargo package, whose binary has the same name; the table's key unless told.
    pub package: Option<String>,
    /// An image that exists, as `registry/name:tag` or with its digest, instead of a crate; `health_command` then begins
    /// with the program's path in it.
    pub image: Option<String>,
    pub ports: IndexMap<String, u16>,
    /// The variable in which a named port is told to the service; `PORT` for `http`.
    pub port_variables: BTreeMap<String, String>,
    pub cpu: Option<u32>,
    pub memory: Option<u32>,
    pub count: Option<u32>,
    pub scaling: Option<Scaling>,
    /// Fargate's spare capacity: cheaper, and taken back with two minutes' notice.
    pub spot: Option<bool>,
    pub health_path: Option<String>,
    pub health_command: Option<Vec<String>>,
    pub database: Option<String>,
    pub publishes: Option<Vec<String>>,
    pub consumes: Option<Vec<String>>,
    pub calls: Option<Vec<Call>>,
    /// Where it may go outside the platform, besides HTTPS: a mail server, a collector of traces.
    pub egress: Option<Vec<Egress>>,
    pub environment: BTreeMap<String, String>,
    pub secrets: Option<Vec<String>>,
    pub alarms: Option<bool>,
    pub log_retention_days: Option<u32>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    pub service: String,
    #[serde(default = "http")]
    pub port: String,
    /// A variable that holds a secret which deployer generates for this link and gives to both ends.
    pub secret: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Egress {
    /// An IPv4 network.
    pub cidr: String,
    /// Of TCP.
    pub port: u16,
    pub reason: String,
}

fn http() -> String {
    "http".to_owned()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    pub minimum: u32,
    pub maximum: u32,
    pub cpu_percent: u8,
    /// Requests a minute that one task of the ingress' service takes before there are more.
    pub requests_per_target: Option<u32>,
}
