//! The events of each patient on the topic.

use std::collections::{BTreeMap, BTreeSet};

use contracts::{
    events::{PATIENT_CREATED, PATIENT_DELETED, PATIENT_UPDATED},
    patient::events::PatientEvent,
};
use uuid::Uuid;

use crate::Record;

/// The events of topic `patient`, each at its first occurrence.
#[derive(Debug, Default)]
pub struct History {
    /// The events by patient.
    pub patients: BTreeMap<Uuid, PatientHistory>,
    /// Number of messages that repeat an event.
    pub repeated: usize,
    /// Violations: a key that is not the patient, a deletion with personal data, events out of order, a patient in two partitions.
    pub violations: Vec<String>,
}

/// The events of one patient, in the order of their first occurrence.
#[derive(Debug, Default)]
pub struct PatientHistory {
    /// Without repetitions.
    pub events: Vec<PatientEvent>,
    partitions: BTreeSet<i32>,
}

impl History {
    /// Reads the records of a topic, which are ordered in each partition, and skips those that are not events.
    pub fn read(records: &[Record]) -> Self {
        let mut history = Self::default();
        let mut event_ids = BTreeSet::new();
        for (record, event) in records.iter().filter_map(|record| Some((record, record.event()?))) {
            let Ok(patient) = Uuid::parse_str(&event.patient_id) else {
                continue;
            };
            if record.key != event.patient_id.as_bytes() {
                history
                    .violations
                    .push(format!("the key of event {} is not its patient", event.event_id));
            }
            let has_person = !event.name.is_empty() || !event.email.is_empty() || event.birth_year != 0;
            if event.event_type == PATIENT_DELETED && has_person {
                let violation = format!("the deletion {} contains more than ids", event.event_id);
                history.violations.push(violation);
            }
            if !event_ids.insert(event.event_id.clone()) {
                history.repeated += 1;
                continue;
            }
            let of_patient = history.patients.entry(patient).or_default();
            of_patient.partitions.insert(record.partition);
            of_patient.events.push(event);
        }
        for (patient, events) in &history.patients {
            history.violations.extend(
                events
                    .violation()
                    .map(|violation| format!("patient {patient}: {violation}")),
            );
        }
        history
    }

    /// Returns every event once.
    pub fn events(&self) -> impl Iterator<Item = &PatientEvent> {
        self.patients.values().flat_map(|patient| &patient.events)
    }
}

impl PatientHistory {
    /// Returns the newest version.
    pub fn version(&self) -> i64 {
        self.events.last().map_or(0, |event| event.version)
    }

    /// Returns whether the last event is the deletion.
    pub fn is_deleted(&self) -> bool {
        self.events
            .last()
            .is_some_and(|event| event.event_type == PATIENT_DELETED)
    }

    /// Checks that versions ascend from 1 without gaps, with the creation first and a deletion last.
    fn violation(&self) -> Option<String> {
        let events: Vec<_> = self
            .events
            .iter()
            .map(|event| (event.version, event.event_type.as_str()))
            .collect();
        let last = events.len();
        let expected = (1..).zip(&events).all(|(position, (version, kind))| {
            let valid = match *kind {
                PATIENT_CREATED => position == 1,
                PATIENT_UPDATED => position > 1,
                PATIENT_DELETED => position > 1 && usize::try_from(position) == Ok(last),
                _ => false,
            };
            valid && *version == position
        });
        if !expected {
            return Some(format!("its events are out of order: {events:?}"));
        }
        (self.partitions.len() > 1).then(|| format!("its events are in partitions {:?}", self.partitions))
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    const PATIENT: &str = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";

    /// Returns the history of these messages: partition, type and version; one version is one event.
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
    fn events_in_order_are_valid_and_repetitions_are_ignored() {
        let history = topic(&[(0, C, 1), (0, U, 2), (0, C, 1), (0, D, 3), (0, U, 2)]);
        assert_eq!(
            (history.repeated, history.violations.len()),
            (2, 0),
            "{:?}",
            history.violations
        );
        let patient = history.patients.values().next().expect("the patient");
        assert!(patient.is_deleted());
        assert_eq!(patient.version(), 3);
    }

    #[test]
    fn events_out_of_order_missing_or_in_two_partitions_are_found() {
        let invalid: [&[(i32, &str, i64)]; 6] = [
            &[(0, C, 1), (0, U, 3), (0, U, 2)],
            &[(0, C, 1), (0, U, 3)],
            &[(0, U, 2)],
            &[(0, C, 1), (0, D, 2), (0, U, 3)],
            &[(0, C, 1), (0, C, 2)],
            &[(0, C, 1), (1, U, 2)],
        ];
        for messages in invalid {
            assert_eq!(topic(messages).violations.len(), 1, "{messages:?}");
        }
    }

    #[test]
    fn a_deletion_with_personal_data_is_found() {
        let event = PatientEvent {
            patient_id: PATIENT.into(),
            event_type: D.into(),
            event_id: Uuid::from_u128(2).to_string(),
            email: "ada@example.org".into(),
            version: 2,
            ..PatientEvent::default()
        };
        let created = topic(&[(0, C, 1)])
            .patients
            .into_values()
            .flat_map(|patient| patient.events);
        let records: Vec<Record> = (0..)
            .zip(created.chain([event]))
            .map(|(offset, event)| Record {
                partition: 0,
                offset,
                key: PATIENT.into(),
                payload: event.encode_to_vec(),
                headers: Vec::new(),
            })
            .collect();
        let violations = History::read(&records).violations;
        assert!(violations[0].contains("more than ids"), "{violations:?}");
    }
}
