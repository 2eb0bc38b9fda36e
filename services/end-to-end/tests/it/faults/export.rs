//! The export of a person: a part of each service, or an error.

use std::time::Duration;

use end_to_end::{Ledger, Options, Service::Billing, System, wait_until};
use http::StatusCode;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the service binaries: scripts/test faults"]
async fn an_export_has_the_part_of_each_service_and_is_an_error_without_one() {
    let system = System::start(Options::default()).await;
    let (admin, ledger) = (system.admin().await, Ledger::default());
    let patient = ledger.create(&admin).await.expect("an acknowledged creation");
    let path = format!("/api/patients/{patient}/export");
    wait_until("all parts", Duration::from_secs(30), async || {
        let export = admin.get(&path).response().await.json();
        let rows = |part: &str, table: &str| export[part][table].as_array().map_or(0, Vec::len);
        let parts = [
            rows("billing", "accounts"),
            rows("notifications", "notifications"),
            rows("analytics", "events"),
        ];
        let emails = [
            &export["patient"]["email"],
            &export["billing"]["accounts"][0]["holderEmail"],
            &export["notifications"]["patients"][0]["email"],
        ];
        // The creation, and the export before this one.
        parts == [1; 3]
            && rows("audit", "records") > 1
            && emails.iter().all(|email| email.is_string() && *email == emails[0])
    })
    .await;

    let billing = system.replica(Billing);
    billing.kill9().await;
    let response = admin.get(&path).response().await;
    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.text().contains("billing-service"), "{}", response.text());
    billing.restart().await;
    ledger.verify(&system).await;
}
