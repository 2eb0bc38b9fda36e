//! Context of a consumer: the partitions that a rebalance assigns or revokes.

use std::{error::Error, sync::Arc};

use rdkafka::{
    ClientContext, TopicPartitionList,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext as RdKafkaConsumerContext, Rebalance},
    error::KafkaError,
};

use super::{
    KafkaClientContext,
    paused_partitions::{PausedPartitions, TopicPartition},
};

pub(super) struct ConsumerContext {
    client: KafkaClientContext,
    paused: Arc<PausedPartitions>,
}

impl ConsumerContext {
    pub(super) fn new(client: KafkaClientContext, paused: Arc<PausedPartitions>) -> Self {
        Self { client, paused }
    }

    /// Drops what is recorded of partitions that another member has from now on.
    fn forget(&self, partitions: &TopicPartitionList) {
        for element in partitions.elements() {
            let partition = TopicPartition {
                topic: element.topic().to_owned(),
                partition: element.partition(),
            };
            self.paused.clear(&partition);
        }
    }
}

impl ClientContext for ConsumerContext {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = KafkaClientContext::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.client.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.client.error(error, reason);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.client.generate_oauth_token(config)
    }
}

impl RdKafkaConsumerContext for ConsumerContext {
    /// Commits the handled messages of revoked partitions before another member reads them. Runs between two messages, so
    /// the offset of every handled message is stored.
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance
            && partitions.count() > 0
            && !consumer.assignment_lost()
            && let Err(error) = consumer.commit_consumer_state(CommitMode::Sync)
        {
            // Nothing new to commit, or the coordinator is unreachable: the next member repeats at most the last second.
            tracing::debug!(error = %error, "no offset was committed before the partitions were revoked");
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let change = match rebalance {
            Rebalance::Assign(partitions) => {
                tracing::info!(kafka.partitions = partitions.count(), "partitions assigned");
                "assigned"
            }
            Rebalance::Revoke(partitions) => {
                tracing::info!(kafka.partitions = partitions.count(), "partitions revoked");
                self.forget(partitions);
                "revoked"
            }
            Rebalance::Error(error) => {
                tracing::warn!(error = %error, "partition assignment failed");
                "failed"
            }
        };
        metrics::counter!("kafka_rebalances_total", "change" => change).increment(1);
    }
}
