//! A kill of the broker under load.

use end_to_end::{Ledger, Options, System, Writers};

#[tokio::test]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn a_kill_of_the_broker_under_load_loses_and_duplicates_nothing() {
    let system = System::start(Options::default()).await;
    let (admin, ledger) = (system.admin().await, Ledger::default());
    let writers = Writers::start(&ledger, &admin, 4);
    writers.acknowledged(60).await;
    system.broker().kill9().await;
    // Writes continue without it.
    writers.acknowledged(60).await;
    system.broker().restart().await;
    writers.acknowledged(60).await;
    writers.stop().await;
    assert_eq!(ledger.failures().values().sum::<usize>(), 0, "{:?}", ledger.failures());
    ledger.verify(&system).await;
}
