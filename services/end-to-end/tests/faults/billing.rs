//! billing-service dies in a call, is gone, or is silent.

use std::time::{Duration, Instant};

use end_to_end::{
    Client, Ledger, Link, Options, Proxy,
    Service::{Billing, Patient},
    System, until,
};
use futures::future::join_all;

/// Creations while billing is away; of each sequence only a few may pay the deadline of a call.
const CREATIONS: usize = 40;

#[tokio::test]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn killed_in_a_call_every_patient_gets_its_one_account_afterwards() {
    let system = System::start(Options::default()).await;
    let (admin, ledger) = (system.admin().await, Ledger::default());
    assert!(ledger.create(&admin).await.is_some());
    let database = system.link(Link::Postgres(Billing));

    // The account is not made yet.
    in_a_call(&system, &admin, &ledger, Proxy::stall_towards_server).await;
    database.restore().await;
    system.replica(Billing).restart().await;
    until("the accounts", Duration::from_secs(40), async || {
        pending(&system).await == 0
    })
    .await;

    // The account is made, and billing-service does not know it yet: the second call must find the first one's account.
    in_a_call(&system, &admin, &ledger, Proxy::stall_towards_client).await;
    database.restore().await;
    system.replica(Billing).restart().await;
    ledger.settle(&system).await;
}

#[tokio::test]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn a_dead_billing_service_costs_few_creations_its_deadline() {
    let system = System::start(Options::default()).await;
    let (admin, ledger) = (system.admin().await, Ledger::default());
    assert!(ledger.create(&admin).await.is_some());

    // Gone: connections are refused.
    system.replica(Billing).kill9().await;
    let late = late_creations(&ledger, &admin).await;
    assert!(
        late <= 8,
        "{late} of {CREATIONS} creations waited for a billing-service that is gone"
    );
    system.replica(Billing).restart().await;
    until("the accounts", Duration::from_secs(60), async || {
        pending(&system).await == 0
    })
    .await;

    // Silent: connections are taken, and nothing is answered.
    system.link(Link::Grpc).stall();
    let late = late_creations(&ledger, &admin).await;
    assert!(
        late <= 12,
        "{late} of {CREATIONS} creations waited for a billing-service that is silent"
    );
    system.link(Link::Grpc).restore().await;
    ledger.settle(&system).await;
}

/// Makes creations whose calls are inside billing-service, and kills it there.
async fn in_a_call(system: &System, client: &Client, ledger: &Ledger, stall: fn(&Proxy)) {
    let database = system.link(Link::Postgres(Billing));
    stall(database);
    let creations = join_all((0..4).map(|_| ledger.create(client)));
    let kill = async {
        until("the calls to be inside", Duration::from_secs(10), async || {
            database.holding() >= 4
        })
        .await;
        system.replica(Billing).kill9().await;
    };
    let (created, ()) = tokio::join!(creations, kill);
    assert!(created.iter().all(Option::is_some), "billing never fails a creation");
    assert!(pending(system).await >= 4);
}

/// Creates patients one after the other; gives how many took as long as a call's deadline.
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
