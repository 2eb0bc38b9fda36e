//! Kafka: settings, the idempotent producer, topics, and the at-least-once consumer.

mod client_context;
mod client_errors;
mod consumer;
mod consumer_context;
mod dead_letters;
mod event_handler;
mod iam;
mod lag;
mod outage;
mod paused_partitions;
mod spans;
mod topics;

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use rdkafka::{ClientConfig, producer::Producer as _};

use crate::aws::{self, IamArgs};

pub use client_context::{KafkaClientContext, Producer};
pub use consumer::{Handled, Handler, Message, consume};
pub use dead_letters::dead_letter_topic;
pub(crate) use event_handler::consume_events;
pub use event_handler::{EventHandler, Subscription};
pub(crate) use spans::{producer_span, record_delivery};
pub use topics::{TopicSpec, ensure_topics};

/// Addresses of the brokers, and the security of the connections.
#[derive(Debug, Clone, clap::Args)]
pub struct KafkaArgs {
    /// Bootstrap servers, as host:port,host:port
    #[arg(
        id = "kafka_bootstrap_servers",
        long = "kafka-bootstrap-servers",
        env = "KAFKA_BOOTSTRAP_SERVERS",
        default_value = "127.0.0.1:9092"
    )]
    pub bootstrap_servers: String,
    /// Security of the connections, a setting of the environment in deployer.toml
    #[arg(id = "kafka_security", long = "kafka-security", env = "KAFKA_SECURITY", value_enum, default_value_t = Security::Plaintext)]
    pub security: Security,
    /// PEM file with the certificate authorities of the brokers; the system's own by default
    #[arg(id = "kafka_ca_file", long = "kafka-ca-file", env = "KAFKA_CA_FILE")]
    pub ca_file: Option<PathBuf>,
    /// Create the topics that this service uses, where the platform cannot
    #[arg(id = "kafka_create_topics", long = "kafka-create-topics", env = "KAFKA_CREATE_TOPICS", default_value_t = false, action = clap::ArgAction::Set)]
    pub create_topics: bool,
    /// Identity of this service, for `msk-iam`; that of the command line.
    #[arg(skip = aws::identity())]
    pub iam: IamArgs,
}

/// Security of the connections to the brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Security {
    /// No encryption and no authentication
    Plaintext,
    /// TLS, with authentication by IAM
    MskIam,
}

impl KafkaArgs {
    /// Returns the librdkafka settings that every client shares.
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

    /// Returns the context of a client: its identity, its logs and errors.
    ///
    /// # Errors
    /// With `msk-iam`, if the region or the credentials are missing.
    pub fn context(&self) -> anyhow::Result<KafkaClientContext> {
        let iam = match self.security {
            Security::Plaintext => None,
            Security::MskIam => Some(iam::Iam::new(&self.iam, &self.bootstrap_servers)?),
        };
        Ok(KafkaClientContext::new(iam))
    }
}

/// Returns an idempotent producer that waits for all replicas; a message fails after 30 s.
///
/// # Errors
/// If the settings are invalid. An unreachable broker is not an error.
pub fn producer(args: &KafkaArgs) -> anyhow::Result<Producer> {
    build_producer(args, Duration::from_secs(30))
}

/// Returns a producer whose messages wait for the broker without a limit, so that their order is never lost.
pub(crate) fn producer_without_timeout(args: &KafkaArgs) -> anyhow::Result<Producer> {
    // Zero means no limit to librdkafka.
    build_producer(args, Duration::ZERO)
}

fn build_producer(args: &KafkaArgs, message_timeout: Duration) -> anyhow::Result<Producer> {
    args.config()
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // librdkafka retries until the message timeout; idempotence keeps the order.
        .set("max.in.flight.requests.per.connection", "5")
        .set("queue.buffering.max.kbytes", "65536")
        .set("linger.ms", "2")
        .set("message.timeout.ms", message_timeout.as_millis().to_string())
        .create_with_context(args.context()?)
        .context("the settings of the Kafka producer are invalid")
}

/// Checks that a broker answers within 1.5 s.
///
/// # Errors
/// If no broker does.
pub async fn ping(producer: &Producer) -> anyhow::Result<()> {
    let producer = producer.clone();
    let fetched = tokio::task::spawn_blocking(move || {
        producer
            .client()
            .fetch_metadata(Some(""), Duration::from_millis(1500))
            .map(drop)
    });
    Ok(fetched.await??)
}
