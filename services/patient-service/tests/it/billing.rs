//! Billing accounts, also while billing-service is unavailable.

use http::{Method, StatusCode};
use kit::database::Pool;
use kit::testing::wait_until;
use patient_service::demo_data;
use serde_json::{Value, json};

use crate::support::{REJECTED, TIMEOUT, TestApp, path_of, patient};

#[tokio::test]
async fn the_response_contains_the_open_account_if_billing_is_available() {
    let Some(app) = TestApp::start().await else { return };
    app.billing.start().await;
    let ada = app.create("Ada").await;
    assert_eq!(
        (&ada["billing"]["status"], app.billing.account(&ada)),
        (&json!("ACTIVE"), Some("ACTIVE"))
    );
    assert_eq!(app.get(&path_of(&ada)).await.body["billing"], ada["billing"]);
    app.call(Method::DELETE, &path_of(&ada), None).await;
    assert_eq!(app.billing.account(&ada), Some("CLOSED"));
    app.database.drop().await;
}

#[tokio::test]
async fn the_reconciler_opens_and_closes_accounts_once_billing_is_available() {
    let Some(app) = TestApp::start().await else { return };
    let (ada, bea) = (app.create("Ada").await, app.create("Bea").await);
    assert_eq!(ada["billing"]["status"], "PENDING");
    app.call(Method::DELETE, &path_of(&bea), None).await;

    app.billing.start().await;
    let reconciler = app.reconcile();
    wait_until("Ada's account is open", TIMEOUT, || async {
        app.billing.account(&ada) == Some("ACTIVE")
    })
    .await;
    wait_until("Bea's account is closed", TIMEOUT, || async {
        app.billing.account(&bea) == Some("CLOSED")
    })
    .await;
    wait_until("Ada's account is recorded", TIMEOUT, || is_active(&app, &ada)).await;
    reconciler.stop().await;
    app.database.drop().await;
}

async fn is_active(app: &TestApp, patient: &Value) -> bool {
    app.get(&path_of(patient)).await.body["billing"]["status"] == "ACTIVE"
}

#[tokio::test]
async fn demo_patients_are_inserted_once_with_events_and_intents() {
    let Some(app) = TestApp::start().await else { return };
    for _ in 0..2 {
        demo_data::insert(&app.database.pool).await.expect("demo patients");
    }
    let counts: (i64, i64, i64) = sqlx::query_as(
        "select (select count(*) from patient), (select count(*) from outbox), (select count(*) from billing_intent)",
    )
    .fetch_one(&app.database.pool)
    .await
    .expect("counts");
    assert_eq!(counts, (15, 15, 15));
    app.database.drop().await;
}

#[tokio::test]
async fn a_rejected_intent_is_postponed_until_the_patient_is_changed() {
    let Some(app) = TestApp::start().await else { return };
    app.billing.start().await;
    let rejected = app.create(REJECTED).await;
    sqlx::query("update billing_intent set next_attempt = now()")
        .execute(&app.database.pool)
        .await
        .expect("an update");

    let reconciler = app.reconcile();
    wait_until("the intent is postponed", TIMEOUT, || is_postponed(&app.database.pool)).await;
    let response = app.get(&path_of(&rejected)).await;
    assert_eq!(response.body["billing"], json!({"status": "PENDING"}));

    let changed = app
        .call(Method::PUT, &path_of(&rejected), Some(patient("Renamed")))
        .await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
    wait_until("the account is open", TIMEOUT, || is_active(&app, &rejected)).await;
    reconciler.stop().await;
    app.database.drop().await;
}

async fn is_postponed(pool: &Pool) -> bool {
    let postponed =
        "select exists (select from billing_intent where status = 'PENDING' and rejection = 'InvalidArgument'
                     and attempts = 1 and next_attempt > now() + interval '30 minutes')";
    sqlx::query_scalar(postponed).fetch_one(pool).await.expect("a result")
}

#[tokio::test]
async fn a_backlog_of_intents_is_executed_without_pauses_once_billing_is_available() {
    let Some(app) = TestApp::start().await else { return };
    let intents = "insert into billing_intent (patient_id, desired_state, next_attempt)
                   select gen_random_uuid(), 'CLOSED', now() from generate_series(1, 500)";
    sqlx::query(intents).execute(&app.database.pool).await.expect("intents");
    app.billing.start().await;
    let reconciler = app.reconcile();
    // With one batch per second this would time out.
    wait_until("every intent is executed", TIMEOUT, || async {
        let remaining: i64 = sqlx::query_scalar("select count(*) from billing_intent")
            .fetch_one(&app.database.pool)
            .await
            .expect("a count");
        remaining == 0
    })
    .await;
    reconciler.stop().await;
    app.database.drop().await;
}

/// Returns the name and version of the holder of a patient's account in billing-service.
fn holder(app: &TestApp, patient: &Value) -> Option<(String, i64)> {
    app.billing.holder(patient).map(|(name, _, version)| (name, version))
}

#[tokio::test]
async fn the_holder_follows_a_change_of_the_patient_at_once() {
    let Some(app) = TestApp::start().await else { return };
    app.billing.start().await;
    let ada = app.create("Ada").await;
    assert_eq!(holder(&app, &ada), Some(("Ada".into(), 1)));
    let changed = app.call(Method::PUT, &path_of(&ada), Some(patient("Ada King"))).await;
    assert_eq!(
        (&changed.body["billing"], holder(&app, &ada)),
        (&ada["billing"], Some(("Ada King".into(), 2)))
    );
    let mut moved = patient("Ada King");
    moved["address"] = json!("2 Side St");
    app.call(Method::PUT, &path_of(&ada), Some(moved)).await;
    assert_eq!(
        holder(&app, &ada),
        Some(("Ada King".into(), 2)),
        "an address is not sent"
    );
    assert_eq!(
        app.count("select count(*) from billing_intent where status = 'PENDING'")
            .await,
        0
    );
    app.call(Method::DELETE, &path_of(&ada), None).await;
    assert_eq!((holder(&app, &ada), app.billing.account(&ada)), (None, Some("CLOSED")));
    app.database.drop().await;
}

#[tokio::test]
async fn the_reconciler_updates_the_holder_and_the_account_stays_open_until_then() {
    let Some(app) = TestApp::start().await else { return };
    let ada = app.create("Ada").await;
    // Changed while the account is not open yet, and while it is open and billing-service is away.
    app.call(Method::PUT, &path_of(&ada), Some(patient("Ada King"))).await;
    sqlx::query("update billing_intent set status = 'ACTIVE', account_id = 'account-1', next_attempt = now()")
        .execute(&app.database.pool)
        .await
        .expect("an open account");
    let changed = app.call(Method::PUT, &path_of(&ada), Some(patient("Ada Byron"))).await;
    let open = json!({"status": "ACTIVE", "accountId": "account-1"});
    assert_eq!((changed.status, &changed.body["billing"]), (StatusCode::OK, &open));
    assert_eq!(
        app.count("select count(*) from billing_intent where status = 'PENDING' and version = 3")
            .await,
        1
    );

    // billing-service does not know the account, as after a restore: it is opened with the newest holder.
    app.billing.start().await;
    app.billing.lose(&ada);
    let reconciler = app.reconcile();
    wait_until("the holder is the newest", TIMEOUT, || async {
        holder(&app, &ada) == Some(("Ada Byron".into(), 3))
    })
    .await;
    wait_until("the intent is confirmed", TIMEOUT, || async {
        app.count("select count(*) from billing_intent where status = 'PENDING'")
            .await
            == 0
    })
    .await;
    reconciler.stop().await;
    app.database.drop().await;
}

#[tokio::test]
async fn concurrent_changes_end_with_the_newest_holder_and_a_deletion_wins() {
    let Some(app) = TestApp::start().await else { return };
    app.billing.start().await;
    let ada = app.create("Ada").await;
    let path = path_of(&ada);
    let names: Vec<String> = (0..12).map(|n| format!("Ada {n}")).collect();
    futures::future::join_all(
        names
            .iter()
            .map(|name| app.call(Method::PUT, &path, Some(patient(name)))),
    )
    .await;
    let newest = app.get(&path).await;
    let reconciler = app.reconcile();
    wait_until("the intent is confirmed", TIMEOUT, || async {
        app.count("select count(*) from billing_intent where status = 'PENDING'")
            .await
            == 0
    })
    .await;
    let name = newest.body["name"].as_str().expect("a name").to_owned();
    assert_eq!(holder(&app, &ada), Some((name, 13)));

    let changes = futures::future::join_all(
        names
            .iter()
            .map(|name| app.call(Method::PUT, &path, Some(patient(name)))),
    );
    tokio::join!(changes, app.call(Method::DELETE, &path, None));
    wait_until("the account is closed", TIMEOUT, || async {
        app.count("select count(*) from billing_intent").await == 0
    })
    .await;
    assert_eq!((holder(&app, &ada), app.billing.account(&ada)), (None, Some("CLOSED")));
    reconciler.stop().await;
    app.database.drop().await;
}
