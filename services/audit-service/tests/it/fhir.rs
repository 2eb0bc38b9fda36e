//! `/fhir/AuditEvent`: for auditors only, by patient, date and agent, recorded, and valid by the specification's schema.

use contracts::audit::Event;
use http::StatusCode;
use kit::Role;
use kit::testing::check_fhir;
use serde_json::{Value, json};
use time::Duration;
use uuid::Uuid;

use crate::support::{TestApp, event};

async fn get(app: &TestApp, path: &str) -> Value {
    let (status, headers, body) = app.get(path, Some(Role::Auditor)).await;
    assert_eq!(
        (status, &headers["content-type"]),
        (StatusCode::OK, &"application/fhir+json".parse().expect("a header")),
        "{path}: {body}"
    );
    body
}

/// Returns the ids of the events of a bundle, without the records of this service's own requests.
fn ids(bundle: &Value) -> Vec<&str> {
    let entries = bundle["entry"].as_array().into_iter().flatten();
    let others = entries.filter(|entry| entry["resource"]["source"]["observer"]["display"] != "audit-service");
    others.filter_map(|entry| entry["resource"]["id"].as_str()).collect()
}

#[tokio::test]
async fn only_an_auditor_reads_and_every_attempt_of_a_user_is_recorded() {
    let Some(app) = TestApp::start().await else { return };
    for (role, status) in [
        (None, 401),
        (Some(Role::User), 403),
        (Some(Role::Admin), 403),
        (Some(Role::Auditor), 200),
    ] {
        let (found, headers, body) = app.get("/fhir/AuditEvent", role).await;
        assert_eq!(found.as_u16(), status, "{role:?}");
        assert_eq!(headers["content-type"], "application/fhir+json");
        let kind = if status == 200 { "Bundle" } else { "OperationOutcome" };
        assert_eq!(body["resourceType"], kind);
    }
    let recorded = |outcome| ("AUDIT_READ".to_owned(), outcome);
    assert_eq!(app.own_records().await, [403, 403, 200].map(recorded));
    app.database.drop().await;
}

#[tokio::test]
async fn events_are_found_by_patient_date_and_agent_and_read_by_id() {
    let Some(app) = TestApp::start().await else { return };
    let (patient, other) = (Uuid::new_v4(), Uuid::new_v4());
    let read = event(patient);
    let list = Event {
        patient: None,
        shown: vec![other, patient],
        action: "LIST".into(),
        ..event(other)
    };
    let later = Event {
        occurred_at: read.occurred_at + Duration::DAY,
        actor: read.actor,
        ..event(other)
    };
    for event in [&read, &list, &later] {
        app.append(event).await;
    }
    // 2026-09-21T14:13:20Z is the time of the first two.
    for (query, expected) in [
        (format!("patient={patient}"), vec![&list, &read]),
        (format!("patient=Patient/{patient}"), vec![&list, &read]),
        (format!("patient:Patient={patient}&agent={}", read.actor), vec![&read]),
        (format!("agent:identifier=%7C{}", read.actor), vec![&later, &read]),
        (format!("patient={other}&date=2026-09-21"), vec![&list]),
        (format!("patient={other}&date=gt2026-09-21"), vec![&later]),
        (
            format!("patient={other}&date=ge2026-09-21T14:13&date=lt2026-09-22T14:13:20Z"),
            vec![&list],
        ),
        (format!("patient={}", Uuid::new_v4()), vec![]),
    ] {
        let bundle = get(&app, &format!("/fhir/AuditEvent?{query}")).await;
        let expected: Vec<String> = expected.iter().map(|event| event.event_id.to_string()).collect();
        assert_eq!(ids(&bundle), expected, "{query}");
    }
    let event = get(&app, &format!("/fhir/AuditEvent/{}", read.event_id)).await;
    assert_eq!(event["entity"][0]["what"]["reference"], format!("Patient/{patient}"));
    for (query, status) in [
        ("?date=x", 400),
        ("?date=ne2026", 400),
        ("?patient=x", 400),
        ("?patient=a,b", 400),
        ("?patient.name=a&_format=xml", 406),
        ("?cursor=x", 400),
        ("/unknown", 404),
    ] {
        let (found, _, body) = app.get(&format!("/fhir/AuditEvent{query}"), Some(Role::Auditor)).await;
        assert_eq!(
            (found.as_u16(), &body["resourceType"]),
            (status, &json!("OperationOutcome")),
            "{query}"
        );
    }
    app.database.drop().await;
}

#[tokio::test]
async fn pages_go_to_the_oldest_record_and_every_answer_is_valid_by_the_schema() {
    let Some(app) = TestApp::start().await else { return };
    let patient = Uuid::new_v4();
    let events: Vec<Event> = (0..5).map(|_| event(patient)).collect();
    for event in &events {
        app.append(event).await;
    }
    let mut resources = vec![get(&app, &format!("/fhir/AuditEvent/{}", events[0].event_id)).await];
    let mut path = format!("/fhir/AuditEvent?patient={patient}&date=2026-09-21&_count=2");
    let mut found: Vec<String> = Vec::new();
    loop {
        let bundle = get(&app, &path).await;
        found.extend(ids(&bundle).into_iter().map(str::to_owned));
        let next = bundle["link"][1]["url"].as_str().map(str::to_owned);
        resources.push(bundle);
        let Some(next) = next else { break };
        path = next[next.find("/fhir/").expect("a path")..].to_owned();
        assert!(found.len() < 10);
    }
    let expected: Vec<String> = events.iter().rev().map(|event| event.event_id.to_string()).collect();
    assert_eq!(found, expected);
    let counted = get(
        &app,
        &format!("/fhir/AuditEvent?patient={patient}&date=2026-09-21&_count=0"),
    )
    .await;
    assert_eq!(counted["total"], 5);
    resources.push(counted);
    resources.push(app.get("/fhir/AuditEvent?date=x", Some(Role::Auditor)).await.2);
    app.database.drop().await;
    check_fhir(&resources);
}
