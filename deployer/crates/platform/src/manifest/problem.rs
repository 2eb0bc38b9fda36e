//! Reasons why a value of the manifest is not valid.

use std::fmt;
use std::ops::RangeInclusive;

use ipnet::Ipv4Net;
use oci_spec::distribution::ParseError;

use super::region::Partition;
use super::rollout::RolloutProblem;
use crate::suggest::closest_or_all;

/// Characters that EC2 accepts in the description of a security group rule, besides letters and digits.
pub const DESCRIPTION_CHARACTERS: &str = " ._-:/()#,@[]+=&;{}!$*";

/// The reason why a value of the manifest is not valid.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A required table is missing.
    #[error("is missing")]
    Missing,
    /// The tables of an environment and the common ones do not fit together.
    #[error("{0}")]
    Merge(String),
    /// A number outside the range that AWS accepts.
    #[error("{value} is not in the range {} to {}{reason}", range.start(), range.end())]
    OutOfRange {
        /// The number.
        value: u64,
        /// The accepted numbers.
        range: RangeInclusive<u64>,
        /// The origin of the range, as the end of the sentence; may be empty.
        reason: &'static str,
    },
    /// A name that does not exist.
    #[error("there is no {kind} '{name}'; {}", closest_or_all(&format!("{kind}s"), name, known.iter().map(String::as_str)))]
    Unknown {
        /// `service`, `database` or `topic`.
        kind: &'static str,
        /// The name.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// A text that is not a name of AWS and DNS.
    #[error("'{name}' is not a name: 1 to {max} of a-z, 0-9 and single hyphens, starting with a-z")]
    Name {
        /// The text.
        name: String,
        /// The maximum length.
        max: usize,
    },
    /// A path that does not start with a slash.
    #[error("'{0}' is not a path: it must start with '/'")]
    Path(String),
    /// Port 0.
    #[error("0 is not a port")]
    PortZero,

    /// A text that is not an IPv4 network.
    #[error("'{0}' is not an IPv4 network, such as 10.30.0.0/16")]
    Network(String),
    /// An address inside a network in place of the network.
    #[error("'{given}' has bits after its prefix; the network is {network}")]
    HostBits {
        /// The text.
        given: String,
        /// The network that holds the address.
        network: Ipv4Net,
    },
    /// The platform's network is not an IPv4 network of a supported size.
    #[error("'{0}' is not an IPv4 network of 16 to 20 bits, such as 10.0.0.0/16")]
    PlatformNetwork(String),
    /// The platform's network has public addresses.
    #[error("'{0}' is not a private network (RFC 1918)")]
    PublicNetwork(Ipv4Net),

    /// A text that is not the ID of a VPC.
    #[error("'{0}' is not the ID of a VPC, such as vpc-0123456789abcdef0; `aws ec2 describe-vpcs` lists them")]
    VpcId(String),
    /// A text that is not the ID of a subnet.
    #[error("'{0}' is not the ID of a subnet, such as subnet-0123456789abcdef0; `aws ec2 describe-subnets` lists them")]
    SubnetId(String),
    /// A subnet that is listed twice.
    #[error("lists {0} twice")]
    SubnetTwice(String),
    /// Fewer subnets than a load balancer, a DB subnet group or a cluster accepts.
    #[error(
        "needs two subnets at least, in different availability zones: load balancers and databases accept no fewer"
    )]
    OneSubnet,
    /// More subnets than an MSK cluster accepts.
    #[error("lists {0} subnets, and an MSK cluster takes two or three: list those of the brokers")]
    BrokerSubnets(usize),
    /// A tag without a key or value.
    #[error("needs a tag and a value, such as {{ tag = \"tier\", value = \"private\" }}")]
    EmptyTag,
    /// Subnets of an existing VPC are missing.
    #[error(
        "network.vpc is set: list the subnets for {0}, or name their tag: [\"subnet-…\", \"subnet-…\"] or {{ tag = \"…\", value = \"…\" }}"
    )]
    NoSubnets(&'static str),
    /// Subnets without an existing VPC.
    #[error(
        "requires network.vpc, the VPC of these subnets; in a VPC that the platform creates, it creates the subnets too"
    )]
    SubnetsWithoutVpc,
    /// A setting of a VPC that the platform creates.
    #[error(
        "is a setting of a VPC that the platform creates, and network.vpc is set: its owner decides this; remove it"
    )]
    ExistingVpc,
    /// A number of zones where each subnet is listed.
    #[error("network.vpc is set, and its zones are those of the listed subnets; remove it")]
    ZonesOfSubnets,

    /// A text that is not an MSK broker type.
    #[error("'{0}' is not an MSK broker type, such as kafka.t3.small")]
    BrokerType(String),
    /// IAM authentication with brokers of another operator.
    #[error(
        "\"msk-iam\" needs a cluster of this platform: the operator of kafka.bootstrap decides what a role may do there; set \
         \"plaintext\", or remove bootstrap"
    )]
    IamOutside,
    /// A network of brokers without brokers.
    #[error("is the network of kafka.bootstrap, which is not set")]
    NetworkWithoutBrokers,
    /// A text that is not the address of a broker.
    #[error("'{0}' is not host:port; separate several with commas")]
    Broker(String),
    /// A text that is not a topic name.
    #[error("'{0}' is not a topic name: 1 to 249 letters, digits, '.', '_' and '-'")]
    TopicName(String),

    /// A text that is not a database name of RDS.
    #[error("'{0}' is not a database name of RDS: at most 57 of a-z, A-Z, 0-9 and '_', starting with a-z or A-Z")]
    DatabaseName(String),
    /// A database name that is reserved.
    #[error("'{0}' is reserved by RDS or PostgreSQL; set another `name = \"…\"`")]
    ReservedDatabaseName(String),
    /// A text that is not an RDS instance class.
    #[error("'{0}' is not an RDS instance class, such as db.t4g.micro")]
    InstanceClass(String),
    /// A text that is not a version of PostgreSQL.
    #[error("'{0}' is not a PostgreSQL version, such as 17 or 17.9")]
    EngineVersion(String),
    /// A snapshot for all databases.
    #[error("a snapshot is of one database: set it under databases")]
    SharedSnapshot,
    /// A database that two services use.
    #[error("the database '{database}' belongs to the service '{owner}'; services do not share databases")]
    SharedDatabase {
        /// The database's key.
        database: String,
        /// The service that uses it first.
        owner: String,
    },

    /// A text that is not an account ID.
    #[error("'{0}' is not the ID of an AWS account: 12 digits, in quotes")]
    Account(String),
    /// A text that is not the name of a region.
    #[error("'{0}' is not a region, such as eu-central-1")]
    Region(String),
    /// A region of a partition in which names and services differ.
    #[error(
        "'{region}' is in {}, where endpoints, services and certificates differ; the templates are not built for it. Use a \
         commercial region",
        partition.name()
    )]
    Partition {
        /// The region.
        region: String,
        /// Its partition.
        partition: Partition,
    },
    /// A text that is not the ARN of a role or policy.
    #[error("'{arn}' is not the ARN of a {kind}, such as arn:aws:iam::111122223333:{kind}/NAME")]
    IamArn {
        /// The text.
        arn: String,
        /// `role` or `policy`.
        kind: &'static str,
    },

    /// A permission without actions or resources.
    #[error("a permission has at least one action and one resource")]
    EmptyPermission,
    /// A text that is not an IAM action, or is every action of a service.
    #[error("'{0}' is not an action, such as s3:GetObject or s3:Get*; every action of a service is not accepted")]
    Action(String),
    /// A text that is not an ARN.
    #[error(
        "'{0}' is not an ARN; it may reference ${{AWS::Partition}}, ${{AWS::Region}} and ${{AWS::AccountId}}. `*` is accepted for \
         actions without resources"
    )]
    Resource(String),
    /// An existing secret without a source, or with two.
    #[error("the secret {0} needs either `arn` (with `json_key`, if its value is JSON) or `parameter`")]
    SecretSource(String),
    /// A text that is not the full ARN of a secret.
    #[error(
        "'{0}' is not the ARN of a secret with its suffix, such as \
         arn:aws:secretsmanager:eu-central-1:111122223333:secret:NAME-a1B2c3; `aws secretsmanager describe-secret` prints it"
    )]
    SecretArn(String),
    /// A text that is not the name of a parameter.
    #[error("'{0}' is not the name of a parameter, such as /team/token")]
    ParameterName(String),
    /// A text that is not the ARN of a KMS key.
    #[error("'{0}' is not the ARN of a KMS key, such as arn:aws:kms:eu-central-1:111122223333:key/ID")]
    KeyArn(String),
    /// Authorities of one database.
    #[error("all databases share one file of authorities: set it under database_defaults")]
    CaBundleOfOne,

    /// A text that is not an e-mail address.
    #[error("'{0}' is not an e-mail address")]
    Email(String),

    /// No service is reachable from outside.
    #[error(
        "names no service; set the one that receives the requests from outside: `service = \"…\"`. It needs a port named http"
    )]
    NoIngressService,
    /// The ingress service has no HTTP port.
    #[error("'{0}' has no port named http")]
    NoHttpPort(String),
    /// The ingress service runs no task.
    #[error("is 0, and this service receives the requests from outside; set at least 1")]
    NoIngressTask,
    /// A text that is not a host name.
    #[error("'{0}' is not a host name, such as patients.example.org, without scheme, port and path")]
    HostName(String),
    /// A text that is not the ID of a hosted zone.
    #[error(
        "'{0}' is not the ID of a hosted zone, such as Z0123456789ABCDEFGHIJ; `aws route53 list-hosted-zones` lists them"
    )]
    ZoneId(String),
    /// A hosted zone without a host name.
    #[error("requires ingress.host, the name for which a certificate and a DNS record are created in the zone")]
    ZoneWithoutHost,
    /// A hosted zone and an existing certificate.
    #[error("creates the certificate of ingress.host, and ingress.certificate is set; remove one of them")]
    ZoneWithCertificate,
    /// A text that is not the ARN of a regional web ACL.
    #[error("'{0}' is not the ARN of a regional web ACL; `aws wafv2 list-web-acls --scope REGIONAL` lists them")]
    WebAclArn(String),

    /// Plain HTTP without a reason.
    #[error("is empty; say why plain HTTP is acceptable, such as \"TLS ends at the CDN\"")]
    NoReason,
    /// Plain HTTP and a certificate.
    #[error(
        "is a reason for plain HTTP, and the listener has a certificate; remove this, or ingress.certificate and ingress.zone"
    )]
    PlaintextWithCertificate,

    /// The manifest declares no service.
    #[error("declares no service; add a table [services.NAME]")]
    NoServices,
    /// A service with the name of a shared stack.
    #[error("'{0}' is the name of a shared stack; choose another name")]
    SharedStackName(String),
    /// A CPU size that Fargate does not have.
    #[error("{0} is not a Fargate size: 256, 512, 1024, 2048 or 4096 CPU units")]
    Cpu(u32),
    /// A memory size that Fargate does not have for this CPU size.
    #[error("{memory} MiB do not go with {cpu} CPU units: {min} to {max} MiB")]
    Memory {
        /// The memory in MiB.
        memory: u32,
        /// The CPU units.
        cpu: u32,
        /// The minimum in MiB.
        min: u32,
        /// The maximum in MiB.
        max: u32,
    },
    /// A memory size between two that Fargate has.
    #[error("{memory} MiB is not a Fargate size: above 512 MiB it comes in steps of {step} MiB")]
    MemoryStep {
        /// The memory in MiB.
        memory: u32,
        /// The step in MiB.
        step: u32,
    },
    /// Scaling limits that contradict each other.
    #[error("needs 1 <= minimum <= maximum and a cpu_percent of 10 to 95")]
    Scaling,
    /// A target of no request at all.
    #[error("requests_per_target must be at least 1")]
    RequestsPerTarget,
    /// A retention that CloudWatch Logs does not have.
    #[error("{days} is not a retention of CloudWatch Logs; use one of {known:?}")]
    LogRetention {
        /// The days.
        days: u32,
        /// The retentions that exist.
        known: &'static [u32],
    },
    /// A text that is not the name of a secret or port variable.
    #[error("'{0}' is not a variable name: A-Z, 0-9 and '_', starting with A-Z")]
    VariableName(String),
    /// A text that is not the name of an environment variable.
    #[error("'{0}' is not a variable name: a-z, A-Z, 0-9 and '_', starting with a-z or A-Z")]
    EnvironmentName(String),
    /// A health command without a word.
    #[error("is empty; remove it, or set the command to run")]
    EmptyCommand,
    /// A package and an image.
    #[error("a service has a package or an image, not both")]
    PackageAndImage,
    /// A text that is not an image reference.
    #[error("'{image}' is not an image reference: {reason}")]
    Image {
        /// The text.
        image: String,
        /// The reason.
        reason: ParseError,
    },
    /// A port number that the service has already.
    #[error("{number} is already the port '{other}' of this service")]
    DuplicatePort {
        /// The number.
        number: u16,
        /// The name of the first port.
        other: String,
    },
    /// A variable for a port that the service does not have.
    #[error("this service has no port '{0}'")]
    NoSuchPort(String),
    /// A call to a port that the called service does not have.
    #[error("'{service}' has no port '{port}'; {}", closest_or_all("its ports", port, known.iter().map(String::as_str)))]
    UnknownPort {
        /// The called service.
        service: String,
        /// The port's name.
        port: String,
        /// Its ports.
        known: Vec<String>,
    },
    /// A service that calls itself.
    #[error("a service cannot call itself")]
    SelfCall,
    /// A variable with two meanings.
    #[error("{variable} would be both {first} and {second}; rename one of them")]
    VariableConflict {
        /// The variable.
        variable: String,
        /// One meaning.
        first: Meaning,
        /// The other.
        second: Meaning,
    },

    /// A rollout that ECS does not have.
    #[error(transparent)]
    Rollout(#[from] RolloutProblem),

    /// Egress from a network without internet access.
    #[error("this network has no internet access: `network.nat` is \"none\"")]
    EgressWithoutNat,
    /// Egress to port 0.
    #[error("{0}: 0 is not a port")]
    EgressPortZero(Ipv4Net),
    /// Egress to a network of the platform.
    #[error("{network} is inside this platform ({platform}), where `calls`, `database` and topics open the paths")]
    EgressInside {
        /// The network.
        network: Ipv4Net,
        /// The platform's network.
        platform: Ipv4Net,
    },
    /// A reason that EC2 does not accept as the description of a rule.
    #[error("{0}: the reason must have 1 to 255 letters, digits, spaces or {chars}", chars = DESCRIPTION_CHARACTERS.trim_start())]
    EgressReason(Ipv4Net),
}

/// The meaning of a variable of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// One of its ports.
    Port(String),
    /// The time for which a service that others call accepts requests while it stops.
    ShutdownDelay,
    /// A setting of its database.
    Database(String),
    /// A secret of its database.
    DatabaseSecret(String),
    /// A setting of the brokers.
    Brokers,
    /// The address of a service that it calls.
    Address {
        /// The called service.
        service: String,
        /// The port's name.
        port: String,
    },
    /// The secret of the calls to this service.
    LinkSecret(String),
    /// A secret of the service alone.
    OwnSecret(String),
    /// A secret that exists already.
    ExistingSecret,
    /// A value of `environment`.
    Environment,
}

impl fmt::Display for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(name) => write!(f, "the port '{name}'"),
            Self::ShutdownDelay => f.write_str("the shutdown delay of a service that others call"),
            Self::Database(key) => write!(f, "a setting of the database '{key}'"),
            Self::DatabaseSecret(key) => write!(f, "a secret of the database '{key}'"),
            Self::Brokers => f.write_str("a setting of the brokers"),
            Self::Address { service, port } => write!(f, "the address of '{service}', port '{port}'"),
            Self::LinkSecret(service) => write!(f, "the secret of the calls to '{service}'"),
            Self::OwnSecret(service) => write!(f, "a secret of '{service}' itself"),
            Self::ExistingSecret => f.write_str("an existing secret"),
            Self::Environment => f.write_str("a value of `environment`"),
        }
    }
}
