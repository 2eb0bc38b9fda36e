//! Deletions: the farewell goes out, and nothing of the person remains.

use kit::mail::MailError;
use prost::Message;
use serde_json::json;
use uuid::Uuid;

use crate::support::{TestApp, deletion, event, event_of};

#[tokio::test]
async fn the_farewell_goes_to_the_newest_address_and_nothing_of_the_person_remains() {
    let Some(app) = TestApp::start().await else { return };
    let patient = Uuid::new_v4();
    let married = event_of(patient, "PATIENT_UPDATED", 2, "Ada Married", "ada@example.net");
    app.deliver(&married.encode_to_vec()).await;
    // Late, so it changes nothing.
    app.deliver(&event(patient, "PATIENT_CREATED", 1).encode_to_vec()).await;
    app.send_due().await;
    app.deliver(&deletion(patient, 3).encode_to_vec()).await;
    app.send_due().await;
    let mails = app.mailer.mails();
    let farewell = mails.last().expect("a mail");
    assert_eq!(
        (farewell.subject.as_str(), farewell.to.as_str()),
        ("Goodbye", "ada@example.net")
    );
    assert!(farewell.body.starts_with("Dear Ada Married,\n"), "{}", farewell.body);
    assert_eq!(app.rows_with_a_person().await, 0);
    app.database.drop().await;
}

#[tokio::test]
async fn what_waits_for_a_deleted_patient_is_not_sent() {
    let Some(app) = TestApp::start().await else { return };
    let patient = Uuid::new_v4();
    app.mailer.fail(1);
    app.deliver(&event(patient, "PATIENT_CREATED", 1).encode_to_vec()).await;
    app.send_due().await;
    app.deliver(&event(patient, "PATIENT_UPDATED", 2).encode_to_vec()).await;
    app.deliver(&deletion(patient, 3).encode_to_vec()).await;
    assert_eq!(app.rows_with_a_person().await, 1, "the farewell's recipient");
    app.make_all_due().await;
    app.send_due().await;
    assert_eq!(
        app.notifications(patient).await,
        ["WELCOME SKIPPED", "DETAILS_CHANGED SKIPPED", "FAREWELL SENT"]
    );
    assert_eq!(app.mailer.subjects(), ["Welcome", "Goodbye"]);
    assert_eq!(app.rows_with_a_person().await, 0);
    app.database.drop().await;
}

#[tokio::test]
async fn a_farewell_that_cannot_be_sent_keeps_nothing_either() {
    let Some(app) = TestApp::start().await else { return };
    for error in [
        MailError::Refused("550".to_owned()),
        MailError::Unavailable("451".to_owned()),
    ] {
        let patient = Uuid::new_v4();
        app.deliver(&event(patient, "PATIENT_CREATED", 1).encode_to_vec()).await;
        app.send_due().await;
        app.deliver(&deletion(patient, 2).encode_to_vec()).await;
        app.age("24 hours").await;
        app.mailer.fail_with(1, error);
        app.send_due().await;
        assert_eq!(app.notifications(patient).await, ["WELCOME SENT", "FAREWELL FAILED"]);
        assert_eq!(app.rows_with_a_person().await, 0);
    }
    app.database.drop().await;
}

#[tokio::test]
async fn a_deletion_of_an_unknown_patient_leaves_a_tombstone() {
    let Some(app) = TestApp::start().await else { return };
    let patient = Uuid::new_v4();
    app.deliver(&deletion(patient, 2).encode_to_vec()).await;
    app.deliver(&event(patient, "PATIENT_UPDATED", 3).encode_to_vec()).await;
    assert!(app.notifications(patient).await.is_empty());
    assert_eq!(app.rows_with_a_person().await, 0);
    app.database.drop().await;
}

#[tokio::test]
async fn rows_of_the_former_schema_are_migrated() {
    let Some(app) = TestApp::start_with_former_schema().await else {
        return;
    };
    app.send_due().await;
    let mut mails: Vec<_> = app
        .mailer
        .mails()
        .into_iter()
        .map(|mail| (mail.subject, mail.to))
        .collect();
    mails.sort();
    let expected = [("Goodbye", "gone@example.org"), ("Welcome", "ada@example.org")];
    assert_eq!(mails, expected.map(|(subject, to)| (subject.to_owned(), to.to_owned())));
    assert_eq!(app.rows_with_a_person().await, 1, "the patient who is not deleted");
    let gone = Uuid::from_u128(2);
    assert_eq!(app.notifications(gone).await, ["WELCOME SKIPPED", "FAREWELL SENT"]);
    assert_eq!(app.last(gone, "channel").await, json!("fake"));
    app.database.drop().await;
}
