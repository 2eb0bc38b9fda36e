//! Every request of `requests/` gets the status in its file, and every route has a request.

use std::time::Duration;

use end_to_end::{Options, System, a_patient, requests, wait_until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the services' binaries and a broker; scripts/test runs it"]
async fn every_request_gets_the_status_in_its_file_and_every_route_has_a_request() {
    let system = System::start(Options::default()).await;
    let admin = system.admin().await;
    // The response has the patient's account once billing is reachable, which takes a moment after the start.
    wait_until("a billing account in the response", Duration::from_secs(30), || async {
        let created = admin.post("/api/patients").json(&a_patient()).response().await;
        created.json()["billing"]["status"] == "ACTIVE"
    })
    .await;
    let faults = requests::send_all(&system).await;
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
