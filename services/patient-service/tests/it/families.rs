//! Families and their members.

use http::{Method, StatusCode};
use serde_json::json;

use crate::support::{TestApp, path_of, patient};

#[tokio::test]
async fn members_are_added_and_removed() {
    let Some(app) = TestApp::start().await else { return };
    let ada = app.create("Ada").await;
    let family = app
        .call(Method::POST, "/families", Some(json!({"name": "Byron"})))
        .await;
    assert_eq!(
        (family.status, &family.body["members"]),
        (StatusCode::CREATED, &json!([]))
    );
    let path = family.header("location").to_owned();
    let member = format!("{path}/members/{}", ada["id"].as_str().expect("an id"));
    for _ in 0..2 {
        let response = app.call(Method::PUT, &member, None).await;
        assert_eq!(response.status, StatusCode::NO_CONTENT, "adding is idempotent");
    }
    let listed = app.get("/families").await;
    assert_eq!(listed.body[0]["members"], json!([{"id": ada["id"], "name": "Ada"}]));
    for expected in [StatusCode::NO_CONTENT, StatusCode::NOT_FOUND] {
        assert_eq!(app.call(Method::DELETE, &member, None).await.status, expected);
    }
    let unknown = format!("{path}/members/00000000-0000-4000-8000-000000000000");
    let response = app.call(Method::PUT, &unknown, None).await;
    assert_eq!(
        (response.status, &response.body["detail"]),
        (StatusCode::NOT_FOUND, &json!("Patient not found"))
    );
    app.database.drop().await;
}

#[tokio::test]
async fn families_are_listed_page_by_page() {
    let Some(app) = TestApp::start().await else { return };
    for name in ["Byron", "Austen", "Curie"] {
        app.call(Method::POST, "/families", Some(json!({"name": name}))).await;
    }
    let first = app.get("/families?limit=2").await;
    assert_eq!(first.header("x-total-count"), "3");
    let second = app.get(first.next_page().expect("a second page")).await;
    let name = |response: &crate::support::TestResponse, index: usize| response.body[index]["name"].clone();
    assert_eq!(
        [name(&first, 0), name(&first, 1), name(&second, 0)],
        ["Austen", "Byron", "Curie"]
    );
    assert_eq!(second.next_page(), None);
    app.database.drop().await;
}

#[tokio::test]
async fn a_family_is_renamed_and_deleted_and_keeps_its_members_as_patients() {
    let Some(app) = TestApp::start().await else { return };
    let ada = app.create("Ada").await;
    let family = app
        .call(Method::POST, "/families", Some(json!({"name": "The Mistypeds"})))
        .await;
    let path = family.header("location").to_owned();
    let member = format!("{path}/members/{}", ada["id"].as_str().expect("an id"));
    app.call(Method::PUT, &member, None).await;
    let renamed = app
        .call(Method::PUT, &path, Some(json!({"name": " The Mistyped "})))
        .await;
    assert_eq!(
        (renamed.status, &renamed.body["name"], renamed.header("etag")),
        (StatusCode::OK, &json!("The Mistyped"), "\"3\"")
    );
    let blank = app.call(Method::PUT, &path, Some(json!({"name": "\u{200b}"}))).await;
    assert_eq!(blank.body["errors"]["name"], "Name is required");
    assert_eq!(
        app.call_as_user(Method::DELETE, &path).await.status,
        StatusCode::NO_CONTENT
    );
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(app.call(method, &path, None).await.status, StatusCode::NOT_FOUND);
    }
    let gone = app.call(Method::PUT, &path, Some(json!({"name": "A"}))).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    assert_eq!(app.get(&path_of(&ada)).await.status, StatusCode::OK);
    app.database.drop().await;
}

#[tokio::test]
async fn the_version_of_a_family_increases_with_whatever_clients_see_of_it() {
    let Some(app) = TestApp::start().await else { return };
    let ada = app.create("Ada").await;
    let family = app
        .call(Method::POST, "/families", Some(json!({"name": "Byron"})))
        .await;
    let path = family.header("location").to_owned();
    let member = format!("{path}/members/{}", ada["id"].as_str().expect("an id"));
    let version = async || app.get(&path).await.header("etag").to_owned();
    app.call(Method::PUT, &member, None).await;
    app.call(Method::PUT, &member, None).await;
    assert_eq!(version().await, "\"2\"", "a member is added once");
    app.call(Method::PUT, &path_of(&ada), Some(patient("Ada King"))).await;
    assert_eq!(version().await, "\"3\"", "a member has a new name");
    app.call(Method::PUT, &path_of(&ada), Some(patient("Ada King"))).await;
    assert_eq!(version().await, "\"3\"", "nothing of the member is new here");
    app.call(Method::DELETE, &member, None).await;
    assert_eq!(version().await, "\"4\"", "a member is removed");
    app.database.drop().await;
}

#[tokio::test]
async fn an_idempotency_key_creates_one_family() {
    let Some(app) = TestApp::start().await else { return };
    let key = [("idempotency-key", "key-1")];
    let create = async |name: &str| {
        let body = Some(json!({"name": name}));
        app.call_with(Method::POST, "/families", body, &key).await
    };
    let (first, again) = (create("Byron").await, create("Byron").await);
    assert_eq!((again.status, &again.body), (StatusCode::CREATED, &first.body));
    assert_eq!(create("King").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(app.get("/families").await.header("x-total-count"), "1");
    app.call(Method::DELETE, first.header("location"), None).await;
    assert_eq!(create("Byron").await.status, StatusCode::GONE);
    app.database.drop().await;
}

#[tokio::test]
async fn a_family_has_a_bounded_number_of_members_also_when_they_are_added_at_once() {
    let Some(app) = TestApp::start().await else { return };
    crate::million::fill(&app.database.pool, 60).await;
    let ids: Vec<uuid::Uuid> = sqlx::query_scalar("select id from patient")
        .fetch_all(&app.database.pool)
        .await
        .expect("ids");
    let family = app
        .call(Method::POST, "/families", Some(json!({"name": "Byron"})))
        .await;
    let path = family.header("location").to_owned();
    let paths: Vec<String> = ids.iter().map(|id| format!("{path}/members/{id}")).collect();
    let added = futures::future::join_all(paths.iter().map(|path| app.call(Method::PUT, path, None))).await;
    let with = |status| added.iter().filter(|response| response.status == status).count();
    assert_eq!((with(StatusCode::NO_CONTENT), with(StatusCode::CONFLICT)), (50, 10));
    let members = app.get(&path).await.body["members"].as_array().map(Vec::len);
    assert_eq!(members, Some(50));
    app.database.drop().await;
}
