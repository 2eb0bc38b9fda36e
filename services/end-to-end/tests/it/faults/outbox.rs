//! patient-service is killed or disconnected between the commit and the publication of an event.

use std::time::Duration;

use contracts::topics::PATIENT;
use end_to_end::{History, Ledger, Link, Options, Service::Patient, System, wait_until};
use futures::future::join_all;
use uuid::Uuid;

#[tokio::test]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn after_a_kill_between_commit_and_publication_events_are_published_after_the_restart() {
    let system = System::start(Options::default()).await;
    let (admin, ledger) = (system.admin().await, Ledger::default());
    let old = create(&ledger, &admin, 3).await;
    published(&system, 3).await;

    // Nothing reaches the broker.
    system.link(Link::Kafka(Patient)).stall();
    let new = create(&ledger, &admin, 5).await;
    for id in old.iter().chain(&new) {
        assert!(ledger.update(&admin, *id).await, "a write without Kafka");
    }
    assert!(ledger.delete(&admin, old[0]).await);
    system.replica(Patient).kill9().await;
    assert_eq!(backlog(&system).await, 14, "committed and not published");
    system.link(Link::Kafka(Patient)).restore().await;
    system.replica(Patient).restart().await;
    published(&system, 17).await;

    // Everything reaches the broker, and no response returns.
    system.link(Link::Kafka(Patient)).stall_towards_client();
    for id in &new {
        assert!(ledger.update(&admin, *id).await);
    }
    // At least one: the relay waits for the response before it sends more.
    published(&system, 18).await;
    assert!(backlog(&system).await >= 5, "published and not acknowledged");
    system.replica(Patient).kill9().await;
    system.link(Link::Kafka(Patient)).restore().await;
    system.replica(Patient).restart().await;
    ledger.verify(&system).await;
    let history = History::read(&system.kafka().records(PATIENT).await);
    assert!(
        history.repeated >= 1,
        "events without an acknowledgement are published again"
    );
}

#[tokio::test]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn without_the_broker_writes_continue_and_the_backlog_drains_in_order() {
    let system = System::start(Options::default()).await;
    let (admin, ledger) = (system.admin().await, Ledger::default());
    let patients = create(&ledger, &admin, 10).await;
    published(&system, 10).await;

    system.link(Link::Kafka(Patient)).cut().await;
    for _ in 0..6 {
        let updates = join_all(patients.iter().map(|id| ledger.update(&admin, *id))).await;
        assert!(updates.iter().all(|acknowledged| *acknowledged));
    }
    let patient = system.replica(Patient);
    wait_until("the backlog as a metric", Duration::from_secs(20), async || {
        patient.metric("outbox_backlog", &[]).await >= 60.0
            && patient.metric("outbox_oldest_age_seconds", &[]).await > 0.0
    })
    .await;
    assert_eq!(backlog(&system).await, 60);

    system.link(Link::Kafka(Patient)).restore().await;
    wait_until("an empty backlog", Duration::from_secs(20), async || {
        patient.metric("outbox_backlog", &[]).await == 0.0
    })
    .await;
    ledger.verify(&system).await;
}

async fn create(ledger: &Ledger, client: &end_to_end::Client, count: usize) -> Vec<Uuid> {
    let created = join_all((0..count).map(|_| ledger.create(client))).await;
    created
        .into_iter()
        .map(|id| id.expect("an acknowledged creation"))
        .collect()
}

async fn published(system: &System, events: usize) {
    wait_until("the events on the topic", Duration::from_secs(20), async || {
        let records = system.kafka().records(PATIENT).await;
        History::read(&records).events().count() >= events
    })
    .await;
}

async fn backlog(system: &System) -> i64 {
    let count = sqlx::query_scalar("select count(*) from outbox where topic = 'patient'");
    count.fetch_one(&system.database(Patient)).await.expect("the outbox")
}
