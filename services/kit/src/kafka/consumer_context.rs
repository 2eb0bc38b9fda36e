//! Context of a consumer: lag, and the partitions that a rebalance assigns or revokes.

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rdkafka::{
    ClientContext, Statistics, TopicPartitionList,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext as RdKafkaConsumerContext, Rebalance},
    error::KafkaError,
    statistics::Partition,
};

use super::{
    KafkaClientContext,
    paused_partitions::{PausedPartitions, TopicPartition},
};
use crate::telemetry::LogThrottle;

pub(super) struct ConsumerContext {
    client: KafkaClientContext,
    paused: Arc<PausedPartitions>,
    lag_log: Mutex<LogThrottle>,
}

impl ConsumerContext {
    pub(super) fn new(client: KafkaClientContext, paused: Arc<PausedPartitions>) -> Self {
        Self {
            client,
            paused,
            lag_log: Mutex::new(LogThrottle::new(Duration::from_mins(1))),
        }
    }

    /// Drops what is recorded of partitions that another member has from now on.
    fn forget(&self, partitions: &TopicPartitionList) {
        for element in partitions.elements() {
            let partition = TopicPartition {
                topic: element.topic().to_owned(),
                partition: element.partition(),
            };
            self.paused.clear(&partition);
            set_lag(&partition.topic, partition.partition, 0.0);
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

    fn stats(&self, statistics: Statistics) {
        let mut total = 0;
        for topic in statistics.topics.values() {
            let assigned = topic.partitions.values().filter(|it| it.fetch_state == "active");
            for partition in assigned {
                if let Some(lag) = lag(partition) {
                    set_lag(&topic.topic, partition.partition, lag as f64);
                    total += lag;
                }
            }
        }
        if self.lag_log.lock().should_log("lag", Instant::now()).is_some() {
            // A metric filter of the deployed log group reads this field by its name.
            tracing::info!(kafka_consumer_lag = total, "measured the consumer lag");
        }
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

/// Returns the number of messages of the partition that are not handled yet; `None` before the first fetch.
fn lag(partition: &Partition) -> Option<i64> {
    let handled = partition.stored_offset.max(partition.committed_offset);
    let handled = if handled >= 0 {
        handled
    } else {
        partition.lo_offset.max(0)
    };
    (partition.partition >= 0 && partition.hi_offset >= 0).then(|| (partition.hi_offset - handled).max(0))
}

fn set_lag(topic: &str, partition: i32, lag: f64) {
    let (topic, partition) = (topic.to_owned(), partition.to_string());
    metrics::gauge!("kafka_consumer_lag", "topic" => topic, "partition" => partition).set(lag);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(stored: i64, committed: i64, low: i64, high: i64) -> Partition {
        Partition {
            stored_offset: stored,
            committed_offset: committed,
            lo_offset: low,
            hi_offset: high,
            ..Partition::default()
        }
    }

    #[test]
    fn the_lag_counts_from_the_last_handled_message_or_else_from_the_beginning() {
        const UNKNOWN: i64 = -1001;
        assert_eq!(lag(&partition(7, 5, 0, 10)), Some(3));
        assert_eq!(lag(&partition(UNKNOWN, 5, 0, 10)), Some(5));
        assert_eq!(lag(&partition(UNKNOWN, UNKNOWN, 4, 10)), Some(6));
        assert_eq!(lag(&partition(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)), None);
    }
}
