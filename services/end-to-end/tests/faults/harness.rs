//! The system of processes itself.

use end_to_end::{Link, Options, Service, System, a_patient, until};
use std::time::Duration;

#[tokio::test]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn a_patient_that_is_created_at_the_gateway_reaches_every_service() {
    let started = std::time::Instant::now();
    let system = System::start(Options::default()).await;
    eprintln!("started in {:?}", started.elapsed());
    let admin = system.admin().await;
    let answer = admin.post("/api/patients").json(&a_patient()).answer().await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let id = answer.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(answer.json()["billing"]["status"], "ACTIVE");
    let path = format!("/api/notifications?patientId={id}");
    until("a notification", Duration::from_secs(20), async || {
        admin
            .get(&path)
            .answer()
            .await
            .json()
            .as_array()
            .is_some_and(|list| list.len() == 1)
    })
    .await;
    system.link(Link::Http(Service::Patient)).cut().await;
    let answer = admin.get("/api/patients").answer().await;
    assert_eq!(answer.status, 503);
    system.link(Link::Http(Service::Patient)).restore().await;
    let answer = admin.get("/api/patients").answer().await;
    assert_eq!(answer.status, 200);
}
