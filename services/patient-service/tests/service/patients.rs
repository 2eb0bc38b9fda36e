//! Patients and families as a client of the service sees them.

use crate::support::{House, house, patient};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use contracts::patient::events::PatientEvent;
use http::{Method, StatusCode};
use patient_service::calendar::Calendar;
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

#[tokio::test]
async fn two_changes_that_wait_for_each_other_are_no_fault_of_ours() {
    let house = house!();
    let (ada, bea) = (house.create("Ada").await, house.create("Bea").await);
    let path = format!("/patients/{}", ada["id"].as_str().expect("an id"));
    // Somebody gives Bea another address, and then Ada's; meanwhile Ada gets Bea's.
    let mut other = house.database.pool.begin().await.expect("a transaction");
    sqlx::raw_sql("set local deadlock_timeout = '20s'; update patient set email = 'x@example.org' where name = 'Bea'")
        .execute(&mut *other)
        .await
        .expect("an update");
    let mut swapped = patient("Ada");
    swapped["email"] = bea["email"].clone();
    let change = house.call(Method::PUT, &path, Some(swapped));
    let rest = async {
        let waiting = "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')";
        while !sqlx::query_scalar::<_, bool>(waiting)
            .fetch_one(&house.database.pool)
            .await
            .expect("an answer")
        {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        sqlx::query("update patient set email = 'ada@example.org' where name = 'Bea'")
            .execute(&mut *other)
            .await
    };
    let (answer, rest) = tokio::join!(change, rest);
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.body);
    assert_eq!(answer.header("retry-after"), "5");
    // Now that Ada has her address still, the other one is told so.
    assert!(rest.is_err());
    drop(other);
    house.database.drop().await;
}

#[tokio::test]
async fn a_cursor_that_somebody_made_up_is_a_mistake_and_no_fault_of_ours() {
    let house = house!();
    for key in ["0000-01-01", "-0001-01-01", "infinity", "now", "2024-02-30"] {
        for sort in ["dateOfBirth", "registeredDate"] {
            let cursor = json!({"sort": sort, "key": key, "id": uuid::Uuid::nil()}).to_string();
            let cursor = URL_SAFE_NO_PAD.encode(cursor);
            let answer = house
                .call(Method::GET, &format!("/patients?sort={sort}&cursor={cursor}"), None)
                .await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{sort} {key}: {}", answer.body);
        }
    }
    house.database.drop().await;
}

#[tokio::test]
async fn several_lines_of_if_match_are_one_list() {
    let house = house!();
    let ada = house.create("Ada").await;
    let path = format!("/patients/{}", ada["id"].as_str().expect("an id"));
    let lines = [("if-match", "\"7\""), ("if-match", "\"1\"")];
    let answer = house.call_with(Method::PUT, &path, Some(patient("Ada")), &lines).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    house.database.drop().await;
}

#[tokio::test]
async fn a_child_of_today_is_registered_today_wherever_the_house_is() {
    // 14 hours before UTC and 12 behind: at any moment one of them has another date than UTC.
    for zone in ["Pacific/Kiritimati", "Etc/GMT+12"] {
        let Some(house) = House::build_in(zone).await else {
            return;
        };
        let [today, tomorrow] = [0, 1].map(|days| {
            let query = "select ((now() at time zone $1)::date + $2)::text";
            sqlx::query_scalar::<_, String>(query).bind(zone).bind(days)
        });
        let (today, tomorrow) = (
            today.fetch_one(&house.database.pool).await.expect("a date"),
            tomorrow.fetch_one(&house.database.pool).await.expect("a date"),
        );
        let mut child = patient("Ada");
        child["dateOfBirth"] = json!(today);
        let answer = house.call(Method::POST, "/patients", Some(child.clone())).await;
        assert_eq!(
            (answer.status, &answer.body["registeredDate"]),
            (StatusCode::CREATED, &json!(today)),
            "{zone}"
        );
        child["dateOfBirth"] = json!(tomorrow);
        let answer = house.call(Method::POST, "/patients", Some(child)).await;
        assert_eq!(
            answer.body["errors"]["dateOfBirth"], "Date of birth cannot be in the future",
            "{zone}"
        );
        house.database.drop().await;
    }
}

#[tokio::test]
async fn a_time_zone_that_is_none_is_refused_by_the_name_of_its_variable() {
    let house = house!();
    for zone in ["Mars/Olympus", "", "'; drop table patient"] {
        let error = Calendar::of(zone, &house.database.pool)
            .await
            .expect_err(zone)
            .to_string();
        assert!(error.contains("TIME_ZONE") && error.contains("IANA"), "{error}");
    }
    house.database.drop().await;
}
