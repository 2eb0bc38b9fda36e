//! The audit trail: patient-service and audit-service are killed while requests are answered.

use std::time::Duration;

use end_to_end::{
    Ledger, Link, Options,
    Service::{Audit, Patient},
    System, Writers,
    load::{Load, Login, Mix},
    wait_until,
};
use http::StatusCode;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn after_kills_of_both_services_under_load_no_answered_request_is_missing_in_the_trail() {
    let system = System::start(Options::default()).await;
    let (admin, ledger) = (system.admin().await, Ledger::default());
    let load = Load {
        base: system.url().parse().expect("an address"),
        login: Login {
            email: System::ADMIN.0.to_owned(),
            password: System::ADMIN.1.into(),
        },
        rps: 40.0,
        mix: "list=2,search=1,read=4,create=1,update=1"
            .parse::<Mix>()
            .expect("a mix"),
    };
    let load = load.start().await.expect("the load begins");
    let writers = Writers::start(&ledger, &admin, 2);
    for round in 0..4 {
        writers.acknowledged(15).await;
        let before = load.completed();
        wait_until("further requests", Duration::from_secs(40), async || {
            load.completed() > before + 40
        })
        .await;
        let (patient, audit) = (system.replica(Patient), system.replica(Audit));
        if round % 2 == 0 {
            // Records are committed and not published.
            system.link(Link::Kafka(Patient)).stall();
            writers.acknowledged(10).await;
        }
        patient.kill9().await;
        audit.kill9().await;
        system.link(Link::Kafka(Patient)).restore().await;
        tokio::join!(patient.restart(), audit.restart());
    }
    writers.acknowledged(15).await;
    writers.stop().await;
    let report = load.stop().await.expect("the report");
    eprintln!("{report}");
    assert!(report.answered.len() > 100, "there was no load:\n{report}");
    ledger.add_created(report.created);
    ledger.add_answered(report.answered);
    ledger.verify(&system).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn an_auditor_sees_at_the_gateway_who_read_a_patient_and_nobody_else_does() {
    let system = System::start(Options::default()).await;
    let (admin, auditor) = (system.admin().await, system.auditor().await);
    let ledger = Ledger::default();
    let patient = ledger.create(&admin).await.expect("an acknowledged creation");
    for path in [format!("/api/patients/{patient}"), "/api/patients".to_owned()] {
        assert_eq!(admin.get(&path).response().await.status, StatusCode::OK);
        assert_eq!(auditor.get(&path).response().await.status, StatusCode::FORBIDDEN);
    }
    let trail = format!("/api/audit?patientId={patient}");
    // By action: each of these requests is recorded too, and soon they fill the first page.
    for action in ["CREATE", "READ", "LIST", "AUDIT_READ"] {
        let path = format!("{trail}&action={action}");
        wait_until(action, Duration::from_secs(20), async || {
            let records = auditor.get(&path).response().await.json();
            records.as_array().is_some_and(|records| !records.is_empty())
        })
        .await;
    }
    assert_eq!(admin.get(&trail).response().await.status, StatusCode::FORBIDDEN);
    ledger.verify(&system).await;
}
