//! The system of processes without faults.

use end_to_end::{Link, Options, Service, System, a_patient, wait_until};
use std::time::Duration;

#[tokio::test]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn a_patient_that_is_created_at_the_gateway_reaches_every_service() {
    let started = std::time::Instant::now();
    let system = System::start(Options::default()).await;
    eprintln!("started in {:?}", started.elapsed());
    let admin = system.admin().await;
    let response = admin.post("/api/patients").json(&a_patient()).response().await;
    assert_eq!(response.status, 201, "{}", response.text());
    let id = response.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(response.json()["billing"]["status"], "ACTIVE");
    let path = format!("/api/notifications?patientId={id}");
    wait_until("a notification", Duration::from_secs(20), async || {
        admin
            .get(&path)
            .response()
            .await
            .json()
            .as_array()
            .is_some_and(|list| list.len() == 1)
    })
    .await;
    system.link(Link::Http(Service::Patient)).cut().await;
    let response = admin.get("/api/patients").response().await;
    assert_eq!(response.status, 503);
    system.link(Link::Http(Service::Patient)).restore().await;
    let response = admin.get("/api/patients").response().await;
    assert_eq!(response.status, 200);
}
