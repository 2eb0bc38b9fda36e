//! Services are replaced, and killed, while people use the system, and nobody notices.

use std::time::Duration;

use end_to_end::{
    Ledger, Options, Replica, Service, System, TargetGroup,
    load::{Load, Login, Mix, Running},
    until,
};
use rustix::process::Signal;

/// All that the gateway offers, so that every service has something to lose; a login is what no one may repeat.
const EVERYTHING: &str =
    "list=6,search=4,read=8,create=6,update=6,login=1,validate=4,billing=4,analytics=4,notifications=4";
/// What the gateway may send again when it does not know what became of it.
const REPEATABLE: &str = "list=3,search=2,read=4,create=5,update=5,validate=3,billing=2,analytics=2,notifications=2";
/// What two cores can answer beside the starts of new processes.
const RPS: f64 = 40.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the services' binaries and a broker; scripts/test runs it"]
async fn a_rolling_update_of_every_service_under_load_loses_no_request() {
    let options = Options::default()
        .replicas(Service::Gateway, 2)
        .replicas(Service::Patient, 2);
    let (system, door) = start(options).await;
    let load = load(&door, EVERYTHING).await;
    for service in Service::ALL {
        // The services with one process have two for a moment, as with a minimum of 100 % healthy tasks.
        for old in system.replicas(service) {
            let before = load.answered();
            replace(&system, &door, &old).await;
            assert!(
                load.answered() > before,
                "nobody asked while {} stopped",
                service.name()
            );
        }
    }
    nothing_lost(load, &system).await;
}

/// A new process joins; then the old one gets SIGTERM, leaves once it says that it is not ready, and ends.
async fn replace(system: &System, door: &TargetGroup, old: &Replica) {
    let (service, name) = (old.service(), old.service().name());
    let new = system.add_replica(service).await;
    if service == Service::Gateway {
        door.register(new.address());
        door.deregister(old.address()).await;
    }
    old.process().signal(Signal::TERM);
    let leaving = format!("a stopping {name} to say that it is not ready");
    until(&leaving, Duration::from_secs(5), async || !old.is_ready().await).await;
    system.remove_replica(old);
    let ended = old.process().exited(Duration::from_secs(30)).await;
    assert!(ended.success(), "{name} ends with {ended}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the services' binaries and a broker; scripts/test runs it"]
async fn a_replica_that_is_killed_costs_no_request_that_may_be_repeated() {
    let services = [
        Service::Auth,
        Service::Patient,
        Service::Billing,
        Service::Analytics,
        Service::Notification,
    ];
    let options = services
        .into_iter()
        .fold(Options::default(), |options, service| options.replicas(service, 2));
    let (system, door) = start(options).await;
    let load = load(&door, REPEATABLE).await;
    for service in services {
        let before = load.answered();
        let killed = system.replica(service);
        killed.kill9().await;
        system.remove_replica(&killed);
        let more = format!("people to go on without one {}", service.name());
        until(&more, Duration::from_secs(20), async || load.answered() > before + 40).await;
    }
    nothing_lost(load, &system).await;
}

async fn start(options: Options) -> (System, TargetGroup) {
    let system = System::start(options).await;
    let door = TargetGroup::start().await.expect("a port for the load balancer");
    for gateway in system.replicas(Service::Gateway) {
        door.register(gateway.address());
    }
    (system, door)
}

async fn load(door: &TargetGroup, mix: &str) -> Running {
    let load = Load {
        base: door.url(),
        login: Login {
            email: System::ADMIN.0.to_owned(),
            password: System::ADMIN.1.into(),
        },
        rps: RPS,
        mix: mix.parse::<Mix>().expect("a mix"),
    };
    load.start().await.expect("the load begins")
}

/// Every answer was the one that the API promises, and what was promised is true.
async fn nothing_lost(load: Running, system: &System) {
    let report = load.stop().await.expect("the report");
    eprintln!("{report}");
    assert_eq!(report.failed(), 0, "requests were lost:\n{report}");
    assert!(report.succeeded() > 100, "there was no load:\n{report}");
    let ledger = Ledger::default();
    ledger.created(report.created);
    ledger.settle(system).await;
}
