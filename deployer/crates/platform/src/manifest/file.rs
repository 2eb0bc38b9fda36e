//! Shape of `deployer.toml`, before its validation.
//!
//! Every table exists twice: at the top, and under `[environments.<name>]` as an override. Both are read into the same
//! types, so an unknown key is an error with its line in both.

use std::collections::BTreeMap;
use std::fmt;

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::strategy::WrittenRollout;

/// The complete file. What is only read through [`Settings`] starts with an underscore.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    #[serde(rename = "project")]
    pub _project: Project,
    #[serde(default, rename = "network")]
    pub _network: Network,
    #[serde(default, rename = "ingress")]
    pub _ingress: Ingress,
    #[serde(default, rename = "cloudformation")]
    pub _cloudformation: CloudFormation,
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

/// Overrides of an environment; after the merge, all its settings.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    pub demo_data: bool,
    pub protected: bool,
    pub customer_key: bool,
    /// The account ID of the only account to deploy to.
    pub account: Option<String>,
    /// The only region to deploy to.
    pub region: Option<String>,
    /// The ARN of the managed policy that bounds every role.
    pub permissions_boundary: Option<String>,
    pub cloudformation: CloudFormation,
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
    #[serde(default = "same_directory")]
    pub workspace: String,
}

fn same_directory() -> String {
    ".".to_owned()
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    pub cidr: Option<String>,
    pub availability_zones: Option<u8>,
    pub nat: Option<Nat>,
    pub flow_logs: Option<bool>,
    /// The ID of an existing VPC, in place of one that is created.
    pub vpc: Option<String>,
    pub public_subnets: Option<Subnets>,
    pub private_subnets: Option<Subnets>,
    pub isolated_subnets: Option<Subnets>,
}

/// Subnets of an existing VPC.
#[derive(Debug, Clone)]
pub enum Subnets {
    Ids(Vec<String>),
    Tag(Tag),
}

/// A tag of resources.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tag {
    /// The tag's key.
    #[serde(rename = "tag")]
    pub key: String,
    /// The tag's value.
    pub value: String,
}

/// Read by hand: an error inside the table of an untagged enum would lose its reason.
impl<'de> Deserialize<'de> for Subnets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SubnetsVisitor;
        impl<'de> Visitor<'de> for SubnetsVisitor {
            type Value = Subnets;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a list of subnet IDs, or a table { tag, value }")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Subnets, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Subnets::Ids)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Subnets, A::Error> {
                Tag::deserialize(MapAccessDeserializer::new(map)).map(Subnets::Tag)
            }
        }
        deserializer.deserialize_any(SubnetsVisitor)
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CloudFormation {
    /// The service role with which CloudFormation works.
    pub role_arn: Option<String>,
}

/// Internet access of private subnets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nat {
    /// One NAT gateway for all zones: cheap, but an outage of its zone interrupts the egress of all.
    Single,
    /// A NAT gateway in each zone.
    PerZone,
    /// No internet access: AWS's own APIs alone, through endpoints in the VPC.
    None,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ingress {
    pub service: Option<String>,
    pub port: Option<u16>,
    /// An ACM certificate's ARN; with it the listener accepts HTTPS.
    pub certificate: Option<String>,
    /// The public host name, which the certificate covers; without `zone`, the owner of the domain points it to the load balancer.
    pub host: Option<String>,
    /// The ID of the public hosted zone of Route 53 for `host`: its certificate and its DNS record are created.
    pub zone: Option<String>,
    /// The ARN of a web ACL of AWS WAF in the region of the deployment.
    pub web_acl: Option<String>,
    pub readiness_path: Option<String>,
    pub curl: Option<Vec<String>>,
    /// The reason why a protected environment serves plain HTTP on AWS.
    pub plaintext: Option<String>,
    /// Stores the load balancer's access logs in a bucket.
    pub access_logs: Option<bool>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alarms {
    pub enabled: Option<bool>,
    /// The address that receives alarms, once its owner has confirmed the subscription.
    pub email: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kafka {
    pub version: Option<String>,
    pub instance_type: Option<String>,
    pub brokers_per_zone: Option<u8>,
    pub storage_gib: Option<u32>,
    pub retention_hours: Option<u32>,
    pub security: Option<KafkaSecurity>,
    /// Brokers that exist already, `host:port,…`, in place of an MSK cluster.
    pub bootstrap: Option<String>,
    /// The IPv4 network of those brokers: services can reach no other on the brokers' ports.
    pub bootstrap_cidr: Option<String>,
}

/// Authentication of Kafka clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KafkaSecurity {
    /// None, without TLS.
    Plaintext,
    /// SASL/IAM over TLS, with each service's own role.
    MskIam,
}

impl KafkaSecurity {
    /// Returns the value of `KAFKA_SECURITY`.
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
    /// The database inside the instance; default: the table's key.
    pub name: Option<String>,
    pub engine_version: Option<String>,
    pub instance_class: Option<String>,
    pub storage_gib: Option<u32>,
    pub multi_az: Option<bool>,
    pub backup_retention_days: Option<u8>,
    /// The DB snapshot that the database is restored from. It must remain set: without it CloudFormation replaces the database
    /// by an empty one.
    pub snapshot: Option<String>,
    /// A PEM file with the authorities of all databases, relative to the manifest.
    pub ca_bundle: Option<String>,
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
    /// The cargo package, whose binary has the same name; default: the table's key.
    pub package: Option<String>,
    /// An existing image, as `registry/name:tag` or with its digest, in place of a package; `health_command` then starts with
    /// the program's path in the image.
    pub image: Option<String>,
    pub ports: IndexMap<String, u16>,
    /// The variable that passes a named port to the service; default: `PORT` for `http`, `NAME_PORT` for another.
    pub port_variables: BTreeMap<String, String>,
    pub cpu: Option<u32>,
    pub memory: Option<u32>,
    pub architecture: Option<Architecture>,
    pub count: Option<u32>,
    pub scaling: Option<Scaling>,
    /// Fargate Spot: cheaper, and interrupted with two minutes' notice.
    pub spot: Option<bool>,
    /// The way in which a new version replaces the running one.
    pub rollout: Option<WrittenRollout>,
    pub health_path: Option<String>,
    /// The named port that the load balancer's health check requests; default: `http`.
    pub health_port: Option<String>,
    pub health_command: Option<Vec<String>>,
    pub database: Option<String>,
    pub publishes: Option<Vec<String>>,
    pub consumes: Option<Vec<String>>,
    pub calls: Option<Vec<Call>>,
    /// Destinations outside the platform, besides HTTPS: a mail server, a collector of traces.
    pub egress: Option<Vec<Egress>>,
    pub environment: BTreeMap<String, String>,
    pub secrets: Option<Vec<Secret>>,
    /// Statements of the task role besides those of the links.
    pub permissions: Option<Vec<Permission>>,
    pub alarms: Option<bool>,
    pub log_retention_days: Option<u32>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    pub service: String,
    #[serde(default = "http")]
    pub port: String,
    /// The variable of a secret that is generated for this link and passed to both services.
    pub secret: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Egress {
    /// An IPv4 network.
    pub cidr: String,
    /// A TCP port.
    pub port: u16,
    pub reason: String,
}

/// A secret of a service: the variable of a generated one, or an existing one.
#[derive(Debug, Clone)]
pub enum Secret {
    Generated(String),
    Existing(ExistingSecret),
}

/// Read by hand: an error inside the table of an untagged enum would lose its reason.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SecretVisitor;
        impl<'de> Visitor<'de> for SecretVisitor {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a variable, or a table { name, arn } or { name, parameter }")
            }

            fn visit_str<E>(self, variable: &str) -> Result<Secret, E> {
                Ok(Secret::Generated(variable.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Secret, A::Error> {
                ExistingSecret::deserialize(MapAccessDeserializer::new(map)).map(Secret::Existing)
            }
        }
        deserializer.deserialize_any(SecretVisitor)
    }
}

/// A secret of Secrets Manager or a parameter of Systems Manager.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExistingSecret {
    /// The variable.
    pub name: String,
    pub arn: Option<String>,
    pub parameter: Option<String>,
    /// A key of the secret's JSON object.
    pub json_key: Option<String>,
    /// The customer managed key that encrypts it.
    pub kms_key: Option<String>,
}

/// Actions that the service's code calls.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    pub actions: Vec<String>,
    pub resources: Vec<String>,
}

fn http() -> String {
    "http".to_owned()
}

/// The processor architecture of tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// 64-bit x86.
    #[default]
    #[serde(rename = "x86_64")]
    X86_64,
    /// AWS Graviton.
    Arm64,
}

impl Architecture {
    /// Returns ECS's `CpuArchitecture`.
    pub fn cpu_architecture(self) -> &'static str {
        match self {
            Self::X86_64 => "X86_64",
            Self::Arm64 => "ARM64",
        }
    }
}

/// Limits and targets of automatic scaling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    /// The minimum number of tasks.
    pub minimum: u32,
    /// The maximum number of tasks.
    pub maximum: u32,
    /// The target of the average CPU utilization.
    pub cpu_percent: u8,
    /// The target of requests a minute for each task of the ingress service.
    pub requests_per_target: Option<u32>,
}
