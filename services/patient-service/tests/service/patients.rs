//! Patients and families as a client of the service sees them.

use crate::support::{House, house, patient};
use contracts::patient::events::PatientEvent;
use http::{Method, StatusCode};
use prost::Message;
use serde_json::{Value, json};

#[tokio::test]
async fn a_patient_is_created_changed_and_deleted_and_each_step_is_told() {
    let house = house!();
    let prefixed = [("x-forwarded-prefix", "/api")];
    let answer = house
        .call_with(Method::POST, "/patients", Some(patient("Ada Lovelace")), &prefixed)
        .await;
    let id = answer.body["id"].as_str().expect("an id").to_owned();
    let path = format!("/patients/{id}");
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.header("location"), format!("/api{path}"));
    assert_eq!(answer.body["billing"], json!({"status": "PENDING"}));

    let read = house.call(Method::GET, &path, None).await;
    assert_eq!(
        (read.header("etag"), &read.body["email"]),
        ("\"1\"", &json!("ada.lovelace@example.org"))
    );
    let current = [("if-match", "\"1\"")];
    let changed = house
        .call_with(Method::PUT, &path, Some(patient("Ada King")), &current)
        .await;
    assert_eq!((changed.status, &changed.body["version"]), (StatusCode::OK, &json!(2)));
    assert_eq!(changed.body["registeredDate"], answer.body["registeredDate"]);
    let stale = house
        .call_with(Method::PUT, &path, Some(patient("Ada Byron")), &current)
        .await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);

    assert_eq!(house.as_user(Method::DELETE, &path).await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        house.call(Method::DELETE, &path, None).await.status,
        StatusCode::NO_CONTENT
    );
    let gone = house.call(Method::GET, &path, None).await;
    assert_eq!(
        (gone.status, &gone.body["detail"]),
        (StatusCode::NOT_FOUND, &json!("Patient not found"))
    );

    let events: Vec<(String, Vec<u8>)> = sqlx::query_as("select key, payload from outbox order by id")
        .fetch_all(&house.database.pool)
        .await
        .expect("the outbox");
    assert!(events.iter().all(|(key, _)| *key == id));
    let told: Vec<(String, i64, i32)> = events
        .iter()
        .map(|(_, payload)| PatientEvent::decode(payload.as_slice()).expect("an event"))
        .map(|event| (event.event_type, event.version, event.birth_year))
        .collect();
    let expected = [("PATIENT_CREATED", 1), ("PATIENT_UPDATED", 2), ("PATIENT_DELETED", 3)];
    assert_eq!(told, expected.map(|(kind, version)| (kind.to_owned(), version, 1990)));
    house.database.drop().await;
}

#[tokio::test]
async fn an_address_belongs_to_one_patient_whatever_its_capitals() {
    let house = house!();
    house.create("Ada").await;
    let mut twin = patient("Ada");
    twin["email"] = json!("ADA@example.org");
    let answer = house.call(Method::POST, "/patients", Some(twin)).await;
    assert_eq!(
        (answer.status, &answer.body["detail"]),
        (StatusCode::CONFLICT, &json!("Email address already exists"))
    );
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let events: i64 = sqlx::query_scalar("select count(*) from outbox")
        .fetch_one(&house.database.pool)
        .await
        .expect("a count");
    assert_eq!(events, 1);
    house.database.drop().await;
}

#[tokio::test]
async fn every_patient_is_on_one_page_in_every_order() {
    let house = house!();
    for name in ["Bea", "Ada", "Cy", "Di", "Eve_1", "Eve%2", "Flo"] {
        house.create(name).await;
    }
    for (sort, first) in [
        ("name", "Ada"),
        ("-name", "Flo"),
        ("dateOfBirth", ""),
        ("registeredDate", ""),
    ] {
        let (mut seen, mut path) = (Vec::new(), format!("/patients?sort={sort}&limit=3"));
        loop {
            let page = house.call(Method::GET, &path, None).await;
            assert_eq!((page.status, page.header("x-total-count")), (StatusCode::OK, "7"));
            seen.extend(
                page.body
                    .as_array()
                    .expect("an array")
                    .iter()
                    .map(|patient| patient["name"].clone()),
            );
            match page
                .header("link")
                .strip_prefix('<')
                .and_then(|link| link.split_once(">; rel=\"next\""))
            {
                Some((next, _)) => path = next.to_owned(),
                None => break,
            }
        }
        assert!(first.is_empty() || seen[0] == first, "{sort}: {seen:?}");
        seen.sort_by_key(Value::to_string);
        seen.dedup();
        assert_eq!(seen.len(), 7, "{sort}");
    }
    let found = house.call(Method::GET, "/patients?search=eve%25", None).await;
    assert_eq!(
        found.body.as_array().map(Vec::len),
        Some(1),
        "a wildcard is found literally"
    );
    house.database.drop().await;
}

#[tokio::test]
async fn an_idempotency_key_creates_once_and_for_one_body() {
    let house = house!();
    let key = [("idempotency-key", "key-1")];
    let first = house
        .call_with(Method::POST, "/patients", Some(patient("Ada")), &key)
        .await;
    let again = house
        .call_with(Method::POST, "/patients", Some(patient("Ada")), &key)
        .await;
    assert_eq!((again.status, &again.body), (StatusCode::CREATED, &first.body));
    let other = house
        .call_with(Method::POST, "/patients", Some(patient("Bea")), &key)
        .await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    let both = [("idempotency-key", "key-2")];
    let twins = tokio::join!(
        house.call_with(Method::POST, "/patients", Some(patient("Cy")), &both),
        house.call_with(Method::POST, "/patients", Some(patient("Cy")), &both),
    );
    let statuses = [twins.0.status, twins.1.status];
    assert!(statuses.contains(&StatusCode::CREATED) && !statuses.contains(&StatusCode::INTERNAL_SERVER_ERROR));
    let patients = house.call(Method::GET, "/patients", None).await;
    assert_eq!(patients.header("x-total-count"), "2");
    house.database.drop().await;
}

#[tokio::test]
async fn bad_input_is_a_client_error_and_never_reaches_the_database() {
    let house = house!();
    let with = |field: &str, value: Value| {
        let mut body = patient("Ada");
        body[field] = value;
        body.to_string().into_bytes()
    };
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(2 << 20)).into_bytes();
    for (status, body) in [
        (400, b"{".to_vec()),
        (400, b"\xff\xfe{}".to_vec()),
        (400, b"[]".to_vec()),
        (400, b"null".to_vec()),
        (400, br#"{"name":"\ud800"}"#.to_vec()),
        (400, with("name", json!("a\0b"))),
        (400, with("name", json!(["Ada"]))),
        (400, with("dateOfBirth", json!("2999-01-01"))),
        (413, large),
    ] {
        let answer = house.raw(Method::POST, "/patients", body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (status, "application/problem+json")
        );
    }
    for (status, path) in [
        (400, "/patients/not-a-uuid"),
        (400, "/patients?limit=-1"),
        (400, "/patients?limit=101"),
        (400, "/patients?cursor=%00%ff"),
        (400, "/patients?cursor=%ff%fe"),
        (400, "/patients?search=%00"),
        (400, "/patients?sort=%27%3Bdrop"),
        (400, "/families?cursor=e30"),
        (404, "/patients/00000000-0000-4000-8000-000000000000"),
        (404, "/nothing-here"),
    ] {
        let answer = house.call(Method::GET, path, None).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (status, "application/problem+json"),
            "{path}"
        );
    }
    assert_eq!(
        house.call(Method::PATCH, "/patients", None).await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    assert_eq!(house.without_token("/patients").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(house.without_token("/health/ready").await.status, StatusCode::OK);
    let document = house.without_token("/v3/api-docs").await;
    assert!(
        document.body["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.1"))
    );
    house.database.drop().await;
}

#[tokio::test]
async fn a_family_has_the_members_that_it_was_given() {
    let house = house!();
    let ada = house.create("Ada").await;
    let family = house
        .call(Method::POST, "/families", Some(json!({"name": "Byron"})))
        .await;
    assert_eq!(
        (family.status, &family.body["members"]),
        (StatusCode::CREATED, &json!([]))
    );
    let path = family.header("location").to_owned();
    let member = format!("{path}/members/{}", ada["id"].as_str().expect("an id"));
    for _ in 0..2 {
        assert_eq!(
            house.call(Method::PUT, &member, None).await.status,
            StatusCode::NO_CONTENT
        );
    }
    let listed = house.call(Method::GET, "/families", None).await;
    assert_eq!(listed.body[0]["members"], json!([{"id": ada["id"], "name": "Ada"}]));
    assert_eq!(
        house.call(Method::DELETE, &member, None).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        house.call(Method::DELETE, &member, None).await.status,
        StatusCode::NOT_FOUND
    );
    let stranger = format!("{path}/members/00000000-0000-4000-8000-000000000000");
    let answer = house.call(Method::PUT, &stranger, None).await;
    assert_eq!(
        (answer.status, &answer.body["detail"]),
        (StatusCode::NOT_FOUND, &json!("Patient not found"))
    );
    house.database.drop().await;
}
