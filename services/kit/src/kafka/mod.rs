//! Kafka: settings, the idempotent producer, topics, and the at-least-once consumer.

mod consumer;
mod letters;
mod spans;
mod topics;
mod troubles;
mod watch;

use std::time::Duration;

use anyhow::{Context, bail};
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, Producer},
};

pub use consumer::{Handler, Incoming, Outcome, consume};
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
    /// Whether this service creates the topics it uses, where the platform cannot
    #[arg(id = "kafka_create_topics", long = "kafka-create-topics", env = "KAFKA_CREATE_TOPICS", default_value_t = false, action = clap::ArgAction::Set)]
    pub create_topics: bool,
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
    ///
    /// # Errors
    /// When this build cannot speak the security that is asked for.
    pub fn config(&self) -> anyhow::Result<ClientConfig> {
        if self.security == Security::MskIam {
            bail!(
                "KAFKA_SECURITY=msk-iam is not supported by this build: its librdkafka has no TLS; \
                 use plaintext listeners inside the VPC (kafka_security = \"plaintext\" in deployer.toml)"
            );
        }
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
        Ok(config)
    }
}

/// An idempotent producer that waits for all replicas; a message is given up after 30 s.
///
/// # Errors
/// When the settings are refused. A broker that is down is no error.
pub fn producer(args: &KafkaArgs) -> anyhow::Result<FutureProducer> {
    build_producer(args, "30000")
}

/// The same, for one who must not lose the order: a message waits for the broker as long as it takes.
pub(crate) fn patient_producer(args: &KafkaArgs) -> anyhow::Result<FutureProducer> {
    build_producer(args, "0")
}

fn build_producer(args: &KafkaArgs, message_timeout: &str) -> anyhow::Result<FutureProducer> {
    args.config()?
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // What the broker did not take is sent again until the timeout; idempotence keeps the order meanwhile.
        .set("max.in.flight.requests.per.connection", "5")
        .set("queue.buffering.max.kbytes", "65536")
        .set("linger.ms", "2")
        .set("message.timeout.ms", message_timeout)
        .create()
        .context("the Kafka producer's settings are refused")
}

/// A health check: whether a broker answers within 1.5 s.
///
/// # Errors
/// When none does.
pub async fn reachable(producer: &FutureProducer) -> Result<(), String> {
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
