//! Families and their members.

use http::{Method, StatusCode};
use serde_json::json;

use crate::support::TestApp;

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
