//! Consumers that are killed between their effect and the commit of the offset.

use std::time::Duration;

use contracts::topics::{ANALYTICS_GROUP, NOTIFICATION_GROUP};
use end_to_end::{
    Ledger, Link, Options, Service,
    Service::{Analytics, Notification},
    System, Writers, wait_until,
};
use futures::future::join_all;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

#[tokio::test]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn after_a_kill_between_effect_and_offset_the_event_is_redelivered_and_its_effect_happens_once() {
    let system = System::start(Options::default()).await;
    let (admin, ledger) = (system.admin().await, Ledger::default());
    // Both groups are stable, and have committed an offset.
    assert!(ledger.create(&admin).await.is_some());
    ledger.verify(&system).await;

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
    ledger.verify(&system).await;
    // The consumer of the next event now waits within its transaction.
    let locks = join_all(consumers.map(|(service, _, table, _)| lock(&system, service, table))).await;
    assert!(ledger.update(&admin, patient).await);
    let killed = consumers.into_iter().zip(locks);
    join_all(killed.map(|((service, group, table, _), lock)| kill_after_effect(&system, service, group, table, lock)))
        .await;

    for (service, _, _, metric) in consumers {
        let replica = system.replica(service);
        replica.restart().await;
        // The dead member stays in its group until the session timeout.
        wait_until("the event to be redelivered", Duration::from_secs(40), async || {
            replica.metric(metric, &["outcome=\"duplicate\""]).await >= 1.0
        })
        .await;
    }
    ledger.verify(&system).await;
}

#[tokio::test]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn consumers_catch_up_after_they_were_disconnected_from_the_broker() {
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
    ledger.verify(&system).await;
}

/// Locks a table, so that every other session waits for it.
async fn lock(system: &System, service: Service, table: &str) -> PgConnection {
    let url = system.postgres().url(service.database().expect("a database"));
    let mut lock = PgConnection::connect(&url).await.expect("the database");
    let take = AssertSqlSafe(format!("begin; lock table {table} in access exclusive mode"));
    lock.execute(take).await.expect("the lock");
    lock
}

/// Releases the lock so that the effect is committed, and kills the consumer before it commits the offset.
async fn kill_after_effect(system: &System, service: Service, group: &str, table: &str, mut lock: PgConnection) {
    let database = system.database(service);
    let waiting = "select exists (select from pg_locks where not granted
                   and database = (select oid from pg_database where datname = current_database()))";
    wait_until("the consumer to wait", Duration::from_secs(30), async || {
        sqlx::query_scalar(waiting)
            .fetch_one(&database)
            .await
            .expect("the locks")
    })
    .await;
    let link = system.link(Link::Kafka(service));
    link.stall_towards_server();
    lock.execute("rollback").await.expect("the release");
    wait_until("the effect to be committed", Duration::from_secs(10), async || {
        let count = AssertSqlSafe(format!("select count(*) from {table}"));
        let count: i64 = sqlx::query_scalar(count)
            .fetch_one(&database)
            .await
            .expect("the effects");
        count == 3
    })
    .await;
    system.replica(service).kill9().await;
    // A commit that the proxy holds back must not reach the broker when it forwards again.
    link.reset();
    let lag = system.kafka().lag(group).await;
    assert_eq!(lag, 1, "the effect is there, the offset is not");
    link.restore().await;
}
