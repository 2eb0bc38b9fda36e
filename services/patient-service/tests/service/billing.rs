//! A billing-service that is late loses nothing.

use crate::support::{House, eventually};
use http::Method;
use patient_service::{billing, seed};
use serde_json::json;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn the_account_is_open_in_the_answer_when_billing_is_there() {
    let Some(house) = House::build().await else { return };
    house.peer.start().await;
    let ada = house.create("Ada").await;
    assert_eq!(
        (&ada["billing"]["status"], house.peer.account(&ada)),
        (&json!("ACTIVE"), Some("ACTIVE"))
    );
    let path = format!("/patients/{}", ada["id"].as_str().expect("an id"));
    assert_eq!(
        house.call(Method::GET, &path, None).await.body["billing"],
        ada["billing"]
    );
    house.call(Method::DELETE, &path, None).await;
    assert_eq!(house.peer.account(&ada), Some("CLOSED"));
    house.database.drop().await;
}

#[tokio::test]
async fn accounts_are_opened_and_closed_once_billing_is_back() {
    let Some(house) = House::build().await else { return };
    let (ada, bea) = (house.create("Ada").await, house.create("Bea").await);
    let path = |patient: &serde_json::Value| format!("/patients/{}", patient["id"].as_str().expect("an id"));
    assert_eq!(ada["billing"]["status"], "PENDING");
    house.call(Method::DELETE, &path(&bea), None).await;

    house.peer.start().await;
    let shutdown = CancellationToken::new();
    let reconciler = billing::reconcile(house.database.pool.clone(), house.billing.clone(), shutdown.clone());
    let reconciler = tokio::spawn(reconciler);
    eventually("Ada's account is open", async || {
        house.peer.account(&ada) == Some("ACTIVE")
    })
    .await;
    eventually("Bea's account is closed", async || {
        house.peer.account(&bea) == Some("CLOSED")
    })
    .await;
    eventually("the answer says so", async || {
        house.call(Method::GET, &path(&ada), None).await.body["billing"]["status"] == "ACTIVE"
    })
    .await;
    shutdown.cancel();
    reconciler.await.expect("the reconciler").expect("a clean end");
    house.database.drop().await;
}

#[tokio::test]
async fn demo_patients_are_made_once_with_events_and_intents() {
    let Some(house) = House::build().await else { return };
    for _ in 0..2 {
        seed::demo_patients(&house.database.pool).await.expect("demo patients");
    }
    let counts: (i64, i64, i64) = sqlx::query_as(
        "select (select count(*) from patient), (select count(*) from outbox), (select count(*) from billing_intent)",
    )
    .fetch_one(&house.database.pool)
    .await
    .expect("counts");
    assert_eq!(counts, (15, 15, 15));
    house.database.drop().await;
}
