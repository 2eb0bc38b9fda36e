//! What a consumer's client tells of itself: lag, and partitions that come and go.

use std::{
    error::Error,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use rdkafka::{
    ClientContext, Statistics, TopicPartitionList,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance},
    error::KafkaError,
    statistics::Partition,
};

use super::{
    Shared,
    troubles::{Place, Troubles},
};
use crate::telemetry::Minutely;

/// The context of a consumer.
pub(super) struct Watch {
    shared: Shared,
    troubles: Arc<Troubles>,
    minutely: Mutex<Minutely>,
}

impl Watch {
    pub(super) fn new(shared: Shared, troubles: Arc<Troubles>) -> Self {
        Self {
            shared,
            troubles,
            minutely: Mutex::default(),
        }
    }
}

impl ClientContext for Watch {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = Shared::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.shared.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.shared.error(error, reason);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.shared.generate_oauth_token(config)
    }

    fn stats(&self, statistics: Statistics) {
        let mut waiting = 0;
        for topic in statistics.topics.values() {
            let ours = topic.partitions.values().filter(|it| it.fetch_state == "active");
            for partition in ours {
                if let Some(lag) = lag(partition) {
                    set_lag(&topic.topic, partition.partition, lag as f64);
                    waiting += lag;
                }
            }
        }
        let mut minutely = self.minutely.lock().unwrap_or_else(PoisonError::into_inner);
        if minutely.due(Instant::now()) {
            // a metric filter of the deployed log group reads this field by its name
            tracing::info!(kafka_consumer_lag = waiting, "the lag was measured");
        }
    }
}

impl ConsumerContext for Watch {
    /// Runs between two messages, so what was handled is stored; it is committed before another member begins there.
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance
            && partitions.count() > 0
            && !consumer.assignment_lost()
            && let Err(error) = consumer.commit_consumer_state(CommitMode::Sync)
        {
            // Nothing new to commit, or the coordinator is away: the next member repeats at most the last second.
            tracing::debug!(error = %error, "nothing was committed before the partitions went");
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let change = match rebalance {
            Rebalance::Assign(partitions) => {
                tracing::info!(kafka.partitions = partitions.count(), "partitions came");
                "assigned"
            }
            Rebalance::Revoke(partitions) => {
                tracing::info!(kafka.partitions = partitions.count(), "partitions went");
                self.forget(partitions);
                "revoked"
            }
            Rebalance::Error(error) => {
                tracing::warn!(error = %error, "the group could not share out its partitions");
                "failed"
            }
        };
        metrics::counter!("kafka_rebalances_total", "change" => change).increment(1);
    }
}

impl Watch {
    /// Whoever has the partitions now tells of them.
    fn forget(&self, partitions: &TopicPartitionList) {
        for partition in partitions.elements() {
            let place = Place {
                topic: partition.topic().to_owned(),
                partition: partition.partition(),
            };
            self.troubles.over(&place);
            set_lag(&place.topic, place.partition, 0.0);
        }
    }
}

/// How many messages of the partition are not handled yet; unknown before the first fetch.
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
    fn the_lag_counts_from_what_was_handled_and_else_from_the_beginning() {
        const UNKNOWN: i64 = -1001;
        assert_eq!(lag(&partition(7, 5, 0, 10)), Some(3));
        assert_eq!(lag(&partition(UNKNOWN, 5, 0, 10)), Some(5));
        assert_eq!(lag(&partition(UNKNOWN, UNKNOWN, 4, 10)), Some(6));
        assert_eq!(lag(&partition(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)), None);
    }
}
