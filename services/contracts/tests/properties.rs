//! The decoder of patient events, on any bytes; the same promises are fuzzed by scripts/fuzz.

use contracts::{
    events::{Event, Unreadable},
    patient::events::PatientEvent,
};
use proptest::prelude::*;
use prost::Message;

fn any_event() -> impl Strategy<Value = PatientEvent> {
    let id = prop_oneof![
        any::<u128>().prop_map(|id| uuid::Uuid::from_u128(id).to_string()),
        any::<String>()
    ];
    let kind = prop_oneof![
        Just("PATIENT_CREATED".to_owned()),
        Just("PATIENT_DELETED".to_owned()),
        any::<String>()
    ];
    let at = prop::option::of((any::<i64>(), any::<i32>()));
    (id.clone(), any::<String>(), kind, id, at, any::<i64>(), any::<i32>()).prop_map(
        |(patient_id, name, event_type, event_id, at, version, birth_year)| PatientEvent {
            patient_id,
            email: name.clone(),
            name,
            event_type,
            event_id,
            occurred_at: at.map(|(seconds, nanos)| prost_types::Timestamp { seconds, nanos }),
            version,
            birth_year,
        },
    )
}

fn is_sound(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(event) = Event::decode(bytes) {
        prop_assert!(event.version > 0);
        prop_assert!((1970..=9999).contains(&event.occurred_at.year()));
        prop_assert!(event.birth_year.is_none_or(|year| (1800..=9999).contains(&year)));
        for line in [event.name(), event.email()].into_iter().flatten() {
            prop_assert!(!line.is_empty() && !line.contains(['\0', '\n', '\r']));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        is_sound(&bytes)?;
    }

    #[test]
    fn any_event_is_in_bounds_or_refused(event in any_event()) {
        is_sound(&event.encode_to_vec())?;
    }

    #[test]
    fn a_cut_event_never_reads_as_another(event in any_event(), keep in any::<prop::sample::Index>()) {
        let bytes = event.encode_to_vec();
        is_sound(&bytes[..keep.index(bytes.len() + 1)])?;
    }
}

#[test]
fn a_tombstone_has_its_own_reason() {
    assert_eq!(Event::decode(b"").expect_err("nothing"), Unreadable::Empty);
}
