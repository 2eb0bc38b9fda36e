//! Attempts: SENT means that a server took the mail, and each other end has its reason.

use http::StatusCode;
use kit::{Role, mail::MailError};
use prost::Message;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{TestApp, deletion, event, event_of};

#[tokio::test]
async fn without_a_transport_nothing_is_sent_and_nothing_says_so() {
    let Some(app) = TestApp::start().await else { return };
    let patient = Uuid::new_v4();
    app.deliver(&event(patient, "PATIENT_CREATED", 1).encode_to_vec()).await;
    assert!(app.sender_with(None).send_next().await.expect("no database error"));
    assert_eq!(app.notifications(patient).await, ["WELCOME SKIPPED"]);
    assert_eq!(app.last(patient, "reason").await, json!("NO_TRANSPORT"));
    assert_eq!(app.last(patient, "channel").await, Value::Null);
    app.database.drop().await;
}

#[tokio::test]
async fn a_sent_notification_names_the_transport() {
    let Some(app) = TestApp::start().await else { return };
    let patient = Uuid::new_v4();
    app.deliver(&event(patient, "PATIENT_CREATED", 1).encode_to_vec()).await;
    app.send_due().await;
    assert_eq!(app.notifications(patient).await, ["WELCOME SENT"]);
    assert_eq!(app.last(patient, "channel").await, json!("fake"));
    assert_eq!(app.last(patient, "reason").await, Value::Null);
    app.database.drop().await;
}

#[tokio::test]
async fn a_failed_attempt_is_retried_with_the_same_message_id_and_later_notifications_wait() {
    let Some(app) = TestApp::start().await else { return };
    let patient = Uuid::new_v4();
    app.mailer.fail(1);
    for message in [
        event(patient, "PATIENT_CREATED", 1),
        event(patient, "PATIENT_UPDATED", 2),
    ] {
        app.deliver(&message.encode_to_vec()).await;
    }
    app.send_due().await;
    assert_eq!(app.mailer.subjects(), ["Welcome"]);
    assert_eq!(
        app.notifications(patient).await,
        ["WELCOME PENDING", "DETAILS_CHANGED PENDING"]
    );
    app.make_all_due().await;
    app.send_due().await;
    assert_eq!(
        app.mailer.subjects(),
        ["Welcome", "Welcome", "Your details were changed"]
    );
    let ids = app.mailer.message_ids();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[1], ids[2]);
    app.database.drop().await;
}

#[tokio::test]
async fn pauses_grow_and_differ() {
    let Some(app) = TestApp::start().await else { return };
    app.mailer.fail(u32::MAX);
    for _ in 0..8 {
        let message = event(Uuid::new_v4(), "PATIENT_CREATED", 1);
        app.deliver(&message.encode_to_vec()).await;
    }
    let pauses = async || -> Vec<f64> {
        let pauses = "select extract(epoch from next_attempt_at - now())::double precision from notifications";
        let pauses = sqlx::query_scalar(pauses).fetch_all(&app.database.pool);
        pauses.await.expect("the pauses")
    };
    sqlx::query("update notifications set attempts = 9")
        .execute(&app.database.pool)
        .await
        .expect("an update");
    app.send_due().await;
    let tenth = pauses().await;
    assert!(tenth.iter().all(|pause| (480.0..=1024.0).contains(pause)), "{tenth:?}");
    assert!(tenth.iter().any(|pause| (pause - tenth[0]).abs() > 1.0), "{tenth:?}");
    app.database.drop().await;
}

#[tokio::test]
async fn a_notification_that_no_server_took_within_a_day_has_failed() {
    let Some(app) = TestApp::start().await else { return };
    let patient = Uuid::new_v4();
    app.mailer.fail(u32::MAX);
    app.deliver(&event(patient, "PATIENT_CREATED", 1).encode_to_vec()).await;
    for _ in 0..20 {
        app.send_due().await;
        app.make_all_due().await;
    }
    assert_eq!(app.notifications(patient).await, ["WELCOME PENDING"]);
    app.age("24 hours").await;
    app.send_due().await;
    assert_eq!(app.notifications(patient).await, ["WELCOME FAILED"]);
    assert_eq!(app.last(patient, "reason").await, json!("EXPIRED"));
    app.database.drop().await;
}

#[tokio::test]
async fn a_refused_notification_has_failed_at_once_and_an_administrator_can_send_it_again() {
    let Some(app) = TestApp::start().await else { return };
    let patient = Uuid::new_v4();
    app.mailer.fail_with(1, MailError::Refused("550".to_owned()));
    app.deliver(&event(patient, "PATIENT_CREATED", 1).encode_to_vec()).await;
    app.send_due().await;
    assert_eq!(app.notifications(patient).await, ["WELCOME FAILED"]);
    assert_eq!(app.last(patient, "reason").await, json!("REFUSED"));

    // The address is corrected, and the first notification goes there, too.
    let corrected = event_of(patient, "PATIENT_UPDATED", 2, "Ada Example", "ada@example.net");
    app.deliver(&corrected.encode_to_vec()).await;
    app.send_due().await;
    let (_, _, listed) = app
        .get(&format!("/notifications?patientId={patient}"), Some(Role::User))
        .await;
    let path = format!("/notifications/{}/resend", listed[0]["id"].as_str().expect("an id"));
    let resend = async |path: &str, role| app.call("POST", path, role, None).await;
    assert_eq!(resend(&path, None).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(resend(&path, Some(Role::User)).await.0, StatusCode::FORBIDDEN);
    let (status, _, queued) = resend(&path, Some(Role::Admin)).await;
    assert_eq!((status, &queued["status"]), (StatusCode::ACCEPTED, &json!("PENDING")));
    assert_eq!(resend(&path, Some(Role::Admin)).await.0, StatusCode::CONFLICT);
    let unknown = format!("/notifications/{}/resend", Uuid::new_v4());
    assert_eq!(resend(&unknown, Some(Role::Admin)).await.0, StatusCode::NOT_FOUND);
    app.send_due().await;
    assert_eq!(
        app.notifications(patient).await,
        ["WELCOME SENT", "DETAILS_CHANGED SENT"]
    );
    let mails = app.mailer.mails();
    assert_eq!(
        (mails[0].to.as_str(), mails[2].to.as_str()),
        ("ada@example.org", "ada@example.net")
    );
    assert_ne!(mails[0].message_id, mails[2].message_id);

    // Of a deleted patient nothing is left to send to.
    app.deliver(&deletion(patient, 3).encode_to_vec()).await;
    app.send_due().await;
    assert_eq!(resend(&path, Some(Role::Admin)).await.0, StatusCode::CONFLICT);
    app.database.drop().await;
}
