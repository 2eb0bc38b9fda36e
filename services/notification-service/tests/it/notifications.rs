//! Notifications: queued once, sent in order, and listed page by page.

use std::time::Duration;

use contracts::patient::events::PatientEvent;
use http::StatusCode;
use kit::{Role, kafka::Handled, testing::wait_until};
use prost::Message;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{TestApp, deletion, event};

#[tokio::test]
async fn each_event_causes_one_notification() {
    let Some(app) = TestApp::start().await else { return };
    let patient = Uuid::new_v4();
    let events = [
        event(patient, "PATIENT_CREATED", 1).encode_to_vec(),
        event(patient, "PATIENT_UPDATED", 2).encode_to_vec(),
    ];
    for message in events.iter().chain(&events) {
        assert_eq!(app.deliver(message).await, Handled::Done);
    }
    assert_eq!(
        app.notifications(patient).await,
        ["WELCOME PENDING", "DETAILS_CHANGED PENDING"]
    );
    app.send_due().await;
    let farewell = deletion(patient, 3).encode_to_vec();
    for message in [&farewell, &farewell, &events[0]] {
        assert_eq!(app.deliver(message).await, Handled::Done);
    }
    app.send_due().await;
    assert_eq!(
        app.notifications(patient).await,
        ["WELCOME SENT", "DETAILS_CHANGED SENT", "FAREWELL SENT"]
    );
    assert_eq!(
        app.mailer.subjects(),
        ["Welcome", "Your details were changed", "Goodbye"]
    );
    app.database.drop().await;
}

#[tokio::test]
async fn an_outdated_event_and_one_after_the_deletion_cause_no_notification() {
    let Some(app) = TestApp::start().await else { return };
    let patient = Uuid::new_v4();
    for (event_type, version) in [
        ("PATIENT_UPDATED", 2),
        ("PATIENT_CREATED", 1),
        ("PATIENT_DELETED", 3),
        ("PATIENT_UPDATED", 4),
    ] {
        let message = event(patient, event_type, version).encode_to_vec();
        assert_eq!(app.deliver(&message).await, Handled::Done);
    }
    assert_eq!(
        app.notifications(patient).await,
        ["DETAILS_CHANGED SKIPPED", "FAREWELL PENDING"]
    );
    app.database.drop().await;
}

#[tokio::test]
async fn two_senders_send_each_notification_once() {
    let Some(app) = TestApp::start().await else { return };
    let shutdown = CancellationToken::new();
    let senders = [app.sender(), app.sender()].map(|sender| tokio::spawn(sender.run(shutdown.clone())));
    for _ in 0..20 {
        app.deliver(&event(Uuid::new_v4(), "PATIENT_CREATED", 1).encode_to_vec())
            .await;
    }
    wait_until("no pending notification", Duration::from_secs(20), || async {
        let pending = "select count(*) from notifications where status = 'PENDING'";
        let pending: i64 = sqlx::query_scalar(pending)
            .fetch_one(&app.database.pool)
            .await
            .expect("a count");
        pending == 0
    })
    .await;
    shutdown.cancel();
    for sender in senders {
        sender.await.expect("no panic").expect("no error");
    }
    assert_eq!(app.mailer.subjects().len(), 20);
    app.database.drop().await;
}

#[tokio::test]
async fn a_message_without_a_valid_recipient_is_poison_and_its_reason_does_not_quote_it() {
    let Some(app) = TestApp::start().await else { return };
    let valid = event(Uuid::new_v4(), "PATIENT_CREATED", 1);
    let forged_header = PatientEvent {
        name: "Ada\r\nBcc: all".to_owned(),
        ..valid.clone()
    };
    let blank_email = PatientEvent {
        email: " ".to_owned(),
        ..valid
    };
    for (name, message) in [
        ("a forged mail header", forged_header.encode_to_vec()),
        ("a blank email address", blank_email.encode_to_vec()),
        ("not protobuf", b"\xff".to_vec()),
        ("empty", Vec::new()),
    ] {
        let Handled::Poison(reason) = app.deliver(&message).await else {
            panic!("{name} must be poison")
        };
        assert!(!reason.contains("Ada") && !reason.is_empty(), "{name}: {reason}");
    }
    app.database.drop().await;
}

#[tokio::test]
async fn notifications_are_listed_page_by_page_for_every_role() {
    let Some(app) = TestApp::start().await else { return };
    for _ in 0..3 {
        let event = event(Uuid::new_v4(), "PATIENT_CREATED", 1);
        app.deliver(&event.encode_to_vec()).await;
    }
    assert_eq!(app.get("/notifications", None).await.0, StatusCode::UNAUTHORIZED);
    let (_, headers, all) = app.get("/notifications", Some(Role::Admin)).await;
    assert!(!headers.contains_key("link"), "{headers:?}");
    let (_, headers, page) = app.get("/notifications?limit=2", Some(Role::User)).await;
    assert_eq!(headers["x-total-count"], "3");
    assert_eq!(headers["x-total-count-relation"], "eq");
    let link = headers["link"].to_str().expect("text");
    let next = link
        .strip_prefix('<')
        .and_then(|link| link.strip_suffix(">; rel=\"next\""))
        .expect("a next page");
    let (_, _, rest) = app.get(next, Some(Role::User)).await;
    assert_eq!((&all[0], &all[1], &all[2]), (&page[0], &page[1], &rest[0]));
    let mut fields: Vec<_> = all[0].as_object().expect("an object").keys().collect();
    fields.sort();
    assert_eq!(fields, ["attempts", "createdAt", "id", "kind", "patientId", "status"]);
    for invalid in ["?limit=0", "?limit=1001", "?patientId=x", "?cursor=1"] {
        let (status, ..) = app.get(&format!("/notifications{invalid}"), Some(Role::User)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{invalid}");
    }
    app.database.drop().await;
}
