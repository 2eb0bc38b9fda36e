//! Partitions that are paused because a message failed.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rdkafka::{Message, TopicPartitionList};

/// The pause after the first failure; it doubles with each further one.
const MIN_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(20);

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TopicPartition {
    pub(super) topic: String,
    pub(super) partition: i32,
}

impl TopicPartition {
    pub(super) fn of(message: &impl Message) -> Self {
        Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
        }
    }

    /// Returns the partition as librdkafka's list of one.
    pub(super) fn to_list(&self) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, self.partition);
        list
    }
}

/// The failed message of each partition, and the time of its retry. The caller passes the current time.
#[derive(Debug, Default)]
pub(super) struct PausedPartitions(Mutex<HashMap<TopicPartition, RetryState>>);

#[derive(Debug)]
struct RetryState {
    /// Offset of the message that failed.
    offset: i64,
    /// Pause after the next failure.
    next_pause: Duration,
    /// Time of the retry; `None` while the message is being retried.
    until: Option<Instant>,
}

impl PausedPartitions {
    /// Records a failure and returns the pause of the partition.
    pub(super) fn pause(&self, partition: &TopicPartition, offset: i64, now: Instant) -> Duration {
        let mut all = self.0.lock();
        let pause = all.get(partition).map_or(MIN_PAUSE, |state| state.next_pause);
        let state = RetryState {
            offset,
            next_pause: (pause * 2).min(MAX_PAUSE),
            until: Some(now + pause),
        };
        all.insert(partition.clone(), state);
        drop(all);
        set_pause(partition, pause);
        pause
    }

    /// Returns whether messages of the partition have to wait.
    pub(super) fn is_paused(&self, partition: &TopicPartition) -> bool {
        self.0.lock().get(partition).is_some_and(|state| state.until.is_some())
    }

    /// Returns the time of the next retry.
    pub(super) fn next_retry(&self) -> Option<Instant> {
        self.0.lock().values().filter_map(|state| state.until).min()
    }

    /// Returns the partitions whose pause is over, with the offset of the message to retry.
    pub(super) fn due(&self, now: Instant) -> Vec<(TopicPartition, i64)> {
        let all = self.0.lock();
        let due = all
            .iter()
            .filter(|(_, state)| state.until.is_some_and(|until| until <= now));
        due.map(|(partition, state)| (partition.clone(), state.offset))
            .collect()
    }

    /// Marks a partition as read again, from the message that failed.
    pub(super) fn resumed(&self, partition: &TopicPartition) {
        if let Some(state) = self.0.lock().get_mut(partition) {
            state.until = None;
        }
    }

    /// Moves the retry of a partition that could not be resumed.
    pub(super) fn postpone(&self, partition: &TopicPartition, until: Instant) {
        if let Some(state) = self.0.lock().get_mut(partition) {
            state.until = Some(until);
        }
    }

    /// Forgets a partition: a message of it was handled, or it is assigned to another member now.
    pub(super) fn clear(&self, partition: &TopicPartition) {
        if self.0.lock().remove(partition).is_some() {
            set_pause(partition, Duration::ZERO);
        }
    }
}

fn set_pause(partition: &TopicPartition, pause: Duration) {
    let (topic, partition) = (partition.topic.clone(), partition.partition.to_string());
    metrics::gauge!("kafka_retry_pause_seconds", "topic" => topic, "partition" => partition).set(pause.as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(partition: i32) -> TopicPartition {
        TopicPartition {
            topic: "t".into(),
            partition,
        }
    }

    #[test]
    fn pauses_double_for_one_partition_until_a_message_of_it_is_handled() {
        let (paused, now) = (PausedPartitions::default(), Instant::now());
        let pauses: Vec<_> = (0..9)
            .map(|_| paused.pause(&partition(0), 7, now).as_millis())
            .collect();
        assert_eq!(pauses, [200, 400, 800, 1600, 3200, 6400, 12_800, 20_000, 20_000]);
        assert_eq!(
            paused.pause(&partition(1), 3, now),
            MIN_PAUSE,
            "each partition has its own pause"
        );
        paused.clear(&partition(0));
        assert_eq!(paused.pause(&partition(0), 8, now), MIN_PAUSE);
    }

    #[test]
    fn a_partition_is_paused_until_it_is_resumed() {
        let (paused, now) = (PausedPartitions::default(), Instant::now());
        paused.pause(&partition(0), 7, now);
        assert!(paused.is_paused(&partition(0)) && !paused.is_paused(&partition(1)));
        assert!(paused.due(now).is_empty());
        assert_eq!(paused.due(now + MIN_PAUSE), [(partition(0), 7)]);
        paused.postpone(&partition(0), now + MAX_PAUSE);
        assert_eq!(paused.next_retry(), Some(now + MAX_PAUSE));
        paused.resumed(&partition(0));
        assert_eq!((paused.is_paused(&partition(0)), paused.next_retry()), (false, None));
    }
}
