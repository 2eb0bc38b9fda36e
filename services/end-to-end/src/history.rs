//! What the topic tells of each patient.

use std::collections::{BTreeMap, BTreeSet};

use contracts::{
    events::{PATIENT_CREATED, PATIENT_DELETED, PATIENT_UPDATED},
    patient::events::PatientEvent,
};
use uuid::Uuid;

use crate::Record;

/// The events of topic `patient`, each counted where it occurs first.
#[derive(Debug, Default)]
pub struct History {
    /// By patient.
    pub stories: BTreeMap<Uuid, Story>,
    /// Messages that repeat an event.
    pub repeated: usize,
    /// What is wrong in itself: a key that is not the patient, a patient in two partitions.
    pub wrong: Vec<String>,
}

/// The events of one patient, in the order of their first occurrence.
#[derive(Debug, Default)]
pub struct Story {
    pub events: Vec<PatientEvent>,
    partitions: BTreeSet<i32>,
}

impl History {
    /// Reads the records of a topic, which are ordered in each partition; what is no event is left out.
    pub fn read(records: &[Record]) -> Self {
        let mut history = Self::default();
        let mut seen = BTreeSet::new();
        for (record, event) in records.iter().filter_map(|record| Some((record, record.event()?))) {
            let Ok(patient) = Uuid::parse_str(&event.patient_id) else {
                continue;
            };
            if record.key != event.patient_id.as_bytes() {
                history
                    .wrong
                    .push(format!("the key of event {} is not its patient", event.event_id));
            }
            if !seen.insert(event.event_id.clone()) {
                history.repeated += 1;
                continue;
            }
            let story = history.stories.entry(patient).or_default();
            story.partitions.insert(record.partition);
            story.events.push(event);
        }
        for (patient, story) in &history.stories {
            history
                .wrong
                .extend(story.wrong().map(|wrong| format!("patient {patient}: {wrong}")));
        }
        history
    }

    /// Every event, once.
    pub fn events(&self) -> impl Iterator<Item = &PatientEvent> {
        self.stories.values().flat_map(|story| &story.events)
    }
}

impl Story {
    /// The newest version.
    pub fn version(&self) -> i64 {
        self.events.last().map_or(0, |event| event.version)
    }

    /// Whether the story ends with the deletion.
    pub fn is_deleted(&self) -> bool {
        self.events
            .last()
            .is_some_and(|event| event.event_type == PATIENT_DELETED)
    }

    /// Versions from 1 with none missing and none before its time; created first, deleted last, changed between.
    fn wrong(&self) -> Option<String> {
        let told: Vec<_> = self
            .events
            .iter()
            .map(|event| (event.version, event.event_type.as_str()))
            .collect();
        let last = told.len();
        let expected = (1..).zip(&told).all(|(place, (version, kind))| {
            let fits = match *kind {
                PATIENT_CREATED => place == 1,
                PATIENT_UPDATED => place > 1,
                PATIENT_DELETED => place > 1 && usize::try_from(place) == Ok(last),
                _ => false,
            };
            fits && *version == place
        });
        if !expected {
            return Some(format!("its events are out of order: {told:?}"));
        }
        (self.partitions.len() > 1).then(|| format!("its events are in partitions {:?}", self.partitions))
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    const PATIENT: &str = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";

    /// The topic after these messages: partition, kind and version; one version is one event.
    fn topic(messages: &[(i32, &str, i64)]) -> History {
        let records: Vec<Record> = (0..)
            .zip(messages)
            .map(|(offset, (partition, kind, version))| {
                let event = PatientEvent {
                    patient_id: PATIENT.into(),
                    event_type: (*kind).into(),
                    event_id: Uuid::from_u128(version.unsigned_abs().into()).to_string(),
                    version: *version,
                    ..PatientEvent::default()
                };
                Record {
                    partition: *partition,
                    offset,
                    key: PATIENT.into(),
                    payload: event.encode_to_vec(),
                    headers: Vec::new(),
                }
            })
            .collect();
        History::read(&records)
    }

    const C: &str = PATIENT_CREATED;
    const U: &str = PATIENT_UPDATED;
    const D: &str = PATIENT_DELETED;

    #[test]
    fn a_story_in_order_holds_and_repetitions_do_not_matter() {
        let told = topic(&[(0, C, 1), (0, U, 2), (0, C, 1), (0, D, 3), (0, U, 2)]);
        assert_eq!((told.repeated, told.wrong.len()), (2, 0), "{:?}", told.wrong);
        let story = told.stories.values().next().expect("the story");
        assert!(story.is_deleted());
        assert_eq!(story.version(), 3);
    }

    #[test]
    fn what_is_out_of_order_missing_or_in_two_places_is_found() {
        let wrong: [&[(i32, &str, i64)]; 6] = [
            &[(0, C, 1), (0, U, 3), (0, U, 2)],
            &[(0, C, 1), (0, U, 3)],
            &[(0, U, 2)],
            &[(0, C, 1), (0, D, 2), (0, U, 3)],
            &[(0, C, 1), (0, C, 2)],
            &[(0, C, 1), (1, U, 2)],
        ];
        for messages in wrong {
            assert_eq!(topic(messages).wrong.len(), 1, "{messages:?}");
        }
    }
}
