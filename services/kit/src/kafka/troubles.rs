//! Partitions that wait because a message of theirs failed.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{Message, TopicPartitionList};

/// The pause after the first failure; it doubles with each.
const FIRST: Duration = Duration::from_millis(200);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(20);

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) topic: String,
    pub(super) partition: i32,
}

impl Place {
    pub(super) fn of(message: &impl Message) -> Self {
        Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
        }
    }

    /// As librdkafka wants it.
    pub(super) fn list(&self) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, self.partition);
        list
    }
}

/// Who waits, from which offset, and for how long; time is told to it.
#[derive(Debug, Default)]
pub(super) struct Troubles(Mutex<HashMap<Place, Trouble>>);

#[derive(Debug)]
struct Trouble {
    /// The message that failed.
    offset: i64,
    /// How long the next pause is.
    next: Duration,
    /// When it is tried again; nothing while it is being tried.
    until: Option<Instant>,
}

impl Troubles {
    /// Notes a failure; answers how long the partition pauses.
    pub(super) fn hold(&self, place: &Place, offset: i64, now: Instant) -> Duration {
        let mut all = self.all();
        let trouble = all.entry(place.clone()).or_insert(Trouble {
            offset,
            next: FIRST,
            until: None,
        });
        let pause = trouble.next;
        *trouble = Trouble {
            offset,
            next: (pause * 2).min(LONGEST),
            until: Some(now + pause),
        };
        drop(all);
        tell(place, pause);
        pause
    }

    /// Whether messages of the partition have to wait.
    pub(super) fn holds(&self, place: &Place) -> bool {
        self.all().get(place).is_some_and(|trouble| trouble.until.is_some())
    }

    /// When the first of them is to be tried again.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.all().values().filter_map(|trouble| trouble.until).min()
    }

    /// Those whose pause is over, with the offset to go back to.
    pub(super) fn due(&self, now: Instant) -> Vec<(Place, i64)> {
        let all = self.all();
        let due = all
            .iter()
            .filter(|(_, trouble)| trouble.until.is_some_and(|until| until <= now));
        due.map(|(place, trouble)| (place.clone(), trouble.offset)).collect()
    }

    /// The partition is read again, from the message that failed.
    pub(super) fn resumed(&self, place: &Place) {
        if let Some(trouble) = self.all().get_mut(place) {
            trouble.until = None;
        }
    }

    /// The partition could not be read again; it waits a little longer.
    pub(super) fn put_off(&self, place: &Place, until: Instant) {
        if let Some(trouble) = self.all().get_mut(place) {
            trouble.until = Some(until);
        }
    }

    /// A message of the partition was handled, or the partition belongs to another member now.
    pub(super) fn over(&self, place: &Place) {
        if self.all().remove(place).is_some() {
            tell(place, Duration::ZERO);
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Place, Trouble>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The current pause, for whoever looks at a partition that stands still.
fn tell(place: &Place, pause: Duration) {
    let (topic, partition) = (place.topic.clone(), place.partition.to_string());
    metrics::gauge!("kafka_retry_pause_seconds", "topic" => topic, "partition" => partition).set(pause.as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(partition: i32) -> Place {
        Place {
            topic: "t".into(),
            partition,
        }
    }

    #[test]
    fn pauses_double_for_one_partition_until_a_message_of_it_is_handled() {
        let (troubles, now) = (Troubles::default(), Instant::now());
        let pauses: Vec<_> = (0..9).map(|_| troubles.hold(&place(0), 7, now).as_millis()).collect();
        assert_eq!(pauses, [200, 400, 800, 1600, 3200, 6400, 12_800, 20_000, 20_000]);
        assert_eq!(troubles.hold(&place(1), 3, now), FIRST, "another partition has its own");
        troubles.over(&place(0));
        assert_eq!(troubles.hold(&place(0), 8, now), FIRST);
    }

    #[test]
    fn a_partition_is_held_until_it_was_really_set_back() {
        let (troubles, now) = (Troubles::default(), Instant::now());
        troubles.hold(&place(0), 7, now);
        assert!(troubles.holds(&place(0)) && !troubles.holds(&place(1)));
        assert!(troubles.due(now).is_empty());
        assert_eq!(troubles.due(now + FIRST), [(place(0), 7)]);
        troubles.put_off(&place(0), now + LONGEST);
        assert_eq!(troubles.next_due(), Some(now + LONGEST));
        troubles.resumed(&place(0));
        assert_eq!((troubles.holds(&place(0)), troubles.next_due()), (false, None));
    }
}
