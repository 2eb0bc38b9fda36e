//! The decoder of patient events: arbitrary bytes are rejected, or decoded to an event in bounds; errors quote nothing.

#![no_main]

use contracts::events::Event;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Event::decode(bytes) {
        Ok(event) => {
            assert!(event.version > 0);
            assert!((1970..=9999).contains(&event.occurred_at.year()));
            assert!(event.birth_year.is_none_or(|year| (1800..=9999).contains(&year)));
            for line in [event.name(), event.email()].into_iter().flatten() {
                assert!(!line.trim().is_empty() && !line.contains(char::is_control));
            }
        }
        Err(reason) => assert!(reason.to_string().len() < 100),
    }
});
