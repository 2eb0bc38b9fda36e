//! Patients: creation, changes, lists and their events.

use contracts::patient::events::PatientEvent;
use http::{Method, StatusCode};
use kit::database::Pool;
use kit::testing::wait_until;
use prost::Message;
use serde_json::{Value, json};

use crate::support::{TIMEOUT, TestApp, path_of, patient};

#[tokio::test]
async fn creation_change_and_deletion_store_one_event_each() {
    let Some(app) = TestApp::start().await else { return };
    let prefixed = [("x-forwarded-prefix", "/api")];
    let response = app
        .call_with(Method::POST, "/patients", Some(patient("Ada Lovelace")), &prefixed)
        .await;
    let id = response.body["id"].as_str().expect("an id").to_owned();
    let path = format!("/patients/{id}");
    assert_eq!(response.status, StatusCode::CREATED);
    assert_eq!(response.header("location"), format!("/api{path}"));
    assert_eq!(response.body["billing"], json!({"status": "PENDING"}));

    let read = app.get(&path).await;
    assert_eq!(
        (read.header("etag"), &read.body["email"]),
        ("\"1\"", &json!("ada.lovelace@example.org"))
    );
    let current = [("if-match", "\"1\"")];
    let changed = app
        .call_with(Method::PUT, &path, Some(patient("Ada King")), &current)
        .await;
    assert_eq!((changed.status, &changed.body["version"]), (StatusCode::OK, &json!(2)));
    assert_eq!(changed.body["registeredDate"], response.body["registeredDate"]);
    let stale = app
        .call_with(Method::PUT, &path, Some(patient("Ada Byron")), &current)
        .await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);

    assert_eq!(
        app.call_as_user(Method::DELETE, &path).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        app.call(Method::DELETE, &path, None).await.status,
        StatusCode::NO_CONTENT
    );
    let deleted = app.get(&path).await;
    assert_eq!(
        (deleted.status, &deleted.body["detail"]),
        (StatusCode::NOT_FOUND, &json!("Patient not found"))
    );

    let events: Vec<(String, Vec<u8>)> =
        sqlx::query_as("select key, payload from outbox where topic = 'patient' order by id")
            .fetch_all(&app.database.pool)
            .await
            .expect("the outbox");
    assert!(events.iter().all(|(key, _)| *key == id));
    let stored: Vec<(String, i64, String, i32)> = events
        .iter()
        .map(|(_, payload)| PatientEvent::decode(payload.as_slice()).expect("an event"))
        .map(|event| {
            (
                event.event_type,
                event.version,
                event.name + &event.email,
                event.birth_year,
            )
        })
        .collect();
    let expected = [
        ("PATIENT_CREATED", 1, "Ada Lovelaceada.lovelace@example.org", 1990),
        ("PATIENT_UPDATED", 2, "Ada Kingada.king@example.org", 1990),
        // A deletion contains ids only.
        ("PATIENT_DELETED", 3, "", 0),
    ];
    let expected = expected.map(|(kind, version, person, year)| (kind.to_owned(), version, person.to_owned(), year));
    assert_eq!(stored, expected);
    app.database.drop().await;
}

#[tokio::test]
async fn an_email_address_is_unique_in_upper_and_lower_case() {
    let Some(app) = TestApp::start().await else { return };
    app.create("Ada").await;
    let mut twin = patient("Ada");
    twin["email"] = json!("ADA@example.org");
    let response = app.call(Method::POST, "/patients", Some(twin)).await;
    assert_eq!(
        (response.status, &response.body["detail"]),
        (StatusCode::CONFLICT, &json!("Email address already exists"))
    );
    assert_eq!(response.header("content-type"), "application/problem+json");
    let events: i64 = sqlx::query_scalar("select count(*) from outbox where topic = 'patient'")
        .fetch_one(&app.database.pool)
        .await
        .expect("a count");
    assert_eq!(events, 1);
    app.database.drop().await;
}

#[tokio::test]
async fn every_patient_is_on_one_page_in_every_order() {
    let Some(app) = TestApp::start().await else { return };
    for name in ["Bea", "Ada", "Cy", "Di", "Eve_1", "Eve%2", "Flo"] {
        app.create(name).await;
    }
    for (sort, first) in [
        ("name", "Ada"),
        ("-name", "Flo"),
        ("dateOfBirth", ""),
        ("registeredDate", ""),
    ] {
        let (mut names, mut path) = (Vec::new(), format!("/patients?sort={sort}&limit=3"));
        loop {
            let page = app.get(&path).await;
            assert_eq!((page.status, page.header("x-total-count")), (StatusCode::OK, "7"));
            names.extend(
                page.body
                    .as_array()
                    .expect("an array")
                    .iter()
                    .map(|patient| patient["name"].clone()),
            );
            match page.next_page() {
                Some(next) => path = next.to_owned(),
                None => break,
            }
        }
        assert!(first.is_empty() || names[0] == first, "{sort}: {names:?}");
        names.sort_by_key(Value::to_string);
        names.dedup();
        assert_eq!(names.len(), 7, "{sort}");
    }
    let found = app.get("/patients?search=eve%25").await;
    assert_eq!(found.body.as_array().map(Vec::len), Some(1), "a wildcard is escaped");
    app.database.drop().await;
}

#[tokio::test]
async fn an_idempotency_key_creates_one_patient_and_is_bound_to_its_body() {
    let Some(app) = TestApp::start().await else { return };
    let key = [("idempotency-key", "key-1")];
    let first = app
        .call_with(Method::POST, "/patients", Some(patient("Ada")), &key)
        .await;
    let again = app
        .call_with(Method::POST, "/patients", Some(patient("Ada")), &key)
        .await;
    assert_eq!((again.status, &again.body), (StatusCode::CREATED, &first.body));
    assert_eq!(again.header("location"), first.header("location"));
    let other = app
        .call_with(Method::POST, "/patients", Some(patient("Bea")), &key)
        .await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    let both = [("idempotency-key", "key-2")];
    let twins = tokio::join!(
        app.call_with(Method::POST, "/patients", Some(patient("Cy")), &both),
        app.call_with(Method::POST, "/patients", Some(patient("Cy")), &both),
    );
    let statuses = [twins.0.status, twins.1.status];
    assert!(statuses.contains(&StatusCode::CREATED) && !statuses.contains(&StatusCode::INTERNAL_SERVER_ERROR));
    let patients = app.get("/patients").await;
    assert_eq!(patients.header("x-total-count"), "2");
    app.database.drop().await;
}

#[tokio::test]
async fn a_deadlock_is_503_with_retry_after() {
    let Some(app) = TestApp::start().await else { return };
    let (ada, bea) = (app.create("Ada").await, app.create("Bea").await);
    let path = path_of(&ada);
    // A concurrent transaction changes Bea's address, and then sets it to Ada's, while Ada's is changed to Bea's.
    let mut other = app.database.pool.begin().await.expect("a transaction");
    sqlx::raw_sql("set local deadlock_timeout = '20s'; update patient set email = 'x@example.org' where name = 'Bea'")
        .execute(&mut *other)
        .await
        .expect("an update");
    let mut swapped = patient("Ada");
    swapped["email"] = bea["email"].clone();
    let change = app.call(Method::PUT, &path, Some(swapped));
    let rest = async {
        wait_until("a statement that waits for a lock", TIMEOUT, || {
            is_blocked(&app.database.pool)
        })
        .await;
        sqlx::query("update patient set email = 'ada@example.org' where name = 'Bea'")
            .execute(&mut *other)
            .await
    };
    let (response, rest) = tokio::join!(change, rest);
    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE, "{}", response.body);
    assert_eq!(response.header("retry-after"), "5");
    // Ada still has her address, so the other transaction violates the unique index.
    assert!(rest.is_err());
    drop(other);
    app.database.drop().await;
}

#[tokio::test]
async fn several_if_match_header_lines_are_one_list() {
    let Some(app) = TestApp::start().await else { return };
    let ada = app.create("Ada").await;
    let path = path_of(&ada);
    let lines = [("if-match", "\"7\""), ("if-match", "\"1\"")];
    let response = app.call_with(Method::PUT, &path, Some(patient("Ada")), &lines).await;
    assert_eq!(response.status, StatusCode::OK, "{}", response.body);
    app.database.drop().await;
}

/// Returns true if a statement in the test's database waits for a lock.
async fn is_blocked(pool: &Pool) -> bool {
    let blocked =
        "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')";
    sqlx::query_scalar(blocked).fetch_one(pool).await.expect("a result")
}
