//! Properties of the decoder of patient events, for valid, invalid and arbitrary bytes; scripts/fuzz fuzzes the same ones.

use std::cell::Cell;

use contracts::{
    events::{Event, MAX_VERSION, PATIENT_CREATED, PATIENT_DELETED, PATIENT_UPDATED, Unreadable},
    patient::events::PatientEvent,
};
use proptest::{
    prelude::*,
    sample::{Index, select},
    test_runner::{Config, TestRunner},
};
use prost::Message;
use prost_types::Timestamp;
use uuid::Uuid;

/// 9999-12-31T23:59:59Z in seconds since 1970.
const LAST_SECOND: i64 = 253_402_300_799;

fn uuid() -> impl Strategy<Value = String> {
    any::<u128>().prop_map(|id| Uuid::from_u128(id).to_string())
}

/// A single line with a visible character.
fn line() -> impl Strategy<Value = String> {
    "\\P{C}{0,10}[a-z]\\P{C}{0,10}"
}

fn valid_event() -> impl Strategy<Value = PatientEvent> {
    let event_type = select(vec![PATIENT_CREATED, PATIENT_UPDATED, PATIENT_DELETED]);
    let at = (0..=LAST_SECOND, 0..1_000_000_000).prop_map(|(seconds, nanos)| Timestamp { seconds, nanos });
    (
        uuid(),
        line(),
        line(),
        event_type,
        uuid(),
        at,
        1..=MAX_VERSION,
        any::<i32>(),
    )
        .prop_map(
            |(patient_id, name, email, event_type, event_id, at, version, birth_year)| PatientEvent {
                patient_id,
                name,
                email,
                event_type: event_type.to_owned(),
                event_id,
                occurred_at: Some(at),
                version,
                birth_year,
            },
        )
}

/// A change that makes a valid event invalid, and the expected reason.
fn fault() -> impl Strategy<Value = (PatientEvent, Unreadable)> {
    let outside = prop_oneof![i64::MIN..0, LAST_SECOND + 1..=i64::MAX];
    let timestamp = prop::option::of((outside, any::<i32>()));
    let fault = prop_oneof![
        Just(Unreadable::EventId),
        Just(Unreadable::PatientId),
        Just(Unreadable::EventType),
        Just(Unreadable::Version),
        Just(Unreadable::OccurredAt),
    ];
    let version = prop_oneof![i64::MIN..=0, MAX_VERSION + 1..=i64::MAX];
    (valid_event(), fault, "[^0-9a-f]{0,40}", version, timestamp).prop_map(
        |(mut event, fault, text, version, timestamp)| {
            match fault {
                Unreadable::EventId => event.event_id = text,
                Unreadable::PatientId => event.patient_id = text,
                Unreadable::EventType => event.event_type = text,
                Unreadable::Version => event.version = version,
                _ => event.occurred_at = timestamp.map(|(seconds, nanos)| Timestamp { seconds, nanos }),
            }
            (event, fault)
        },
    )
}

/// Runs a property that counts what it decodes, and fails if nothing was decoded.
fn run<S: Strategy>(given: &S, property: impl Fn(S::Value, &Cell<u32>) -> Result<(), TestCaseError>) {
    let decoded = Cell::new(0);
    let mut runner = TestRunner::new(Config {
        cases: 2000,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(given, |value| property(value, &decoded))
        .unwrap_or_else(|failure| panic!("{failure}"));
    assert!(decoded.get() > 100, "only {} of 2000 cases were decoded", decoded.get());
}

fn is_in_bounds(event: &Event) -> Result<(), TestCaseError> {
    prop_assert!((1..=MAX_VERSION).contains(&event.version));
    prop_assert!((1970..=9999).contains(&event.occurred_at.year()));
    prop_assert!(event.birth_year.is_none_or(|year| (1800..=9999).contains(&year)));
    for line in [event.name(), event.email()].into_iter().flatten() {
        prop_assert!(!line.trim().is_empty() && !line.contains(char::is_control));
    }
    Ok(())
}

#[test]
fn a_valid_event_is_decoded_field_by_field() {
    run(&valid_event(), |message, decoded| {
        let event = Event::decode(&message.encode_to_vec())?;
        decoded.set(decoded.get() + 1);
        is_in_bounds(&event)?;
        prop_assert_eq!(event.event_id.to_string(), message.event_id);
        prop_assert_eq!(event.patient_id.to_string(), message.patient_id);
        prop_assert_eq!(event.event_type.as_str(), &message.event_type);
        prop_assert_eq!(event.version, message.version);
        let at = message.occurred_at.unwrap_or_default();
        prop_assert_eq!(event.occurred_at.unix_timestamp(), at.seconds);
        prop_assert_eq!(i64::from(event.occurred_at.nanosecond()), i64::from(at.nanos));
        if message.event_type == PATIENT_DELETED {
            let person = (event.name(), event.email(), event.birth_year);
            prop_assert_eq!(person, (Err(Unreadable::Name), Err(Unreadable::Email), None));
            return Ok(());
        }
        let year = Some(message.birth_year).filter(|year| (1800..=9999).contains(year));
        prop_assert_eq!(event.birth_year, year);
        prop_assert_eq!(event.name(), Ok(&*message.name));
        prop_assert_eq!(event.email(), Ok(&*message.email));
        Ok(())
    });
}

#[test]
fn an_event_with_one_invalid_field_is_rejected_with_its_reason() {
    run(&fault(), |(message, reason), decoded| {
        decoded.set(decoded.get() + 1);
        prop_assert_eq!(Event::decode(&message.encode_to_vec()), Err(reason));
        Ok(())
    });
}

#[test]
fn a_name_or_email_with_a_control_character_is_rejected_when_it_is_read() {
    let control = select(vec!['\0', '\n', '\r', '\u{7f}', '\u{85}']);
    run(&(valid_event(), control), |(mut message, control), decoded| {
        message.name.push(control);
        message.email = " ".into();
        let event = Event::decode(&message.encode_to_vec())?;
        decoded.set(decoded.get() + 1);
        prop_assert_eq!(event.name(), Err(Unreadable::Name));
        prop_assert_eq!(event.email(), Err(Unreadable::Email));
        Ok(())
    });
}

#[test]
fn arbitrary_bytes_are_rejected_or_in_bounds() {
    // A flipped byte keeps most messages decodable; arbitrary bytes hardly ever are.
    let flipped = (valid_event(), any::<Index>(), any::<u8>()).prop_map(|(message, at, byte)| {
        let mut bytes = message.encode_to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes
    });
    let bytes = prop_oneof![prop::collection::vec(any::<u8>(), 0..256), flipped];
    run(&bytes, |bytes, decoded| {
        if let Ok(event) = Event::decode(&bytes) {
            decoded.set(decoded.get() + 1);
            is_in_bounds(&event)?;
        }
        Ok(())
    });
}

#[test]
fn a_truncated_event_is_rejected_or_lacks_only_its_last_field() {
    let cut = prop_oneof![any::<Index>().prop_map(Ok), (0..12_usize).prop_map(Err)];
    run(&(valid_event(), cut), |(message, cut), decoded| {
        let bytes = message.encode_to_vec();
        let length = match cut {
            Ok(index) => index.index(bytes.len() + 1),
            Err(missing) => bytes.len() - missing,
        };
        if let Ok(truncated) = Event::decode(&bytes[..length]) {
            decoded.set(decoded.get() + 1);
            let mut complete = Event::decode(&bytes)?;
            if truncated.birth_year.is_none() {
                complete.birth_year = None;
            }
            prop_assert_eq!(truncated, complete);
        }
        Ok(())
    });
}

#[test]
fn a_tombstone_has_its_own_reason() {
    assert_eq!(Event::decode(b""), Err(Unreadable::Empty));
}
