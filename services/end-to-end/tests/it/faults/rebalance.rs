//! Rebalances of a consumer group under load.

use std::time::Duration;

use contracts::topics::ANALYTICS_GROUP;
use end_to_end::{Ledger, Options, Service::Analytics, System, Writers, wait_until};

#[tokio::test]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn members_that_join_leave_and_are_killed_under_load_duplicate_no_effect() {
    let options = Options::default().env(Analytics, "SHUTDOWN_DELAY", "0");
    let system = System::start(options).await;
    let (admin, ledger) = (system.admin().await, Ledger::default());
    let writers = Writers::start(&ledger, &admin, 4);
    members(&system, 1).await;
    writers.acknowledged(40).await;

    let second = system.add_replica(Analytics).await;
    members(&system, 2).await;
    writers.acknowledged(40).await;
    assert!(second.terminate().await.success());
    // It left the group: there is no session timeout.
    members(&system, 1).await;
    system.remove_replica(&second);
    writers.acknowledged(40).await;

    let third = system.add_replica(Analytics).await;
    members(&system, 2).await;
    writers.acknowledged(40).await;
    third.kill9().await;
    system.remove_replica(&third);
    writers.acknowledged(40).await;
    writers.stop().await;
    ledger.verify(&system).await;
}

#[tokio::test]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn a_paused_member_that_was_removed_from_its_group_duplicates_no_effect() {
    let system = System::start(Options::default()).await;
    let (admin, ledger) = (system.admin().await, Ledger::default());
    let second = system.add_replica(Analytics).await;
    members(&system, 2).await;
    let writers = Writers::start(&ledger, &admin, 4);
    writers.acknowledged(40).await;
    second.pause();
    system.detach(&second);
    // Its session times out, and the other member gets its partitions and their uncommitted messages.
    members(&system, 1).await;
    writers.acknowledged(40).await;
    second.resume();
    members(&system, 2).await;
    writers.acknowledged(40).await;
    writers.stop().await;
    ledger.verify(&system).await;
}

async fn members(system: &System, count: usize) {
    let what = format!("{count} members in the group");
    wait_until(&what, Duration::from_secs(25), async || {
        system.kafka().members(ANALYTICS_GROUP).await == count
    })
    .await;
}
