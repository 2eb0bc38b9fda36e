//! Consumers die between their effect and the offset.

use std::time::Duration;

use contracts::topics::{ANALYTICS_GROUP, NOTIFICATION_GROUP};
use end_to_end::{
    Ledger, Link, Options, Service,
    Service::{Analytics, Notification},
    System, Writers, until,
};
use futures::future::join_all;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

#[tokio::test]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn killed_between_effect_and_offset_a_consumer_sees_the_event_again_and_its_effect_is_once() {
    let system = System::start(Options::default()).await;
    let (admin, ledger) = (system.admin().await, Ledger::default());
    // Both groups have settled, and committed something.
    assert!(ledger.create(&admin).await.is_some());
    ledger.settle(&system).await;

    let consumers = [
        (Analytics, ANALYTICS_GROUP, "events", "analytics_events_total"),
        (
            Notification,
            NOTIFICATION_GROUP,
            "handled_events",
            "notification_events_total",
        ),
    ];
    let patient = ledger.create(&admin).await.expect("an acknowledged creation");
    ledger.settle(&system).await;
    // Whoever takes the next event now waits inside its effect.
    let locks = join_all(consumers.map(|(service, _, table, _)| lock(&system, service, table))).await;
    assert!(ledger.update(&admin, patient).await);
    let killed = consumers.into_iter().zip(locks);
    join_all(killed.map(|((service, group, table, _), lock)| kill_after_effect(&system, service, group, table, lock)))
        .await;

    for (service, _, _, metric) in consumers {
        let replica = system.replica(service);
        replica.restart().await;
        // The group waits for its dead member until the session times out.
        until("the event to come again", Duration::from_secs(40), async || {
            replica.metric(metric, &["outcome=\"duplicate\""]).await >= 1.0
        })
        .await;
    }
    ledger.settle(&system).await;
}

#[tokio::test]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn cut_off_from_the_broker_consumers_catch_up_afterwards() {
    let system = System::start(Options::default()).await;
    let (admin, ledger) = (system.admin().await, Ledger::default());
    let writers = Writers::start(&ledger, &admin, 4);
    writers.acknowledged(40).await;
    system.link(Link::Kafka(Analytics)).cut().await;
    system.link(Link::Kafka(Notification)).stall();
    writers.acknowledged(100).await;
    system.link(Link::Kafka(Analytics)).restore().await;
    system.link(Link::Kafka(Notification)).restore().await;
    writers.acknowledged(40).await;
    writers.stop().await;
    ledger.settle(&system).await;
}

/// Takes a table, so that everybody else waits for it.
async fn lock(system: &System, service: Service, table: &str) -> PgConnection {
    let url = system.postgres().url(service.database().expect("a database"));
    let mut lock = PgConnection::connect(&url).await.expect("the database");
    let take = AssertSqlSafe(format!("begin; lock table {table} in access exclusive mode"));
    lock.execute(take).await.expect("the lock");
    lock
}

/// Lets the effect that waits for the lock be committed and its offset not, and kills the consumer in between.
async fn kill_after_effect(system: &System, service: Service, group: &str, table: &str, mut lock: PgConnection) {
    let database = system.database(service);
    let waiting = "select exists (select from pg_locks where not granted
                   and database = (select oid from pg_database where datname = current_database()))";
    until("the consumer to wait", Duration::from_secs(30), async || {
        sqlx::query_scalar(waiting)
            .fetch_one(&database)
            .await
            .expect("the locks")
    })
    .await;
    let link = system.link(Link::Kafka(service));
    link.stall_towards_server();
    lock.execute("rollback").await.expect("the release");
    until("the effect to be committed", Duration::from_secs(10), async || {
        let count = AssertSqlSafe(format!("select count(*) from {table}"));
        let count: i64 = sqlx::query_scalar(count)
            .fetch_one(&database)
            .await
            .expect("the effects");
        count == 3
    })
    .await;
    system.replica(service).kill9().await;
    let lag = system.kafka().lag(group).await;
    assert_eq!(lag, 1, "the effect is there, the offset is not");
    link.restore().await;
}
