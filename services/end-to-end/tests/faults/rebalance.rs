//! Consumers come and go under load.

use std::time::Duration;

use contracts::topics::ANALYTICS_GROUP;
use end_to_end::{Ledger, Options, Service::Analytics, System, Writers, until};

#[tokio::test]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn members_that_join_leave_and_die_under_load_double_no_effect() {
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
    // It left: nobody waits for its session to time out.
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
    ledger.settle(&system).await;
}

#[tokio::test]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn a_member_that_wakes_after_it_was_expelled_doubles_no_effect() {
    let system = System::start(Options::default()).await;
    let (admin, ledger) = (system.admin().await, Ledger::default());
    let second = system.add_replica(Analytics).await;
    members(&system, 2).await;
    let writers = Writers::start(&ledger, &admin, 4);
    writers.acknowledged(40).await;
    second.pause();
    system.leave(&second);
    // Its session times out, and the other gets its partitions and what it had begun.
    members(&system, 1).await;
    writers.acknowledged(40).await;
    second.resume();
    members(&system, 2).await;
    writers.acknowledged(40).await;
    writers.stop().await;
    ledger.settle(&system).await;
}

async fn members(system: &System, count: usize) {
    let what = format!("{count} members in the group");
    until(&what, Duration::from_secs(25), async || {
        system.kafka().members(ANALYTICS_GROUP).await == count
    })
    .await;
}
