//! Preferences: a patient who wants no email gets none, except the confirmation of a deletion.

use http::StatusCode;
use kit::Role;
use prost::Message;
use serde_json::json;
use uuid::Uuid;

use crate::support::{TestApp, deletion, event};

#[tokio::test]
async fn a_patient_who_wants_no_email_gets_the_farewell_only_and_the_preference_is_erased() {
    let Some(app) = TestApp::start().await else { return };
    let patient = Uuid::new_v4();
    let path = format!("/notifications/preferences/{patient}");
    let put = async |body| app.call("PUT", &path, Some(Role::User), Some(body)).await.0;
    assert_eq!(put(json!({"email": false})).await, StatusCode::NOT_FOUND);
    app.deliver(&event(patient, "PATIENT_CREATED", 1).encode_to_vec()).await;
    let (status, _, preferences) = app.get(&path, Some(Role::Admin)).await;
    assert_eq!((status, preferences), (StatusCode::OK, json!({"email": true})));
    assert_eq!(put(json!({"email": false})).await, StatusCode::OK);
    assert_eq!(put(json!({"email": false, "sms": true})).await, StatusCode::BAD_REQUEST);
    assert_eq!(put(json!({})).await, StatusCode::BAD_REQUEST);
    app.send_due().await;
    app.deliver(&event(patient, "PATIENT_UPDATED", 2).encode_to_vec()).await;
    app.send_due().await;
    assert_eq!(
        app.notifications(patient).await,
        ["WELCOME SKIPPED", "DETAILS_CHANGED SKIPPED"]
    );
    assert_eq!(app.last(patient, "reason").await, json!("OPTED_OUT"));
    assert_eq!(app.get(&path, Some(Role::User)).await.2, json!({"email": false}));

    app.deliver(&deletion(patient, 3).encode_to_vec()).await;
    app.send_due().await;
    assert_eq!(app.mailer.subjects(), ["Goodbye"]);
    let stored: bool = sqlx::query_scalar("select bool_and(email_allowed) from patients")
        .fetch_one(&app.database.pool)
        .await
        .expect("the preference");
    assert!(stored, "the preference is erased");
    assert_eq!(app.get(&path, Some(Role::User)).await.0, StatusCode::NOT_FOUND);
    app.database.drop().await;
}

#[tokio::test]
async fn preferences_are_for_those_who_work_with_patients() {
    let Some(app) = TestApp::start().await else { return };
    let path = format!("/notifications/preferences/{}", Uuid::new_v4());
    for (role, expected) in [
        (None, StatusCode::UNAUTHORIZED),
        (Some(Role::Auditor), StatusCode::FORBIDDEN),
        (Some(Role::User), StatusCode::NOT_FOUND),
    ] {
        assert_eq!(app.get(&path, role).await.0, expected);
        let body = json!({"email": true});
        assert_eq!(app.call("PUT", &path, role, Some(body)).await.0, expected);
    }
    app.database.drop().await;
}
