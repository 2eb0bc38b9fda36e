//! Properties of deliveries: in any order, with any repetition, the final state is the same.

use kit::kafka::Handled;
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use prost::Message;
use time::{Duration, OffsetDateTime};
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
fn any_order_with_any_repetition_ends_in_the_newest_state() {
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
            let (patient, start) = (Uuid::new_v4(), OffsetDateTime::now_utc());
            let messages: Vec<Vec<u8>> = (1..=events)
                .map(|version| {
                    let number = i32::try_from(version).expect("few events");
                    let event_type = match version {
                        1 => "PATIENT_CREATED",
                        last if deleted && last == events => "PATIENT_DELETED",
                        _ => "PATIENT_UPDATED",
                    };
                    let mut event = event(
                        patient,
                        event_type,
                        i64::from(number),
                        start + Duration::seconds(number.into()),
                    );
                    event.birth_year = 1950 + number;
                    event.encode_to_vec()
                })
                .collect();
            for index in &order {
                prop_assert_eq!(app.deliver(&messages[*index]).await, Handled::Done);
            }
            let state: (i64, Option<i32>, bool) =
                sqlx::query_as("select version, birth_year, deleted from patients where patient_id = $1")
                    .bind(patient)
                    .fetch_one(&app.database.pool)
                    .await
                    .expect("the patient");
            let deleted = deleted && events > 1;
            let last = i32::try_from(events).expect("few events");
            prop_assert_eq!(state, (last.into(), (!deleted).then_some(1950 + last), deleted));
            let history = app.history(patient).await;
            prop_assert_eq!(
                history.len(),
                events,
                "each event is in the journal once: {:?}",
                history
            );
            Ok(())
        })
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
    runtime.block_on(app.database.drop());
}
