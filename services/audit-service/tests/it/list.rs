//! `GET /audit`: for auditors only, filtered, page by page, and recorded itself.

use contracts::audit::Event;
use http::StatusCode;
use kit::Role;
use serde_json::{Value, json};
use time::Duration;
use uuid::Uuid;

use crate::support::{TestApp, event};

fn ids(records: &[Value]) -> Vec<&str> {
    let ids = records.iter().map(|record| record["eventId"].as_str());
    ids.collect::<Option<_>>().expect("ids")
}

#[tokio::test]
async fn only_an_auditor_reads_and_every_attempt_of_a_user_is_recorded() {
    let Some(app) = TestApp::start().await else { return };
    for (role, status) in [
        (None, StatusCode::UNAUTHORIZED),
        (Some(Role::User), StatusCode::FORBIDDEN),
        (Some(Role::Admin), StatusCode::FORBIDDEN),
        (Some(Role::Auditor), StatusCode::OK),
    ] {
        assert_eq!(app.get("/audit", role).await.0, status, "{role:?}");
    }
    let recorded = |outcome| ("AUDIT_READ".to_owned(), outcome);
    assert_eq!(app.own_records().await, [403, 403, 200].map(recorded));
    app.database.drop().await;
}

#[tokio::test]
async fn a_request_for_a_patient_is_recorded_with_the_patient_and_the_reader() {
    let Some(app) = TestApp::start().await else { return };
    let patient = Uuid::new_v4();
    app.append(&event(patient)).await;
    let path = format!("/audit?patientId={patient}");
    let (_, first) = app.read(&path).await;
    assert_eq!(first.len(), 1, "the request itself is recorded after its page was read");
    let (_, second) = app.read(&path).await;
    assert_eq!(second.len(), 2);
    let own = &second[0];
    assert_eq!(
        (
            &own["action"],
            &own["patientId"],
            &own["role"],
            &own["service"],
            &own["outcome"]
        ),
        (
            &json!("AUDIT_READ"),
            &json!(patient),
            &json!("AUDITOR"),
            &json!("audit-service"),
            &json!(200)
        )
    );
    assert_eq!(
        (&own["route"], &own["clientAddress"]),
        (&json!("GET /audit"), &json!("203.0.113.9"))
    );
    app.database.drop().await;
}

#[tokio::test]
async fn without_its_record_a_page_is_withheld() {
    let Some(app) = TestApp::start().await else { return };
    app.append(&event(Uuid::new_v4())).await;
    let reject = "create function no() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
                  create trigger no before insert on records execute function no()";
    sqlx::raw_sql(reject)
        .execute(&app.database.pool)
        .await
        .expect("a trigger");
    let (status, headers, body) = app.get("/audit", Some(Role::Auditor)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(headers.contains_key("retry-after") && body.is_object(), "{body}");
    app.database.drop().await;
}

#[tokio::test]
async fn filters_select_by_patient_actor_action_and_time() {
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
        action: "UPDATE".into(),
        actor: read.actor,
        ..event(other)
    };
    for event in [&read, &list, &later] {
        app.append(event).await;
    }
    // 2026-09-21T14:13:20Z is the time of the first two.
    for (filter, expected) in [
        (format!("patientId={patient}"), vec![&list, &read]),
        (format!("patientId={other}"), vec![&later, &list]),
        (format!("actor={}", read.actor), vec![&later, &read]),
        (format!("patientId={patient}&actor={}", read.actor), vec![&read]),
        (format!("patientId={patient}&action=LIST"), vec![&list]),
        (format!("patientId={patient}&action=NEVER_SEEN"), vec![]),
        (format!("patientId={other}&from=2026-09-22"), vec![&later]),
        (format!("patientId={other}&to=2026-09-22"), vec![&list]),
        (
            format!("patientId={patient}&from=2026-09-21T14:13:20.123456Z&to=2026-09-21T14:13:20.123457Z"),
            vec![&list, &read],
        ),
        (format!("patientId={}", Uuid::new_v4()), vec![]),
    ] {
        let (headers, records) = app.read(&format!("/audit?{filter}")).await;
        let records: Vec<Value> = records
            .into_iter()
            .filter(|record| record["action"] != "AUDIT_READ")
            .collect();
        let expected: Vec<String> = expected.iter().map(|event| event.event_id.to_string()).collect();
        assert_eq!(ids(&records), expected, "{filter}");
        assert!(headers.contains_key("x-total-count"), "{filter}");
    }
    app.database.drop().await;
}

#[tokio::test]
async fn pages_go_from_the_newest_to_the_oldest_record_without_repetition() {
    let Some(app) = TestApp::start().await else { return };
    let patient = Uuid::new_v4();
    let events: Vec<Event> = (0..5).map(|_| event(patient)).collect();
    for event in &events {
        app.append(event).await;
    }
    let mut path = format!("/audit?action=READ&patientId={patient}&limit=2");
    let mut seen = Vec::new();
    for total in 5.. {
        let (headers, records) = app.read(&path).await;
        assert_eq!(headers["x-total-count"], total.to_string());
        seen.extend(ids(&records).into_iter().map(str::to_owned));
        // New records do not move the pages.
        app.append(&event(patient)).await;
        let link = headers.get("link").and_then(|link| link.to_str().ok());
        let Some((next, _)) = link.and_then(|link| link.strip_prefix('<')?.split_once('>')) else {
            break;
        };
        path = next.to_owned();
        assert!(seen.len() < 10);
    }
    let expected: Vec<String> = events.iter().rev().map(|event| event.event_id.to_string()).collect();
    assert_eq!(seen, expected);
    app.database.drop().await;
}

#[tokio::test]
async fn a_malformed_parameter_is_a_client_error() {
    let Some(app) = TestApp::start().await else { return };
    for query in [
        "patientId=x",
        "actor=",
        "actor=1",
        "action=",
        "action=read",
        "action=A%00",
        "action=%F0%9F%92%A9",
        &format!("action={}", "A".repeat(41)),
        "from=yesterday",
        "from=2026-13-01",
        "to=9999-12-31T23:59:59Z",
        "to=1969-12-31",
        "limit=0",
        "limit=101",
        "cursor=x",
        "action=READ&action=LIST",
    ] {
        let (status, _, body) = app.get(&format!("/audit?{query}"), Some(Role::Auditor)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {body}");
    }
    let unknown = format!("/audit?cursor={}", Uuid::new_v4());
    assert_eq!(app.read(&unknown).await.1.len(), 0, "a cursor of no record");
    let refused = app.own_records().await;
    assert_eq!(refused.iter().filter(|(_, outcome)| *outcome == 400).count(), 16);
    app.database.drop().await;
}
