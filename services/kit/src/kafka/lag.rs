//! The lag of a consumer group, asked of the brokers: it is right while the consumer stands still, and unknown without them.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{Consumer, StreamConsumer},
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{consumer_context::ConsumerContext, outage::Outage};
use crate::telemetry::LogThrottle;

/// Pause between two measurements.
const INTERVAL: Duration = Duration::from_secs(5);
/// Time limit of one question to the brokers.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Interval of the log lines.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

type GroupConsumer = StreamConsumer<ConsumerContext>;

/// Measures the lag of the whole group until `shutdown`; every member reports the same.
pub(super) async fn measure_until(
    shutdown: CancellationToken,
    consumer: Arc<GroupConsumer>,
    topics: Vec<String>,
    outage: Arc<Outage>,
) {
    let mut log = LogThrottle::new(LOG_INTERVAL);
    let mut lags = BTreeMap::new();
    while !shutdown.is_cancelled() {
        let (asked, of) = (consumer.clone(), topics.clone());
        let measured = tokio::task::spawn_blocking(move || measure(&asked, &of)).await;
        let measured = measured.map_err(anyhow::Error::from).flatten();
        // A partition without a value in this measurement has an unknown lag, which is not 0.
        for lag in lags.values_mut() {
            *lag = f64::NAN;
        }
        match measured {
            Ok(measured) => {
                outage.end(Instant::now());
                let total: i64 = measured.iter().map(|(_, lag)| lag).sum();
                if log.should_log("known", Instant::now()).is_some() {
                    // A metric filter of the deployed log group reads this field by its name.
                    tracing::info!(kafka_consumer_lag = total, "measured the consumer lag");
                }
                lags.extend(measured.into_iter().map(|(partition, lag)| (partition, lag as f64)));
            }
            Err(error) => {
                if log.should_log("unknown", Instant::now()).is_some() {
                    tracing::warn!(error = format!("{error:#}"), "the consumer lag is unknown");
                }
            }
        }
        for ((topic, partition), lag) in &lags {
            let (topic, partition) = (topic.clone(), partition.to_string());
            metrics::gauge!("kafka_consumer_lag", "topic" => topic, "partition" => partition).set(*lag);
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = sleep(INTERVAL) => {}
        }
    }
}

/// Returns the number of messages of each partition that the group has not handled yet.
fn measure(consumer: &GroupConsumer, topics: &[String]) -> anyhow::Result<Vec<((String, i32), i64)>> {
    let mut partitions = TopicPartitionList::new();
    for name in topics {
        let metadata = consumer.fetch_metadata(Some(name), TIMEOUT)?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == name);
        let found = topic.map(|topic| topic.partitions()).unwrap_or_default();
        anyhow::ensure!(!found.is_empty(), "the topic {name} does not exist");
        for partition in found {
            partitions.add_partition(name, partition.id());
        }
    }
    let committed = consumer
        .committed_offsets(partitions, TIMEOUT)
        .context("the committed offsets")?;
    let lag = |element: rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        element.error().context("a committed offset")?;
        let (topic, partition) = (element.topic(), element.partition());
        let (low, high) = consumer
            .fetch_watermarks(topic, partition, TIMEOUT)
            .context("the offsets of a partition")?;
        Ok(((topic.to_owned(), partition), lag(element.offset(), low, high)))
    };
    committed.elements().into_iter().map(lag).collect()
}

/// Returns the number of messages behind the committed offset, or else behind the beginning.
fn lag(committed: Offset, low: i64, high: i64) -> i64 {
    let handled = match committed {
        Offset::Offset(offset) => offset.max(low),
        _ => low,
    };
    (high - handled).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lag_counts_from_the_committed_offset_or_else_from_the_beginning() {
        assert_eq!(lag(Offset::Offset(7), 0, 10), 3);
        assert_eq!(lag(Offset::Offset(10), 0, 10), 0);
        assert_eq!(lag(Offset::Invalid, 4, 10), 6);
        assert_eq!(lag(Offset::Offset(2), 4, 10), 6, "the messages before were deleted");
    }
}
