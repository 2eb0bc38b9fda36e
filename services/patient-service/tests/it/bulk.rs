//! The export of all patients: complete, recorded, bounded by its chunks, and continued after a broken connection.

use std::collections::BTreeSet;

use axum::body::Body;
use futures::StreamExt;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use kit::testing::audit_records;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    million::fill,
    support::{TestApp, patient},
};

/// Returns the ids of each record, in the order of their writing.
async fn shown(app: &TestApp) -> Vec<Vec<Uuid>> {
    let events = audit_records(&app.database.pool).await.into_iter();
    events
        .filter(|event| event.action == "EXPORT" && event.outcome == 200)
        .map(|event| event.shown)
        .collect()
}

async fn all_ids(app: &TestApp) -> Vec<Uuid> {
    let select = sqlx::query_scalar("select id from patient order by id");
    select.fetch_all(&app.database.pool).await.expect("ids")
}

async fn text(body: Body) -> String {
    let bytes = body.collect().await.expect("a complete body").to_bytes();
    String::from_utf8(bytes.into()).expect("UTF-8")
}

fn ids(lines: &str) -> Vec<Uuid> {
    let rows = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    rows.map(|row| row["id"].as_str().and_then(|id| id.parse().ok()).expect("an id"))
        .collect()
}

#[tokio::test]
async fn ten_thousand_patients_arrive_once_in_the_order_of_ids_and_each_is_in_a_record() {
    let Some(app) = TestApp::start().await else { return };
    fill(&app.database.pool, 10_000).await;
    let response = app.stream("/patients/bulk").await;
    assert_eq!(
        (response.status(), &response.headers()["content-type"]),
        (StatusCode::OK, &"application/x-ndjson".parse().expect("a header"))
    );
    let found = ids(&text(response.into_body()).await);
    assert_eq!(found, all_ids(&app).await);
    let records = shown(&app).await;
    assert_eq!((records.len(), records.concat()), (20, found));
    let distinct = "select count(distinct substring(payload from 1 for 40)) from outbox where topic = 'audit'";
    assert_eq!(app.count(distinct).await, 20, "each record has its own id");
    app.database.drop().await;
}

#[tokio::test]
async fn nothing_is_read_ahead_of_the_client_and_a_broken_export_continues_behind_its_last_patient() {
    let Some(app) = TestApp::start().await else { return };
    fill(&app.database.pool, 1800).await;
    let mut body = app.stream("/patients/bulk").await.into_body().into_data_stream();
    let first = body.next().await.expect("a chunk").expect("bytes");
    let mut found = ids(std::str::from_utf8(&first).expect("UTF-8"));
    assert_eq!(
        (found.len(), shown(&app).await.len()),
        (500, 1),
        "a chunk is all that is in memory"
    );
    // The client goes away.
    drop(body);
    let after = found.last().expect("an id");
    let rest = app.stream(&format!("/patients/bulk?after={after}")).await;
    found.extend(ids(&text(rest.into_body()).await));
    assert_eq!(found, all_ids(&app).await);
    let recorded: BTreeSet<Uuid> = shown(&app).await.into_iter().flatten().collect();
    assert_eq!(recorded.len(), 1800);
    app.database.drop().await;
}

#[tokio::test]
async fn a_chunk_that_cannot_be_recorded_cuts_the_response() {
    let Some(app) = TestApp::start().await else { return };
    fill(&app.database.pool, 1200).await;
    let mut body = app.stream("/patients/bulk").await.into_body().into_data_stream();
    body.next().await.expect("a chunk").expect("bytes");
    let reject = "create function no() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
                  create trigger no before insert on outbox for each row execute function no()";
    sqlx::raw_sql(reject)
        .execute(&app.database.pool)
        .await
        .expect("a trigger");
    assert!(body.next().await.expect("an item").is_err());
    assert_eq!(shown(&app).await.len(), 1);
    app.database.drop().await;
}

#[tokio::test]
async fn csv_has_a_header_and_no_formula() {
    let Some(app) = TestApp::start().await else { return };
    let mut body = patient("=HYPERLINK(1)");
    body["email"] = json!("+formula@example.org");
    body["address"] = json!("1 \"Main\" St, London");
    let created = app.call(Method::POST, "/patients", Some(body)).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    let response = app.stream("/patients/bulk?format=csv").await;
    assert!(
        response.headers()["content-type"]
            .to_str()
            .expect("text")
            .starts_with("text/csv")
    );
    let id = created.body["id"].as_str().expect("an id");
    let registered = created.body["registeredDate"].as_str().expect("a date");
    let row = format!(
        "{id},\"'=HYPERLINK(1)\",\"'+formula@example.org\",\"1 \"\"Main\"\" St, London\",1990-05-17,{registered},1\r\n"
    );
    let header = "id,name,email,address,dateOfBirth,registeredDate,version\r\n";
    assert_eq!(text(response.into_body()).await, format!("{header}{row}"));
    app.database.drop().await;
}

#[tokio::test]
async fn only_an_administrator_exports_and_a_malformed_parameter_is_a_client_error() {
    let Some(app) = TestApp::start().await else { return };
    assert_eq!(
        app.call_as_user(Method::GET, "/patients/bulk").await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        app.call_as_auditor(Method::GET, "/patients/bulk").await.status,
        StatusCode::FORBIDDEN
    );
    for query in ["format=xml", "format=", "after=x", "limit=1"] {
        let response = app.get(&format!("/patients/bulk?{query}")).await;
        assert_eq!(response.status, StatusCode::BAD_REQUEST, "{query}");
    }
    let empty = app.stream("/patients/bulk").await;
    assert_eq!(
        (empty.status(), text(empty.into_body()).await),
        (StatusCode::OK, String::new())
    );
    app.database.drop().await;
}
