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
