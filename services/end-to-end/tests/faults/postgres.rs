//! The database server dies under load.

use std::time::Duration;

use end_to_end::{Ledger, Options, Service, System, Writers, until};

#[tokio::test]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn killed_under_load_the_database_comes_back_and_so_does_every_service() {
    let system = System::start(Options::default()).await;
    let (admin, ledger) = (system.admin().await, Ledger::default());
    let pids = || Service::ALL.map(|service| system.replica(service).process().pid());
    let before = pids();
    let writers = Writers::start(&ledger, &admin, 4);
    writers.acknowledged(60).await;
    system.postgres().kill9().await;
    until("readiness to tell", Duration::from_secs(20), async || {
        !system.replica(Service::Patient).is_ready().await
    })
    .await;
    system.postgres().restart().await;
    writers.acknowledged(60).await;
    writers.stop().await;
    for service in Service::ALL {
        assert!(
            system.replica(service).process().is_running(),
            "{} ended",
            service.name()
        );
    }
    assert_eq!(before, pids(), "the services outlive their database");
    ledger.settle(&system).await;
}
