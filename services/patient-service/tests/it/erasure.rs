//! Erased means erased: nothing of a person outlives the deletion in this service, and nothing brings a person back.

use http::{Method, StatusCode};
use kit::database::Pool;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::support::{TestApp, TestResponse, path_of};

const NEEDLE: &str = "Quicksilver";

fn person(detail: &str) -> Value {
    json!({
        "name": format!("{NEEDLE} {detail}"), "email": format!("{NEEDLE}.{detail}@example.org"),
        "address": format!("1 {NEEDLE} Street"), "dateOfBirth": "1987-06-05",
    })
}

async fn create(app: &TestApp, path: &str, body: Value, key: &str) -> TestResponse {
    let key = [("idempotency-key", key)];
    app.call_with(Method::POST, path, Some(body), &key).await
}

/// Returns the tables with a row that contains the text.
async fn tables_with(pool: &Pool, text: &str) -> Vec<String> {
    let names = "select table_name::text from information_schema.tables where table_schema = 'public'";
    let names: Vec<String> = sqlx::query_scalar(names).fetch_all(pool).await.expect("tables");
    let mut found = Vec::new();
    for name in names {
        let query = format!("select count(*) from {name} t where t::text ilike $1");
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(query))
            .bind(format!("%{text}%"))
            .fetch_one(pool)
            .await
            .expect("a count");
        if count > 0 {
            found.push(name);
        }
    }
    found
}

#[tokio::test]
async fn a_repeated_creation_of_a_deleted_patient_is_gone_and_no_table_has_the_person() {
    let Some(app) = TestApp::start().await else { return };
    app.billing.start().await;
    let created = create(&app, "/patients", person("A"), "key-1").await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    let path = path_of(&created.body);
    let family = create(&app, "/families", json!({"name": NEEDLE}), "key-2").await;
    let member = format!(
        "/families/{}/members/{}",
        family.body["id"].as_str().expect("an id"),
        created.body["id"].as_str().expect("an id")
    );
    assert_eq!(
        app.call(Method::PUT, &member, None).await.status,
        StatusCode::NO_CONTENT
    );
    assert!(
        tables_with(&app.database.pool, NEEDLE)
            .await
            .contains(&"patient".to_owned())
    );
    assert_eq!(
        app.count("select count(*) from idempotency_key where key like 'key-%'")
            .await,
        0,
        "keys are digests"
    );

    assert_eq!(
        app.call(Method::DELETE, &path, None).await.status,
        StatusCode::NO_CONTENT
    );
    for (path, body, key) in [
        ("/patients", person("A"), "key-1"),
        ("/families", json!({"name": NEEDLE}), "key-2"),
    ] {
        for _ in 0..2 {
            let again = create(&app, path, body.clone(), key).await;
            assert_eq!(
                (again.status, again.header("content-type")),
                (StatusCode::GONE, "application/problem+json")
            );
            assert!(!again.body.to_string().contains(NEEDLE), "{}", again.body);
        }
    }
    // Once they are published, events leave the outbox; see the test of the deletion's event.
    sqlx::query("delete from outbox")
        .execute(&app.database.pool)
        .await
        .expect("published");
    assert_eq!(tables_with(&app.database.pool, NEEDLE).await, Vec::<String>::new());
    assert_eq!(
        app.count("select count(*) from idempotency_key where fingerprint is not null")
            .await,
        0
    );
    let id = created.body["id"].as_str().expect("an id");
    assert_eq!(
        tables_with(&app.database.pool, id).await,
        ["idempotency_key"],
        "an id, for a day"
    );
    assert_eq!(app.get("/patients").await.header("x-total-count"), "0");
    app.database.drop().await;
}

#[tokio::test]
async fn a_repeated_creation_of_a_changed_patient_brings_no_old_data_back() {
    let Some(app) = TestApp::start().await else { return };
    let created = create(&app, "/patients", person("A"), "key-1").await;
    let changed = app.call(Method::PUT, &path_of(&created.body), Some(person("B"))).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
    let again = create(&app, "/patients", person("A"), "key-1").await;
    assert_eq!((again.status, &again.body), (StatusCode::CREATED, &changed.body));
    assert_eq!(again.header("etag"), "\"2\"");
    let other = create(&app, "/patients", person("B"), "key-1").await;
    assert_eq!(
        other.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "the key belongs to the first body"
    );
    app.database.drop().await;
}

#[tokio::test]
async fn a_family_is_deleted_with_its_last_erased_member_and_not_before() {
    let Some(app) = TestApp::start().await else { return };
    let (ada, bea) = (app.create("Ada").await, app.create("Bea").await);
    let family = app
        .call(Method::POST, "/families", Some(json!({"name": "Byron"})))
        .await;
    let path = family.header("location").to_owned();
    for patient in [&ada, &bea] {
        let member = format!("{path}/members/{}", patient["id"].as_str().expect("an id"));
        assert_eq!(
            app.call(Method::PUT, &member, None).await.status,
            StatusCode::NO_CONTENT
        );
    }
    let before = app.get(&path).await;
    app.call(Method::DELETE, &path_of(&ada), None).await;
    let after = app.get(&path).await;
    assert_eq!(after.body["members"].as_array().map(Vec::len), Some(1));
    assert_ne!(before.header("etag"), after.header("etag"));
    app.call(Method::DELETE, &path_of(&bea), None).await;
    assert_eq!(app.get(&path).await.status, StatusCode::NOT_FOUND);
    app.database.drop().await;
}

#[tokio::test]
async fn a_cursor_names_nobody_and_a_searched_text_stays_out_of_addresses() {
    let Some(app) = TestApp::start().await else { return };
    for detail in ["A", "B", "C"] {
        app.call(Method::POST, "/patients", Some(person(detail))).await;
    }
    let search = json!({"search": NEEDLE, "limit": 2});
    let page = app.call(Method::POST, "/patients/search", Some(search.clone())).await;
    assert_eq!(
        (page.status, page.header("x-total-count")),
        (StatusCode::OK, "3"),
        "{}",
        page.body
    );
    let next = page.next_page().expect("a second page").to_owned();
    assert!(next.starts_with("/patients/search?cursor="), "{next}");
    assert!(!contains_needle(&next), "{next}");
    let second = app.call(Method::POST, &next, Some(search)).await;
    assert_eq!(second.body[0]["name"], format!("{NEEDLE} C"));
    assert_eq!(second.next_page(), None);

    let cursor = next.split_once("cursor=").expect("a cursor").1;
    let body = json!({"search": NEEDLE, "limit": 2, "cursor": cursor});
    let by_body = app.call(Method::POST, "/patients/search", Some(body)).await;
    assert_eq!(by_body.body, second.body);
    let listed = app.get(&format!("/patients?search={NEEDLE}&limit=2")).await;
    assert_eq!(listed.body, page.body);
    let link = listed.next_page().expect("a second page");
    assert!(
        !contains_needle(link.split_once("cursor=").expect("a cursor").1),
        "{link}"
    );

    for body in [
        json!({"limit": 0}),
        json!({"limit": 101}),
        json!({"cursor": "x"}),
        json!({"search": "\0a"}),
        json!({"sort": "x"}),
        json!({"limit": "a"}),
    ] {
        let response = app.call(Method::POST, "/patients/search", Some(body.clone())).await;
        assert_eq!(response.status, StatusCode::BAD_REQUEST, "{body}");
    }
    // Without its key, nobody reads a cursor.
    sqlx::query("delete from cursor_key")
        .execute(&app.database.pool)
        .await
        .expect("deleted");
    let expired = app.get(&format!("/patients?cursor={cursor}")).await;
    assert_eq!(expired.status, StatusCode::BAD_REQUEST);
    app.database.drop().await;
}

/// Returns true if the text contains the name, in clear or in Base64 at any of its three alignments.
fn contains_needle(text: &str) -> bool {
    let in_base64 = ["UXVpY2tzaWx2", "F1aWNrc2lsdm", "RdWlja3NpbHZl"];
    text.contains(NEEDLE) || in_base64.iter().any(|needle| text.contains(needle))
}
