//! Invalid requests: each is a client error, and none reaches the database.

use http::{Method, StatusCode};
use kit::pagination::{Cursor, CursorKey, SortCursor};
use patient_service::calendar::{Calendar, UnknownTimeZone};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{TestApp, TestResponse, patient};

const PROBLEM: &str = "application/problem+json";

fn assert_problem(name: &str, response: &TestResponse, status: u16) {
    assert_eq!(
        (response.status.as_u16(), response.header("content-type")),
        (status, PROBLEM),
        "{name}: {}",
        response.body
    );
}

#[tokio::test]
async fn an_invalid_body_is_a_client_error() {
    let Some(app) = TestApp::start().await else { return };
    let with = |field: &str, value: Value| {
        let mut body = patient("Ada");
        body[field] = value;
        body.to_string().into_bytes()
    };
    let too_large = format!("{{\"name\":\"{}\"}}", "x".repeat(2 << 20)).into_bytes();
    for (name, body, status) in [
        ("incomplete JSON", b"{".to_vec(), 400),
        ("not UTF-8", b"\xff\xfe{}".to_vec(), 400),
        ("an array", b"[]".to_vec(), 400),
        ("null", b"null".to_vec(), 400),
        ("half a surrogate pair", br#"{"name":"\ud800"}"#.to_vec(), 400),
        ("a NUL character", with("name", json!("a\0b")), 400),
        ("a field of another type", with("name", json!(["Ada"])), 400),
        (
            "a date of birth in the future",
            with("dateOfBirth", json!("2999-01-01")),
            400,
        ),
        ("2 MiB", too_large, 413),
    ] {
        let response = app.send_bytes(Method::POST, "/patients", body).await;
        assert_problem(name, &response, status);
    }
    app.database.drop().await;
}

#[tokio::test]
async fn an_invalid_path_or_query_is_a_client_error() {
    let Some(app) = TestApp::start().await else { return };
    for (name, path, status) in [
        ("a malformed id", "/patients/not-a-uuid", 400),
        ("a negative limit", "/patients?limit=-1", 400),
        ("a limit above the maximum", "/patients?limit=101", 400),
        ("a cursor with NUL", "/patients?cursor=%00%ff", 400),
        ("a cursor that is not UTF-8", "/patients?cursor=%ff%fe", 400),
        ("a cursor without its fields", "/families?cursor=e30", 400),
        ("a search with NUL", "/patients?search=%00", 400),
        ("an unknown sort", "/patients?sort=%27%3Bdrop", 400),
        (
            "an unknown patient",
            "/patients/00000000-0000-4000-8000-000000000000",
            404,
        ),
        ("an unknown route", "/nothing-here", 404),
    ] {
        assert_problem(name, &app.get(path).await, status);
    }
    let response = app.call(Method::PATCH, "/patients", None).await;
    assert_eq!(response.status, StatusCode::METHOD_NOT_ALLOWED);
    app.database.drop().await;
}

#[tokio::test]
async fn health_and_the_document_need_no_token_and_patients_do() {
    let Some(app) = TestApp::start().await else { return };
    let status = async |path| app.get_without_token(path).await.status;
    assert_eq!(status("/patients").await, StatusCode::UNAUTHORIZED);
    assert_eq!(status("/health/ready").await, StatusCode::OK);
    let document = app.get_without_token("/v3/api-docs").await;
    let version = document.body["openapi"].as_str().unwrap_or_default();
    assert!(version.starts_with("3.1"), "{version}");
    app.database.drop().await;
}

#[tokio::test]
async fn a_forged_cursor_is_a_client_error() {
    let Some(app) = TestApp::start().await else { return };
    // Sealed with another key, and with one that does not exist.
    let cursor = SortCursor::new("name", "Ada".to_owned(), Uuid::nil());
    for id in [0, -1, i32::MAX] {
        let key = CursorKey::new(id, &[7; CursorKey::BYTES]).expect("a key");
        let forged = key.seal("patients", &cursor).expect("a cursor").encode();
        let response = app.get(&format!("/patients?cursor={forged}")).await;
        assert_problem(&format!("key {id}"), &response, 400);
    }
    for name in ["Ada", "Bea"] {
        app.create(name).await;
    }
    let page = app.get("/patients?limit=1&sort=name").await;
    let next = page.next_page().expect("a second page").to_owned();
    let response = app.get(&next.replace("sort=name", "sort=-name")).await;
    assert_problem("a cursor of another sort", &response, 400);
    let response = app.get(&next.replace("/patients", "/families")).await;
    assert_problem("a cursor of another list", &response, 400);
    app.database.drop().await;
}

#[tokio::test]
async fn the_current_date_is_that_of_the_time_zone() {
    // 14 hours ahead of UTC and 12 behind: at any time one of them has another date than UTC.
    for zone in ["Pacific/Kiritimati", "Etc/GMT+12"] {
        let Some(app) = TestApp::start_in(zone).await else {
            return;
        };
        let date = async |days: i32| -> String {
            sqlx::query_scalar("select ((now() at time zone $1)::date + $2)::text")
                .bind(zone)
                .bind(days)
                .fetch_one(&app.database.pool)
                .await
                .expect("a date")
        };
        let (today, tomorrow) = (date(0).await, date(1).await);
        let mut child = patient("Ada");
        child["dateOfBirth"] = json!(today);
        let response = app.call(Method::POST, "/patients", Some(child.clone())).await;
        assert_eq!(
            (response.status, &response.body["registeredDate"]),
            (StatusCode::CREATED, &json!(today)),
            "{zone}"
        );
        child["dateOfBirth"] = json!(tomorrow);
        let response = app.call(Method::POST, "/patients", Some(child)).await;
        assert_eq!(
            response.body["errors"]["dateOfBirth"], "Date of birth cannot be in the future",
            "{zone}"
        );
        app.database.drop().await;
    }
}

#[tokio::test]
async fn an_unknown_time_zone_is_rejected() {
    let Some(app) = TestApp::start().await else { return };
    for zone in ["Mars/Olympus", "", "'; drop table patient"] {
        let error = Calendar::new(zone, &app.database.pool).await.expect_err(zone);
        assert_eq!(error.downcast_ref(), Some(&UnknownTimeZone(zone.to_owned())));
    }
    app.database.drop().await;
}
