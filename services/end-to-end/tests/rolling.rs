//! Every service is replaced while people use the system, and nobody notices.

use std::time::Duration;

use end_to_end::{
    Options, Service, System, TargetGroup,
    load::{Load, Login, Mix, Report},
    until,
};

/// All that the gateway offers, so that every service has something to lose.
const EVERYTHING: &str =
    "list=6,search=4,read=8,create=6,update=6,login=1,validate=4,billing=4,analytics=4,notifications=4";
/// What two cores can answer beside the starts of new processes.
const RPS: f64 = 40.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the services' binaries and a broker; scripts/test runs it"]
async fn a_rolling_update_of_every_service_under_load_loses_no_request() {
    let options = Options::default()
        .replicas(Service::Gateway, 2)
        .replicas(Service::Patient, 2);
    let system = System::start(options).await;
    let door = TargetGroup::start().await.expect("a port for the load balancer");
    for gateway in system.replicas(Service::Gateway) {
        door.register(gateway.address());
    }
    let load = load(&door).start().await.expect("the load begins");

    for service in Service::ALL {
        // The services with one process have two for a moment, as with a minimum of 100 % healthy tasks.
        for old in system.replicas(service) {
            let new = system.add_replica(service).await;
            if service == Service::Gateway {
                door.register(new.address());
                door.deregister(old.address()).await;
            }
            let before = load.answered();
            old.process().signal(rustix::process::Signal::TERM);
            let leaving = format!("a stopping {} to say that it is not ready", service.name());
            until(&leaving, Duration::from_secs(5), async || !old.is_ready().await).await;
            system.remove_replica(&old);
            let ended = old.process().exited(Duration::from_secs(30)).await;
            assert!(ended.success(), "{} ends with {ended}", service.name());
            assert!(
                load.answered() > before,
                "nobody asked while {} stopped",
                service.name()
            );
        }
    }

    let report = load.stop().await.expect("the report");
    eprintln!("{report}");
    nothing_lost(&report);
}

fn load(door: &TargetGroup) -> Load {
    Load {
        base: door.url(),
        login: Login {
            email: System::ADMIN.0.to_owned(),
            password: System::ADMIN.1.into(),
        },
        rps: RPS,
        mix: EVERYTHING.parse::<Mix>().expect("a mix"),
    }
}

fn nothing_lost(report: &Report) {
    assert_eq!(report.failed(), 0, "requests were lost:\n{report}");
    assert!(report.succeeded() > 100, "there was no load:\n{report}");
}
