//! Kafka: settings, the idempotent producer, topics, and the at-least-once consumer.

mod consumer;
mod context;
mod iam;
mod letters;
mod quiet;
mod spans;
mod topics;
mod troubles;
mod watch;

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use rdkafka::{ClientConfig, producer::Producer as _};

pub use consumer::{Handler, Incoming, Outcome, consume};
pub use context::{Producer, Shared};
pub use iam::IamArgs;
pub(crate) use spans::{sending, sent};
pub use topics::{TopicSpec, ensure_topics};

/// Where the brokers are, and how they are spoken to.
#[derive(Debug, Clone, clap::Args)]
pub struct KafkaArgs {
    /// Brokers to start from, as host:port,host:port
    #[arg(
        id = "kafka_bootstrap_servers",
        long = "kafka-bootstrap-servers",
        env = "KAFKA_BOOTSTRAP_SERVERS",
        default_value = "127.0.0.1:9092"
    )]
    pub bootstrap_servers: String,
    /// How connections are secured: a setting of the environment in deployer.toml
    #[arg(id = "kafka_security", long = "kafka-security", env = "KAFKA_SECURITY", value_enum, default_value_t = Security::Plaintext)]
    pub security: Security,
    /// PEM file of the authorities that vouch for the brokers; the system's own unless told
    #[arg(id = "kafka_ca_file", long = "kafka-ca-file", env = "KAFKA_CA_FILE")]
    pub ca_file: Option<PathBuf>,
    /// Whether this service creates the topics it uses, where the platform cannot
    #[arg(id = "kafka_create_topics", long = "kafka-create-topics", env = "KAFKA_CREATE_TOPICS", default_value_t = false, action = clap::ArgAction::Set)]
    pub create_topics: bool,
    /// Who this service is, for `msk-iam`.
    #[command(flatten)]
    pub iam: IamArgs,
}

/// How connections to the brokers are secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Security {
    /// Not at all
    Plaintext,
    /// TLS, with IAM for who may
    MskIam,
}

impl KafkaArgs {
    /// What every client of these brokers is configured with.
    pub fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("reconnect.backoff.max.ms", "2000")
            .set("socket.keepalive.enable", "true")
            .set("topic.metadata.refresh.interval.ms", "30000")
            .set(
                "client.id",
                concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")),
            );
        if self.security == Security::MskIam {
            config
                .set("security.protocol", "sasl_ssl")
                .set("sasl.mechanism", "OAUTHBEARER");
        }
        if let Some(file) = &self.ca_file {
            config.set("ssl.ca.location", file.to_string_lossy());
        }
        config
    }

    /// What the clients are asked for, and tell.
    ///
    /// # Errors
    /// When IAM is asked for and neither a region nor credentials are told.
    pub fn context(&self) -> anyhow::Result<Shared> {
        let iam = match self.security {
            Security::Plaintext => None,
            Security::MskIam => Some(iam::Iam::new(&self.iam, &self.bootstrap_servers)?),
        };
        Ok(Shared::new(iam))
    }
}

/// An idempotent producer that waits for all replicas; a message is given up after 30 s.
///
/// # Errors
/// When the settings are refused. A broker that is down is no error.
pub fn producer(args: &KafkaArgs) -> anyhow::Result<Producer> {
    build_producer(args, "30000")
}

/// The same, for one who must not lose the order: a message waits for the broker as long as it takes.
pub(crate) fn patient_producer(args: &KafkaArgs) -> anyhow::Result<Producer> {
    build_producer(args, "0")
}

fn build_producer(args: &KafkaArgs, message_timeout: &str) -> anyhow::Result<Producer> {
    args.config()
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // What the broker did not take is sent again until the timeout; idempotence keeps the order meanwhile.
        .set("max.in.flight.requests.per.connection", "5")
        .set("queue.buffering.max.kbytes", "65536")
        .set("linger.ms", "2")
        .set("message.timeout.ms", message_timeout)
        .create_with_context(args.context()?)
        .context("the Kafka producer's settings are refused")
}

/// A health check: whether a broker answers within 1.5 s.
///
/// # Errors
/// When none does.
pub async fn reachable(producer: &Producer) -> Result<(), String> {
    let producer = producer.clone();
    let asked = tokio::task::spawn_blocking(move || {
        producer
            .client()
            .fetch_metadata(Some(""), Duration::from_millis(1500))
            .map(drop)
    });
    asked
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())
}
