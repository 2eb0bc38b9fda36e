//! Properties of deliveries: in any order, with any repetition, the final state is the same, and no event causes two
//! notifications.

use kit::kafka::Handled;
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use prost::Message;
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::support::{TestApp, event};

/// Returns the number of events of one patient, true if the last one is the deletion, and an order of deliveries in which
/// each event is delivered at least once.
fn deliveries() -> impl Strategy<Value = (usize, bool, Vec<usize>)> {
    (1usize..6, any::<bool>()).prop_flat_map(|(events, deleted)| {
        let shuffled = Just((0..events).collect::<Vec<_>>()).prop_shuffle();
        (Just(events), Just(deleted), shuffled, vec(0..events, 0..4))
            .prop_map(|(events, deleted, order, again)| (events, deleted, order.into_iter().chain(again).collect()))
    })
}

#[test]
fn any_order_with_any_repetition_notifies_once_and_ends_in_the_newest_state() {
    let runtime = Runtime::new().expect("a runtime");
    let Some(app) = runtime.block_on(TestApp::start()) else {
        return;
    };
    let mut runner = TestRunner::new(Config {
        cases: 48,
        failure_persistence: None,
        ..Config::default()
    });
    let result = runner.run(&deliveries(), |(events, deleted, order)| {
        runtime.block_on(async {
            let patient = Uuid::new_v4();
            let deleted = deleted && events > 1;
            let messages: Vec<Vec<u8>> = (1..=events)
                .map(|version| match version {
                    1 => "PATIENT_CREATED",
                    last if deleted && last == events => "PATIENT_DELETED",
                    _ => "PATIENT_UPDATED",
                })
                .zip(1..)
                .map(|(event_type, version)| event(patient, event_type, version).encode_to_vec())
                .collect();
            for index in &order {
                prop_assert_eq!(app.deliver(&messages[*index]).await, Handled::Done);
            }
            let state: (i64, bool) = sqlx::query_as("select version, deleted from patients where patient_id = $1")
                .bind(patient)
                .fetch_one(&app.database.pool)
                .await
                .expect("the patient");
            prop_assert_eq!(state, (i64::try_from(events).expect("few events"), deleted));
            // An event causes a notification if it is newer than every event before it, and a deletion if an event before it had
            // the recipient.
            let mut newest = 0;
            let expected: Vec<i64> = order
                .iter()
                .map(|index| i64::try_from(*index).expect("few events") + 1)
                .filter(|version| {
                    let is_newer = *version > newest;
                    let is_deletion = deleted && usize::try_from(*version) == Ok(events);
                    let has_recipient = !is_deletion || newest > 0;
                    newest = newest.max(*version);
                    is_newer && has_recipient
                })
                .collect();
            let notified: Vec<i64> =
                sqlx::query_scalar("select version from notifications where patient_id = $1 order by version")
                    .bind(patient)
                    .fetch_all(&app.database.pool)
                    .await
                    .expect("the notifications");
            prop_assert_eq!(notified, expected);
            Ok(())
        })
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
    runtime.block_on(app.database.drop());
}
