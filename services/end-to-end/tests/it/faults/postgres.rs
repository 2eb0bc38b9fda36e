//! A kill of the database server under load.

use std::time::Duration;

use end_to_end::{Ledger, Options, Service, System, Writers, wait_until};

#[tokio::test]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn services_survive_a_kill_of_the_database_under_load() {
    let system = System::start(Options::default()).await;
    let (admin, ledger) = (system.admin().await, Ledger::default());
    let pids = || Service::ALL.map(|service| system.replica(service).process().pid());
    let before = pids();
    let writers = Writers::start(&ledger, &admin, 4);
    writers.acknowledged(60).await;
    system.postgres().kill9().await;
    wait_until("a service that is not ready", Duration::from_secs(20), async || {
        !system.replica(Service::Patient).is_ready().await
    })
    .await;
    // However long the database is away: a process that responds is not replaced.
    for service in Service::ALL {
        let response = system.replica(service).management().get("/health/live").send().await;
        let live = response.is_ok_and(|response| response.status == 200);
        assert!(live, "{} is not live without its database", service.name());
    }
    system.postgres().restart().await;
    writers.acknowledged(60).await;
    writers.stop().await;
    for service in Service::ALL {
        assert!(
            system.replica(service).process().is_running(),
            "{} exited",
            service.name()
        );
    }
    assert_eq!(before, pids(), "the services were not restarted");
    for service in Service::ALL {
        system.replica(service).wait_ready().await;
    }
    ledger.verify(&system).await;
}
