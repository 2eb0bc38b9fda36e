//! Whatever the order and however often events come, what is known at the end is the same, and nothing is told twice.

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tokio::runtime::Runtime;

use super::*;

/// How many events a patient has, whether the last is the deletion, and an order in which they come: each at least once.
fn deliveries() -> impl Strategy<Value = (usize, bool, Vec<usize>)> {
    (1usize..6, any::<bool>()).prop_flat_map(|(events, deleted)| {
        let shuffled = Just((0..events).collect::<Vec<_>>()).prop_shuffle();
        (Just(events), Just(deleted), shuffled, vec(0..events, 0..4))
            .prop_map(|(events, deleted, order, again)| (events, deleted, order.into_iter().chain(again).collect()))
    })
}

#[test]
fn any_order_with_any_repetition_tells_each_news_once_and_ends_in_the_newest_state() {
    let runtime = Runtime::new().expect("a runtime");
    let Some(service) = runtime.block_on(Service::start()) else {
        return;
    };
    let mut runner = TestRunner::new(Config {
        cases: 48,
        failure_persistence: None,
        ..Config::default()
    });
    let held = runner.run(&deliveries(), |(events, deleted, order)| {
        runtime.block_on(async {
            let patient = Uuid::new_v4();
            let gone = deleted && events > 1;
            let messages: Vec<Vec<u8>> = (1..=events)
                .map(|version| match version {
                    1 => "PATIENT_CREATED",
                    last if gone && last == events => "PATIENT_DELETED",
                    _ => "PATIENT_UPDATED",
                })
                .zip(1..)
                .map(|(kind, version)| event(patient, kind, version).encode_to_vec())
                .collect();
            for index in &order {
                prop_assert_eq!(service.deliver(&messages[*index]).await, Handled::Done);
            }
            let known: (i64, bool) = sqlx::query_as("select version, deleted from patients where patient_id = $1")
                .bind(patient)
                .fetch_one(&service.database.pool)
                .await
                .expect("the patient");
            prop_assert_eq!(known, (events as i64, gone));
            // news is what was newer than all that had come before it
            let mut newest = 0;
            let news: Vec<i64> = order
                .iter()
                .map(|index| *index as i64 + 1)
                .filter(|version| {
                    let is_news = *version > newest;
                    newest = newest.max(*version);
                    is_news
                })
                .collect();
            let told: Vec<i64> =
                sqlx::query_scalar("select version from notifications where patient_id = $1 order by version")
                    .bind(patient)
                    .fetch_all(&service.database.pool)
                    .await
                    .expect("the notifications");
            prop_assert_eq!(told, news);
            Ok(())
        })
    });
    held.unwrap_or_else(|failure| panic!("{failure}"));
    runtime.block_on(service.database.drop());
}
