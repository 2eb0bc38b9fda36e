//! Rolling updates and killed processes under load, without a failed request.

use std::time::Duration;

use end_to_end::{
    Ledger, Options, Replica, Service, System, TargetGroup,
    load::{Load, Login, Mix, Running},
    wait_until,
};
use rustix::process::Signal;

/// Operations of every service; a login is not idempotent.
const EVERYTHING: &str =
    "list=6,search=4,read=8,create=6,update=6,login=1,validate=4,billing=4,analytics=4,notifications=4";
/// Operations that the gateway may retry after a failure.
const REPEATABLE: &str = "list=3,search=2,read=4,create=5,update=5,validate=3,billing=2,analytics=2,notifications=2";
/// Requests per second that two cores can serve while new processes start.
const RPS: f64 = 40.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the services' binaries and a broker; scripts/test runs it"]
async fn a_rolling_update_of_every_service_under_load_loses_no_request() {
    let options = Options::default()
        .replicas(Service::Gateway, 2)
        .replicas(Service::Patient, 2);
    let (system, load_balancer) = start(options).await;
    let load = load(&load_balancer, EVERYTHING).await;
    for service in Service::ALL {
        // A service with one process has two for a moment, as with a minimum of 100 % healthy tasks.
        for old in system.replicas(service) {
            let before = load.completed();
            replace(&system, &load_balancer, &old).await;
            assert!(
                load.completed() > before,
                "no request completed while {} stopped",
                service.name()
            );
        }
    }
    expect_no_loss(load, &system).await;
}

/// Adds a new process, sends SIGTERM to the old one, removes it once it is not ready, and waits for its end.
async fn replace(system: &System, load_balancer: &TargetGroup, old: &Replica) {
    let (service, name) = (old.service(), old.service().name());
    let new = system.add_replica(service).await;
    if service == Service::Gateway {
        load_balancer.register(new.address());
        load_balancer.deregister(old.address()).await;
    }
    old.process().signal(Signal::TERM);
    let leaving = format!("a stopping {name} to be not ready");
    wait_until(&leaving, Duration::from_secs(5), async || !old.is_ready().await).await;
    system.remove_replica(old);
    let ended = old.process().exited(Duration::from_secs(30)).await;
    assert!(ended.success(), "{name} exited with {ended}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the services' binaries and a broker; scripts/test runs it"]
async fn a_killed_replica_fails_no_retryable_request() {
    let services = [
        Service::Auth,
        Service::Patient,
        Service::Billing,
        Service::Analytics,
        Service::Notification,
        Service::Audit,
    ];
    let options = services
        .into_iter()
        .fold(Options::default(), |options, service| options.replicas(service, 2));
    let (system, load_balancer) = start(options).await;
    let load = load(&load_balancer, REPEATABLE).await;
    for service in services {
        let before = load.completed();
        let killed = system.replica(service);
        killed.kill9().await;
        system.remove_replica(&killed);
        let more = format!("further requests without one {}", service.name());
        wait_until(&more, Duration::from_secs(20), async || load.completed() > before + 40).await;
    }
    expect_no_loss(load, &system).await;
}

async fn start(options: Options) -> (System, TargetGroup) {
    let system = System::start(options).await;
    let load_balancer = TargetGroup::start().await.expect("a port for the load balancer");
    for gateway in system.replicas(Service::Gateway) {
        load_balancer.register(gateway.address());
    }
    (system, load_balancer)
}

async fn load(load_balancer: &TargetGroup, mix: &str) -> Running {
    let load = Load {
        base: load_balancer.url(),
        login: Login {
            email: System::ADMIN.0.to_owned(),
            password: System::ADMIN.1.into(),
        },
        rps: RPS,
        mix: mix.parse::<Mix>().expect("a mix"),
    };
    load.start().await.expect("the load begins")
}

/// Checks that every response matched the API's contract, and that every acknowledged write exists.
async fn expect_no_loss(load: Running, system: &System) {
    let report = load.stop().await.expect("the report");
    eprintln!("{report}");
    assert_eq!(report.failed(), 0, "requests were lost:\n{report}");
    assert!(report.succeeded() > 100, "there was no load:\n{report}");
    let ledger = Ledger::default();
    ledger.add_created(report.created);
    ledger.add_answered(report.answered);
    ledger.verify(system).await;
}
