//! The Kafka requests that MSK's own operations need, in versions that old and new brokers support.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use bytes::{Bytes, BytesMut};
use kafka_protocol::error::{ParseResponseErrorCode, ResponseError};
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{
    ApiVersionsRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest,
    IncrementalAlterConfigsRequest, MetadataRequest, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const TIMEOUT: Duration = Duration::from_secs(20);
/// The timeout that requests pass to the broker, in milliseconds.
const BROKER_TIMEOUT: i32 = 15_000;
const MAX_RESPONSE: i32 = 16 << 20;

const METADATA_VERSION: i16 = 1;
const API_VERSIONS_VERSION: i16 = 0;
const CREATE_TOPICS_VERSION: i16 = 2;
const DELETE_TOPICS_VERSION: i16 = 1;
const CREATE_PARTITIONS_VERSION: i16 = 0;
const ALTER_CONFIGS_VERSION: i16 = 0;

/// A topic as the broker describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Name of the topic.
    pub name: String,
    /// True for topics of Kafka itself, such as `__consumer_offsets`.
    pub internal: bool,
    /// Number of partitions.
    pub partitions: usize,
    /// Replicas of the first partition.
    pub replicas: usize,
    /// True if each partition has a leader.
    pub ready: bool,
}

/// A client of one broker; each request opens a connection.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// Loopback address of the broker.
    pub address: Ipv4Addr,
    /// Port of the plaintext listener.
    pub port: u16,
}

impl Client {
    /// Checks that a broker responds.
    ///
    /// # Errors
    /// When the broker does not respond, or responds with an error.
    pub async fn ping(&self) -> anyhow::Result<()> {
        let response = self.send(API_VERSIONS_VERSION, ApiVersionsRequest::default()).await?;
        match response.error_code.err() {
            None => Ok(()),
            Some(error) => bail!("the broker responds to ApiVersions with an error: {error}"),
        }
    }

    /// Returns every topic, or those with these names.
    ///
    /// # Errors
    /// When the broker does not respond.
    pub async fn topics(&self, names: Option<&[&str]>) -> anyhow::Result<Vec<Topic>> {
        let topic = |name: &&str| MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        let names = names.map(|names| names.iter().map(topic).collect());
        let request = MetadataRequest::default().with_topics(names);
        let response = self.send(METADATA_VERSION, request).await?;
        Ok(response
            .topics
            .into_iter()
            .filter(|topic| topic.error_code.is_ok())
            .map(Topic::from)
            .collect())
    }

    /// Creates a topic and waits until each partition has a leader.
    ///
    /// # Errors
    /// When the topic exists, or the broker rejects the request.
    pub async fn create(&self, name: &str, partitions: i32, configs: &BTreeMap<String, String>) -> anyhow::Result<()> {
        let config = |(key, value): (&String, &String)| {
            let config = CreatableTopicConfig::default().with_name(text(key));
            config.with_value(Some(text(value)))
        };
        let topic = CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(partitions)
            .with_replication_factor(1)
            .with_configs(configs.iter().map(config).collect());
        let request = CreateTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(BROKER_TIMEOUT);
        let response = self.send(CREATE_TOPICS_VERSION, request).await?;
        let result = only(response.topics)?;
        if result.error_code.err() == Some(ResponseError::TopicAlreadyExists) {
            bail!("the topic '{name}' already exists");
        }
        check(result.error_code, result.error_message, "create", name)?;
        let ready = async {
            while !self.is_ready(name).await {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(TIMEOUT, ready)
            .await
            .with_context(|| format!("the topic '{name}' has no leader yet"))
    }

    async fn is_ready(&self, name: &str) -> bool {
        let topics = self.topics(Some(&[name])).await;
        topics.is_ok_and(|topics| topics.iter().any(|topic| topic.ready))
    }

    /// Deletes a topic. Succeeds if it does not exist.
    ///
    /// # Errors
    /// When the broker rejects the request.
    pub async fn delete(&self, name: &str) -> anyhow::Result<()> {
        let request = DeleteTopicsRequest::default()
            .with_topic_names(vec![topic_name(name)])
            .with_timeout_ms(BROKER_TIMEOUT);
        let response = self.send(DELETE_TOPICS_VERSION, request).await?;
        let result = only(response.responses)?;
        if result.error_code.err() == Some(ResponseError::UnknownTopicOrPartition) {
            return Ok(());
        }
        check(result.error_code, result.error_message, "delete", name)
    }

    /// Raises the number of partitions to `count`.
    ///
    /// # Errors
    /// When the broker rejects the request.
    pub async fn add_partitions(&self, name: &str, count: i32) -> anyhow::Result<()> {
        let topic = CreatePartitionsTopic::default()
            .with_name(topic_name(name))
            .with_count(count)
            .with_assignments(None);
        let request = CreatePartitionsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(BROKER_TIMEOUT);
        let response = self.send(CREATE_PARTITIONS_VERSION, request).await?;
        let result = only(response.results)?;
        check(result.error_code, result.error_message, "add partitions to", name)
    }

    /// Sets configs (`Some`), or resets them to the broker's default (`None`).
    ///
    /// # Errors
    /// When the broker rejects the request.
    pub async fn configure(&self, name: &str, configs: &BTreeMap<String, Option<String>>) -> anyhow::Result<()> {
        // The numbers of Kafka's ConfigResource.Type and AlterConfigOp.OpType.
        const TOPIC: i8 = 2;
        const SET: i8 = 0;
        const DELETE: i8 = 1;
        let config = |(key, value): (&String, &Option<String>)| {
            let config = AlterableConfig::default().with_name(text(key));
            let operation = if value.is_some() { SET } else { DELETE };
            let config = config.with_config_operation(operation);
            config.with_value(value.as_deref().map(text))
        };
        let resource = AlterConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(name))
            .with_configs(configs.iter().map(config).collect());
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let response = self.send(ALTER_CONFIGS_VERSION, request).await?;
        let result = only(response.responses)?;
        check(result.error_code, result.error_message, "configure", name)
    }

    async fn send<R: Request>(&self, version: i16, request: R) -> anyhow::Result<R::Response> {
        let broker = || format!("the broker {}:{} does not respond", self.address, self.port);
        let response = timeout(TIMEOUT, self.exchange(version, request)).await;
        response.with_context(broker)?.with_context(broker)
    }

    async fn exchange<R: Request>(&self, version: i16, request: R) -> anyhow::Result<R::Response> {
        const CORRELATION_ID: i32 = 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(CORRELATION_ID)
            .with_client_id(Some(StrBytes::from_static_str("endpoint")));
        let mut bytes = BytesMut::new();
        header.encode(&mut bytes, R::header_version(version))?;
        request.encode(&mut bytes, version)?;

        let mut connection = TcpStream::connect((self.address, self.port)).await?;
        connection.write_i32(i32::try_from(bytes.len())?).await?;
        connection.write_all(&bytes).await?;
        let size = connection.read_i32().await?;
        ensure!(
            (4..=MAX_RESPONSE).contains(&size),
            "invalid length of a response: {size}"
        );
        let mut response = vec![0; usize::try_from(size)?];
        connection.read_exact(&mut response).await?;

        let mut response = Bytes::from(response);
        let header = ResponseHeader::decode(&mut response, R::Response::header_version(version))?;
        ensure!(
            header.correlation_id == CORRELATION_ID,
            "the response is to another request"
        );
        R::Response::decode(&mut response, version)
    }
}

impl From<MetadataResponseTopic> for Topic {
    fn from(topic: MetadataResponseTopic) -> Self {
        let partitions = &topic.partitions;
        let has_leader = |error_code: i16, leader: i32| error_code.is_ok() && leader >= 0;
        Self {
            internal: topic.is_internal,
            partitions: partitions.len(),
            replicas: partitions.last().map_or(0, |partition| partition.replica_nodes.len()),
            ready: !partitions.is_empty() && partitions.iter().all(|p| has_leader(p.error_code, p.leader_id.0)),
            name: topic.name.map(|name| name.0.as_str().to_owned()).unwrap_or_default(),
        }
    }
}

/// Returns the result of the only item of a request.
fn only<T>(results: Vec<T>) -> anyhow::Result<T> {
    let result = results.into_iter().next();
    result.ok_or_else(|| anyhow!("the broker returned no result"))
}

fn check(code: i16, message: Option<StrBytes>, action: &str, topic: &str) -> anyhow::Result<()> {
    let Some(error) = code.err() else { return Ok(()) };
    let message = message.map_or_else(|| error.to_string(), |message| message.as_str().to_owned());
    bail!("cannot {action} the topic '{topic}': {message}")
}

fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
