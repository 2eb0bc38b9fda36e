//! The import of many patients: each row once, rejected rows by line and field, and continued after a broken connection.

use std::{collections::BTreeSet, convert::Infallible, io};

use axum::body::{Body, Bytes};
use futures::{SinkExt, stream};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use kit::testing::audit_records;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{TestApp, TestResponse, patient};

const NDJSON: &str = "application/x-ndjson";
const CSV: &str = "text/csv";

fn rows(numbers: std::ops::Range<u32>) -> String {
    numbers
        .map(|number| format!("{}\n", patient(&format!("Row {number}"))))
        .collect()
}

async fn import(app: &TestApp, kind: &str, key: &str, body: impl Into<Body>) -> TestResponse {
    let headers = [("content-type", kind), ("idempotency-key", key)];
    app.post("/patients/import", &headers, body.into()).await
}

/// Sends the same part again while a slow machine reaches the time limit of a request.
async fn insist(app: &TestApp, key: &str, body: &str) -> TestResponse {
    loop {
        let response = import(app, NDJSON, key, body.to_owned()).await;
        if !matches!(response.status.as_u16(), 409 | 503) {
            return response;
        }
    }
}

#[tokio::test]
async fn ten_thousand_rows_arrive_once_with_events_intents_and_audit_records() {
    let Some(app) = TestApp::start().await else { return };
    for part in 0..10 {
        let body = rows(part * 1000..(part + 1) * 1000);
        let response = insist(&app, &format!("part {part}"), &body).await;
        let report = &response.body;
        assert_eq!(
            (response.status, &report["rows"], &report["rejected"]),
            (StatusCode::OK, &json!(1000), &json!([]))
        );
        assert_eq!(
            report["created"]
                .as_i64()
                .zip(report["repeated"].as_i64())
                .map(|(new, old)| new + old),
            Some(1000)
        );
    }
    for count in [
        "select count(*) from patient",
        "select sum(patients)::bigint from patient_count",
        "select count(distinct key) from outbox where topic = 'patient'",
        "select count(*) from billing_intent where status = 'PENDING' and desired_state = 'OPEN'",
        "select count(*) from patient_change where user_id is not null",
    ] {
        assert_eq!(app.count(count).await, 10_000, "{count}");
    }
    let mut records = audit_records(&app.database.pool).await;
    records.retain(|record| !record.shown.is_empty());
    let shown: BTreeSet<Uuid> = records.iter().flat_map(|record| record.shown.clone()).collect();
    let ids: BTreeSet<Uuid> = records.iter().map(|record| record.event_id).collect();
    assert_eq!((records.len(), ids.len(), shown.len()), (100, 100, 10_000));
    assert!(
        records
            .iter()
            .all(|record| record.action == "CREATE" && record.outcome == 200)
    );
    app.database.drop().await;
}

#[tokio::test]
async fn a_connection_that_breaks_keeps_whole_batches_and_the_same_request_continues() {
    let Some(app) = TestApp::start().await else { return };
    let whole = rows(0..450);
    let cut = whole.len() * 3 / 5;
    let pieces = [
        Ok(Bytes::copy_from_slice(&whole.as_bytes()[..cut])),
        Err(io::Error::other("cut")),
    ];
    let broken = import(&app, NDJSON, "a", Body::from_stream(stream::iter(pieces))).await;
    assert_eq!(broken.status, StatusCode::BAD_REQUEST);
    assert_eq!(app.count("select count(*) from patient").await, 200);
    let again = import(&app, NDJSON, "a", whole.clone()).await;
    assert_eq!(
        again.body,
        json!({"rows": 450, "created": 250, "repeated": 200, "rejected": []})
    );
    let again = import(&app, NDJSON, "a", whole.clone()).await;
    assert_eq!(
        again.body,
        json!({"rows": 450, "created": 0, "repeated": 450, "rejected": []})
    );
    // Without the key the rows are new, and their addresses are not.
    let other = import(&app, NDJSON, "b", whole.lines().next().expect("a row").to_owned()).await;
    let conflict = json!([{"line": 1, "code": "CONFLICT", "field": "email"}]);
    assert_eq!(other.body["rejected"], conflict);
    app.database.drop().await;
}

#[tokio::test]
async fn rows_are_created_while_the_body_still_arrives() {
    let Some(app) = TestApp::start().await else { return };
    let (sender, receiver) = futures::channel::mpsc::channel::<Result<Bytes, Infallible>>(0);
    let mut sender = Box::pin(sender);
    let send = async {
        for start in [0, 100, 200] {
            sender.send(Ok(rows(start..start + 100).into())).await.expect("sent");
        }
        // The third piece is accepted only after the first one was handled completely.
        let created = app.count("select count(*) from patient").await;
        assert!((100..=200).contains(&created), "{created}");
        sender.close_channel();
    };
    let (response, ()) = tokio::join!(import(&app, NDJSON, "a", Body::from_stream(receiver)), send);
    assert_eq!(response.body["created"], 300, "{}", response.body);
    app.database.drop().await;
}

#[tokio::test]
async fn a_rejected_row_is_named_by_line_code_and_field_and_stops_no_other() {
    let Some(app) = TestApp::start().await else { return };
    app.create("Taken").await;
    let mut invalid = patient("Secret Name");
    invalid["email"] = json!("secret");
    invalid["dateOfBirth"] = json!("2999-01-01");
    let body = format!(
        "{}\n{invalid}\nnonsense\n{}\n\n{}\n",
        patient("One"),
        patient("Taken"),
        patient("Two")
    );
    let response = import(&app, NDJSON, "a", body).await;
    let rejected = json!([
        {"line": 2, "code": "INVALID", "field": "dateOfBirth"},
        {"line": 2, "code": "INVALID", "field": "email"},
        {"line": 3, "code": "MALFORMED"},
        {"line": 4, "code": "CONFLICT", "field": "email"},
    ]);
    assert_eq!(
        response.body,
        json!({"rows": 5, "created": 2, "repeated": 0, "rejected": rejected})
    );
    // The line was created with other values; and a patient who was deleted does not come back.
    let changed = import(&app, NDJSON, "a", patient("Other").to_string()).await;
    assert_eq!(changed.body["rejected"], json!([{"line": 1, "code": "CHANGED"}]));
    let found = app.get("/patients?search=one").await.body;
    let id = found[0]["id"].as_str().expect("an id");
    app.call(Method::DELETE, &format!("/patients/{id}"), None).await;
    let deleted = import(&app, NDJSON, "a", patient("One").to_string()).await;
    assert!(
        deleted.body["created"] == 0 && deleted.body["rejected"][0]["line"] == 1,
        "{}",
        deleted.body
    );
    app.database.drop().await;
}

#[tokio::test]
async fn csv_of_an_export_is_imported_without_loss() {
    let Some(app) = TestApp::start().await else { return };
    let csv = "\u{feff}name,ward,email,dateOfBirth,address,registeredDate\r\n\
        \"'=Ada, \"\"A\"\"\",7,ada@example.org,1990-05-17,\"1 Main St, London\",2024-01-10\r\n\
        Bea,,bea@example.org,1990-05-18,2 Main St,\r\nshort\r\n";
    let response = import(&app, CSV, "a", csv).await;
    assert_eq!(
        response.body,
        json!({"rows": 3, "created": 2, "repeated": 0, "rejected": [{"line": 4, "code": "MALFORMED"}]})
    );
    let select = "select name || '|' || email || '|' || address || '|' || registered_date from patient order by email";
    let read = async || -> Vec<String> {
        let rows = sqlx::query_scalar(select).fetch_all(&app.database.pool).await;
        rows.expect("rows")
    };
    let before = read().await;
    assert_eq!(before[0], "=Ada, \"A\"|ada@example.org|1 Main St, London|2024-01-10");
    let exported = app.stream("/patients/bulk?format=csv").await.into_body();
    let exported = exported.collect().await.expect("a body").to_bytes();
    sqlx::query("delete from patient")
        .execute(&app.database.pool)
        .await
        .expect("deleted");
    let again = import(&app, CSV, "b", exported).await;
    assert_eq!(
        (&again.body["created"], &again.body["rejected"]),
        (&json!(2), &json!([]))
    );
    assert_eq!(read().await, before);
    app.database.drop().await;
}

#[tokio::test]
async fn a_request_that_is_no_import_is_refused_and_rows_are_bounded() {
    let Some(app) = TestApp::start().await else { return };
    let row = patient("Ada").to_string();
    let (json_type, ndjson) = (("content-type", "application/json"), ("content-type", NDJSON));
    let gzip = ("content-encoding", "gzip");
    let key = ("idempotency-key", "a");
    let long = "x".repeat(201);
    for (headers, body, status) in [
        (vec![json_type, key], row.clone(), 415),
        (vec![ndjson, gzip, key], row.clone(), 415),
        (vec![ndjson], row.clone(), 400),
        (vec![ndjson, ("idempotency-key", long.as_str())], row.clone(), 400),
        (vec![("content-type", CSV), key], "a,b\n1,2\n".to_owned(), 400),
        (vec![ndjson, key], "x".repeat(20_000), 400),
    ] {
        let response = app.post("/patients/import", &headers, body.into()).await;
        assert_eq!(response.status.as_u16(), status, "{headers:?}: {}", response.body);
    }
    assert_eq!(app.count("select count(*) from patient").await, 0);
    let response = insist(&app, "a", &rows(0..1001)).await;
    assert_eq!(response.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(app.count("select count(*) from patient").await, 1000);
    for response in [
        app.call_as_user(Method::POST, "/patients/import").await,
        app.call_as_auditor(Method::POST, "/patients/import").await,
    ] {
        assert_eq!(response.status, StatusCode::FORBIDDEN);
    }
    let nothing = import(&app, NDJSON, "b", "").await;
    assert_eq!(
        (nothing.status, &nothing.body["rows"]),
        (StatusCode::OK, &Value::from(0))
    );
    let shown = audit_records(&app.database.pool).await;
    assert!(shown.iter().any(|record| record.outcome == 413) && shown.iter().any(|record| record.outcome == 403));
    app.database.drop().await;
}
