//! The administration of user accounts.

use http::{Method, StatusCode};
use kit::Role;
use serde_json::{Value, json};

use crate::support::TestApp;

/// Creates a second administrator, and returns its id.
async fn create_second_admin(app: &TestApp, admin: &str) -> String {
    let new = json!({ "email": "second@example.org", "password": "longenough1", "role": "ADMIN" });
    let (status, headers, created) = app.send(Method::POST, "/users", Some(admin), new).await;
    assert_eq!((status, &created["role"]), (StatusCode::CREATED, &json!("ADMIN")));
    let id = created["id"].as_str().unwrap().to_owned();
    assert_eq!(headers["location"], format!("/auth/users/{id}"));
    let (status, _, read) = app.get(&format!("/users/{id}"), Some(admin)).await;
    assert_eq!((status, read), (StatusCode::OK, created));
    id
}

#[tokio::test]
async fn users_are_listed_page_by_page() {
    let Some(app) = TestApp::start().await else { return };
    let admin = app.admin_token().await;
    let second = create_second_admin(&app, &admin).await;
    let (status, headers, page) = app.get("/users?limit=1", Some(&admin)).await;
    assert_eq!((status, page.as_array().map(Vec::len)), (StatusCode::OK, Some(1)));
    assert_eq!(headers["x-total-count"], "2");
    let link = headers["link"].to_str().unwrap();
    let next = link
        .strip_prefix("</auth")
        .and_then(|rest| rest.strip_suffix(">; rel=\"next\""))
        .unwrap();
    let (_, headers, page) = app.get(next, Some(&admin)).await;
    assert_eq!(page[0]["id"], Value::from(second));
    assert!(!headers.contains_key("link"), "the last page");
    for invalid in ["?limit=0", "?limit=101", "?limit=x", "?cursor=x"] {
        let (status, ..) = app.get(&format!("/users{invalid}"), Some(&admin)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{invalid}");
    }
    app.database.drop().await;
}

#[tokio::test]
async fn a_disabled_user_can_neither_log_in_nor_refresh() {
    let Some(app) = TestApp::start().await else { return };
    let admin = app.admin_token().await;
    let second = create_second_admin(&app, &admin).await;
    let session = app.login("second@example.org", "longenough1").await.1;
    let disable = json!({ "disabled": true });
    let (status, _, changed) = app
        .send(Method::PATCH, &format!("/users/{second}"), Some(&admin), disable)
        .await;
    assert_eq!((status, &changed["disabled"]), (StatusCode::OK, &json!(true)));
    let (status, _) = app.login("second@example.org", "longenough1").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let refresh = json!({ "refreshToken": session["refreshToken"] });
    assert_eq!(app.post("/refresh", refresh).await.0, StatusCode::UNAUTHORIZED);
    app.database.drop().await;
}

#[tokio::test]
async fn the_last_admin_can_be_neither_disabled_nor_demoted() {
    let Some(app) = TestApp::start().await else { return };
    let admin = app.admin_token().await;
    let own_id = app.state.keyring.verifier().verify(&admin).await.unwrap().sub;
    for change in [json!({ "disabled": true }), json!({ "role": "USER" })] {
        let (status, ..) = app
            .send(Method::PATCH, &format!("/users/{own_id}"), Some(&admin), change)
            .await;
        assert_eq!(status, StatusCode::CONFLICT);
    }
    app.database.drop().await;
}

#[tokio::test]
async fn a_user_can_be_created_as_an_auditor_and_the_last_admin_cannot_become_one() {
    let Some(app) = TestApp::start().await else { return };
    let admin = app.admin_token().await;
    let verifier = app.state.keyring.verifier();
    let own_id = verifier.verify(&admin).await.unwrap().sub;
    let change = json!({ "role": "AUDITOR" });
    let (status, ..) = app
        .send(Method::PATCH, &format!("/users/{own_id}"), Some(&admin), change)
        .await;
    assert_eq!(status, StatusCode::CONFLICT);
    let new = json!({ "email": "audit@example.org", "password": "longenough1", "role": "AUDITOR" });
    let (status, _, created) = app.send(Method::POST, "/users", Some(&admin), new).await;
    assert_eq!((status, &created["role"]), (StatusCode::CREATED, &json!("AUDITOR")));
    let auditor = app.token("audit@example.org", "longenough1").await;
    assert_eq!(verifier.verify(&auditor).await.unwrap().role, Role::Auditor);
    assert_eq!(app.get("/validate", Some(&auditor)).await.0, StatusCode::OK);
    assert_eq!(app.get("/users", Some(&auditor)).await.0, StatusCode::FORBIDDEN);
    app.database.drop().await;
}

#[tokio::test]
async fn only_admins_read_users_and_an_unknown_or_malformed_id_is_a_client_error() {
    let Some(app) = TestApp::start().await else { return };
    let admin = app.admin_token().await;
    let new = json!({ "email": "third@example.org", "password": "longenough1" });
    app.send(Method::POST, "/users", Some(&admin), new).await;
    let user = app.token("third@example.org", "longenough1").await;
    let unknown = "/users/00000000-0000-4000-8000-000000000000";
    for (name, method, path, token, expected) in [
        ("read as a user", Method::GET, unknown, &user, StatusCode::FORBIDDEN),
        (
            "read an unknown user",
            Method::GET,
            unknown,
            &admin,
            StatusCode::NOT_FOUND,
        ),
        (
            "change an unknown user",
            Method::PATCH,
            unknown,
            &admin,
            StatusCode::NOT_FOUND,
        ),
        (
            "change a malformed id",
            Method::PATCH,
            "/users/x",
            &admin,
            StatusCode::BAD_REQUEST,
        ),
    ] {
        let (status, ..) = app.send(method, path, Some(token), json!({})).await;
        assert_eq!(status, expected, "{name}");
    }
    app.database.drop().await;
}
