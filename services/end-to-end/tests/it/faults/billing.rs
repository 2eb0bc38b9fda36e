//! Faults of billing-service: killed in a call, unreachable, or silent.

use std::time::{Duration, Instant};

use end_to_end::{
    Client, Ledger, Link, Options, Proxy,
    Service::{Billing, Patient},
    System, wait_until,
};
use futures::future::join_all;

/// Number of creations while billing-service is unavailable; only a few of them may take the deadline of a call.
const CREATIONS: usize = 40;

#[tokio::test]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn after_a_kill_in_a_call_every_patient_gets_exactly_one_account() {
    let system = System::start(Options::default()).await;
    let (admin, ledger) = (system.admin().await, Ledger::default());
    assert!(ledger.create(&admin).await.is_some());
    let database = system.link(Link::Postgres(Billing));

    // The account does not exist yet.
    kill_in_a_call(&system, &admin, &ledger, Proxy::stall_towards_server).await;
    database.restore().await;
    system.replica(Billing).restart().await;
    wait_until("the accounts", Duration::from_secs(40), async || {
        pending(&system).await == 0
    })
    .await;

    // The account exists, and billing-service does not know it yet: the second call must find the first one's account.
    kill_in_a_call(&system, &admin, &ledger, Proxy::stall_towards_client).await;
    database.restore().await;
    system.replica(Billing).restart().await;
    ledger.verify(&system).await;
}

#[tokio::test]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn while_billing_is_unavailable_few_creations_wait_for_the_deadline() {
    let system = System::start(Options::default()).await;
    let (admin, ledger) = (system.admin().await, Ledger::default());
    assert!(ledger.create(&admin).await.is_some());

    // Unreachable: connections are refused.
    system.replica(Billing).kill9().await;
    let late = late_creations(&ledger, &admin).await;
    assert!(
        late <= 8,
        "{late} of {CREATIONS} creations waited for an unreachable billing-service"
    );
    system.replica(Billing).restart().await;
    wait_until("the accounts", Duration::from_mins(1), async || {
        pending(&system).await == 0
    })
    .await;

    // Silent: connections are accepted, and there is no response.
    system.link(Link::Grpc).stall();
    let late = late_creations(&ledger, &admin).await;
    assert!(
        late <= 12,
        "{late} of {CREATIONS} creations waited for a silent billing-service"
    );
    system.link(Link::Grpc).restore().await;
    ledger.verify(&system).await;
}

/// Creates patients, and kills billing-service while it handles their calls.
async fn kill_in_a_call(system: &System, client: &Client, ledger: &Ledger, stall: fn(&Proxy)) {
    let database = system.link(Link::Postgres(Billing));
    stall(database);
    let creations = join_all((0..4).map(|_| ledger.create(client)));
    let kill = async {
        wait_until("the calls to reach the database", Duration::from_secs(10), async || {
            database.holding() >= 4
        })
        .await;
        system.replica(Billing).kill9().await;
    };
    let (created, ()) = tokio::join!(creations, kill);
    assert!(created.iter().all(Option::is_some), "billing never fails a creation");
    assert!(pending(system).await >= 4);
}

/// Creates patients one after the other, and returns how many took as long as a call's deadline.
async fn late_creations(ledger: &Ledger, client: &Client) -> usize {
    let mut late = 0;
    for _ in 0..CREATIONS {
        let started = Instant::now();
        assert!(ledger.create(client).await.is_some(), "billing never fails a creation");
        late += usize::from(started.elapsed() >= Duration::from_millis(600));
    }
    late
}

async fn pending(system: &System) -> i64 {
    let count = sqlx::query_scalar("select count(*) from billing_intent where status = 'PENDING'");
    count.fetch_one(&system.database(Patient)).await.expect("the intents")
}
