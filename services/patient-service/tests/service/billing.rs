//! A billing-service that is late loses nothing.

use crate::support::{House, REFUSED, eventually, patient};
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

#[tokio::test]
async fn what_billing_refuses_waits_out_of_the_way_until_the_patient_is_changed() {
    let Some(house) = House::build().await else { return };
    house.peer.start().await;
    let refused = house.create(REFUSED).await;
    let path = format!("/patients/{}", refused["id"].as_str().expect("an id"));
    sqlx::query("update billing_intent set next_attempt = now()")
        .execute(&house.database.pool)
        .await
        .expect("an update");

    let shutdown = CancellationToken::new();
    let reconciler = billing::reconcile(house.database.pool.clone(), house.billing.clone(), shutdown.clone());
    let reconciler = tokio::spawn(reconciler);
    eventually("it is set aside", async || {
        let aside = "select exists (select from billing_intent where status = 'PENDING' and refused = 'InvalidArgument'
                     and attempts = 1 and next_attempt > now() + interval '30 minutes')";
        let aside: bool = sqlx::query_scalar(aside)
            .fetch_one(&house.database.pool)
            .await
            .expect("an answer");
        aside
    })
    .await;
    let state = house.call(Method::GET, &path, None).await;
    assert_eq!(state.body["billing"], json!({"status": "PENDING"}));

    let changed = house.call(Method::PUT, &path, Some(patient("Renamed"))).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    eventually("the account is open", async || {
        house.call(Method::GET, &path, None).await.body["billing"]["status"] == "ACTIVE"
    })
    .await;
    shutdown.cancel();
    reconciler.await.expect("the reconciler").expect("a clean end");
    house.database.drop().await;
}

#[tokio::test]
async fn a_backlog_of_accounts_is_opened_in_one_go_once_billing_is_back() {
    let Some(house) = House::build().await else { return };
    let intents = "insert into billing_intent (patient_id, wanted, next_attempt)
                   select gen_random_uuid(), 'CLOSED', now() from generate_series(1, 500)";
    sqlx::query(intents)
        .execute(&house.database.pool)
        .await
        .expect("intents");
    house.peer.start().await;
    let shutdown = CancellationToken::new();
    let reconciler = billing::reconcile(house.database.pool.clone(), house.billing.clone(), shutdown.clone());
    let reconciler = tokio::spawn(reconciler);
    // One batch a second would take longer than this waits.
    eventually("nothing waits", async || {
        let left: i64 = sqlx::query_scalar("select count(*) from billing_intent")
            .fetch_one(&house.database.pool)
            .await
            .expect("a count");
        left == 0
    })
    .await;
    shutdown.cancel();
    reconciler.await.expect("the reconciler").expect("a clean end");
    house.database.drop().await;
}
