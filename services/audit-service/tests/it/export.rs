//! The records that concern a patient, for a copy of the patient's data.

use contracts::audit::Event;
use http::StatusCode;
use kit::Role;
use serde_json::json;
use uuid::Uuid;

use crate::support::{TestApp, event};

#[tokio::test]
async fn the_export_has_requests_and_lists_and_nothing_of_other_patients() {
    let Some(app) = TestApp::start().await else { return };
    let (patient, other) = (Uuid::new_v4(), Uuid::new_v4());
    let list = Event {
        patient: None,
        shown: vec![other, patient],
        action: "LIST".to_owned(),
        ..event(patient)
    };
    let read = event(patient);
    for event in [&read, &event(other), &list] {
        app.append(event).await;
    }
    let path = format!("/audit/patients/{patient}/export");
    let (status, headers, held) = app.get(&path, Some(Role::Admin)).await;
    assert_eq!(
        (status, headers["content-type"].to_str().expect("text")),
        (StatusCode::OK, "application/json")
    );
    let records = held["records"].as_array().expect("records");
    let found: Vec<_> = records
        .iter()
        .map(|record| {
            (
                record["eventId"].clone(),
                record["action"].clone(),
                record["isListed"].clone(),
            )
        })
        .collect();
    let expected = [
        (json!(read.event_id), json!("READ"), json!(false)),
        (json!(list.event_id), json!("LIST"), json!(true)),
    ];
    assert_eq!(found, expected);
    let text = held.to_string();
    for hidden in [
        other.to_string(),
        "203.0.113.9".to_owned(),
        read.session.expect("a session").to_string(),
    ] {
        assert!(!text.contains(&hidden), "{hidden} is in {text}");
    }
    app.database.drop().await;
}

#[tokio::test]
async fn an_export_is_for_administrators_and_recorded_itself() {
    let Some(app) = TestApp::start().await else { return };
    let path = format!("/audit/patients/{}/export", Uuid::new_v4());
    for role in [Role::User, Role::Auditor] {
        assert_eq!(app.get(&path, Some(role)).await.0, StatusCode::FORBIDDEN);
    }
    let (_, _, held) = app.get(&path, Some(Role::Admin)).await;
    let records = held["records"].as_array().expect("records").iter();
    let outcomes: Vec<_> = records.map(|record| record["outcome"].clone()).collect();
    assert_eq!(
        outcomes,
        [json!(403), json!(403)],
        "the refused ones concern the patient, too"
    );
    assert_eq!(
        app.own_records().await,
        [403, 403, 200].map(|outcome| ("EXPORT".to_owned(), outcome))
    );
    app.database.drop().await;
}

#[tokio::test]
async fn a_large_export_is_complete_and_in_order() {
    let Some(app) = TestApp::start().await else { return };
    let patient = Uuid::new_v4();
    let rows = "insert into records (position, event_id, occurred_at, recorded_at, actor, role, action, route, shown_patient_ids,
                    changed_fields, outcome, service, hash)
                select n, gen_random_uuid(), now(), now(), gen_random_uuid(), 'USER', 'LIST', 'GET /patients', array[$1::uuid], '{}',
                    n % 500 + 100, 'patient-service', decode(repeat('00', 32), 'hex')
                from generate_series(1, 10000) n";
    let rows = sqlx::query(rows).bind(patient).execute(&app.database.pool).await;
    rows.expect("10000 rows");
    let held = app.get_large(&format!("/audit/patients/{patient}/export")).await;
    let outcomes = held["records"].as_array().expect("records").iter();
    let outcomes: Vec<_> = outcomes
        .map(|record| record["outcome"].as_i64().expect("a number"))
        .collect();
    let expected: Vec<_> = (1..=10_000).map(|n| n % 500 + 100).collect();
    assert!(outcomes.starts_with(&expected), "all records, oldest first");
    // A batch that is read after the head of the response has the record of this export.
    assert!(outcomes.len() <= expected.len() + 1, "{}", outcomes.len());
    app.database.drop().await;
}
