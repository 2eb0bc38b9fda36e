//! The broker dies under load.

use end_to_end::{Ledger, Options, System, Writers};

#[tokio::test]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn killed_under_load_the_broker_loses_and_doubles_nothing() {
    let system = System::start(Options::default()).await;
    let (admin, ledger) = (system.admin().await, Ledger::default());
    let writers = Writers::start(&ledger, &admin, 4);
    writers.acknowledged(60).await;
    system.broker().kill9().await;
    // Writes go on without it.
    writers.acknowledged(60).await;
    system.broker().restart().await;
    writers.acknowledged(60).await;
    writers.stop().await;
    assert_eq!(ledger.failures().values().sum::<usize>(), 0, "{:?}", ledger.failures());
    ledger.settle(&system).await;
}
