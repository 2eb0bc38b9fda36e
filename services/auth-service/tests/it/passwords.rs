//! Passwords: change, hashes of earlier systems, normal forms, and the deletion of accounts.

use auth_service::first_admin::FirstAdmin;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{ADMIN, PASSWORD, TestApp};

/// bcrypt of "U*U", a vector of OpenBSD.
const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

async fn set_hash(app: &TestApp, email: &str, hash: &str) {
    let changed = sqlx::query("update users set password_hash = $2 where email = $1")
        .bind(email)
        .bind(hash)
        .execute(&app.database.pool)
        .await
        .unwrap();
    assert_eq!(changed.rows_affected(), 1);
}

async fn stored_hash(app: &TestApp, email: &str) -> String {
    sqlx::query_scalar("select password_hash from users where email = $1")
        .bind(email)
        .fetch_one(&app.database.pool)
        .await
        .unwrap()
}

async fn sign_up(app: &TestApp, email: &str, password: &str) {
    let new = json!({ "email": email, "password": password });
    assert_eq!(app.post("/signup", new).await.0, StatusCode::CREATED);
}

#[tokio::test]
async fn a_password_is_changed_with_the_present_one_and_wrong_ones_are_throttled() {
    let Some(app) = TestApp::start().await else { return };
    let token = app.admin_token().await;
    let put = async |token: Option<&str>, current: &str, new: &str| {
        let body = json!({ "currentPassword": current, "newPassword": new });
        app.send(Method::PUT, "/password", token, body).await
    };
    assert_eq!(put(None, PASSWORD, "battery staple").await.0, StatusCode::UNAUTHORIZED);
    let (status, _, problem) = put(Some(&token), "wrong", "battery staple").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(problem["errors"]["currentPassword"].is_string(), "{problem}");
    let (status, _, problem) = put(Some(&token), PASSWORD, "short").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(problem["errors"]["newPassword"].is_string(), "{problem}");
    let changed = put(Some(&token), PASSWORD, "battery staple").await;
    assert_eq!(changed.0, StatusCode::NO_CONTENT);
    assert_eq!(
        app.get("/validate", Some(&token)).await.0,
        StatusCode::OK,
        "this session goes on"
    );
    assert_eq!(app.login(ADMIN, PASSWORD).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(app.login(ADMIN, "battery staple").await.0, StatusCode::OK);
    // One failure here and one login failed above.
    for _ in 2..8 {
        assert_eq!(
            put(Some(&token), "wrong", "longenough1").await.0,
            StatusCode::BAD_REQUEST
        );
    }
    let (status, headers, _) = put(Some(&token), "battery staple", "longenough1").await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert!(headers.contains_key("retry-after"));
    app.database.drop().await;
}

#[tokio::test]
async fn a_bcrypt_hash_is_accepted_and_rehashed_and_affects_no_other_login() {
    let Some(app) = TestApp::start().await else { return };
    sign_up(&app, "zoe@example.org", "longenough1").await;
    set_hash(&app, "zoe@example.org", BCRYPT).await;
    // Both are answered by the hash of the next user in alphabetical order.
    for unknown in ["yann@example.org", "unknown@example.org"] {
        assert_eq!(app.login(unknown, "U*U").await.0, StatusCode::UNAUTHORIZED, "{unknown}");
    }
    assert_eq!(app.login("zoe@example.org", "U*V").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(stored_hash(&app, "zoe@example.org").await, BCRYPT);
    assert_eq!(app.login("zoe@example.org", "U*U").await.0, StatusCode::OK);
    let rehashed = stored_hash(&app, "zoe@example.org").await;
    assert!(rehashed.starts_with("$argon2id$"), "{rehashed}");
    assert_eq!(app.login("zoe@example.org", "U*U").await.0, StatusCode::OK);
    app.database.drop().await;
}

#[tokio::test]
async fn a_hash_that_cannot_be_read_fails_the_logins_of_its_own_account_only() {
    let Some(app) = TestApp::start().await else { return };
    sign_up(&app, "zoe@example.org", "longenough1").await;
    for unreadable in [
        "",
        "!",
        "$2b$99$x",
        "$5$rounds=1000$abc$def",
        "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ",
    ] {
        set_hash(&app, "zoe@example.org", unreadable).await;
        let before = app.state.passwords.hashes_computed();
        for email in ["zoe@example.org", "yann@example.org", "zzz@example.org"] {
            let (status, _) = app.login(email, "longenough1").await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{email}, {unreadable:?}");
        }
        assert_eq!(app.state.passwords.hashes_computed() - before, 3, "the same work");
        let forget = "delete from login_failures";
        sqlx::query(forget).execute(&app.database.pool).await.unwrap();
    }
    assert_eq!(app.login(ADMIN, PASSWORD).await.0, StatusCode::OK);
    app.database.drop().await;
}

#[tokio::test]
async fn the_same_password_in_another_normal_form_logs_in_and_counts_the_same_characters() {
    let Some(app) = TestApp::start().await else { return };
    let (composed, decomposed) = ("Jos\u{e9}-wartet", "Jose\u{301}-wartet");
    sign_up(&app, "nfd@example.org", decomposed).await;
    for password in [composed, decomposed] {
        assert_eq!(app.login("nfd@example.org", password).await.0, StatusCode::OK);
    }
    // Eight characters as they were sent, seven as they are hashed.
    let short = json!({ "email": "short@example.org", "password": "abcdefe\u{301}" });
    assert_eq!(app.post("/signup", short).await.0, StatusCode::BAD_REQUEST);
    app.database.drop().await;
}

#[tokio::test]
async fn a_deleted_user_is_gone_and_the_address_is_free() {
    let Some(app) = TestApp::start().await else { return };
    let admin = app.admin_token().await;
    let new = json!({ "email": "second@example.org", "password": "longenough1", "role": "ADMIN" });
    let (_, _, second) = app.send(Method::POST, "/users", Some(&admin), new.clone()).await;
    let delete = async |id: &Value| {
        let path = format!("/users/{}", id.as_str().unwrap());
        app.send(Method::DELETE, &path, Some(&admin), Value::Null).await.0
    };
    assert_eq!(delete(&second["id"]).await, StatusCode::NO_CONTENT);
    assert_eq!(delete(&second["id"]).await, StatusCode::NOT_FOUND);
    let (status, _) = app.login("second@example.org", "longenough1").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let (_, _, users) = app.get("/users", Some(&admin)).await;
    assert_eq!(
        delete(&users[0]["id"]).await,
        StatusCode::CONFLICT,
        "the last administrator"
    );
    let (status, ..) = app.send(Method::POST, "/users", Some(&admin), new).await;
    assert_eq!(status, StatusCode::CREATED);
    app.database.drop().await;
}

#[tokio::test]
async fn a_new_configured_password_takes_effect_until_the_administrator_has_chosen_one() {
    let Some(app) = TestApp::start().await else { return };
    let forget = "delete from users";
    sqlx::query(forget).execute(&app.database.pool).await.unwrap();
    let email = "root@example.org";
    let start = async |password: &str| {
        let admin = FirstAdmin::Configured {
            email: email.to_owned(),
            password: password.into(),
        };
        admin.ensure(&app.state).await.unwrap();
    };
    start("generated-1").await;
    let session = app.login(email, "generated-1").await.1;
    start("generated-1").await;
    let token = session["token"].as_str();
    assert_eq!(
        app.get("/validate", token).await.0,
        StatusCode::OK,
        "an equal value changes nothing"
    );
    // Created by an earlier version, which did not record the origin.
    let earlier = "update users set password_is_configured = false";
    sqlx::query(earlier).execute(&app.database.pool).await.unwrap();
    start("generated-1").await;

    start("generated-2").await;
    assert_eq!(
        app.get("/validate", token).await.0,
        StatusCode::UNAUTHORIZED,
        "the sessions end"
    );
    assert_eq!(app.login(email, "generated-1").await.0, StatusCode::UNAUTHORIZED);
    let token = app.token(email, "generated-2").await;
    let change = json!({ "currentPassword": "generated-2", "newPassword": "my own choice" });
    let (status, ..) = app.send(Method::PUT, "/password", Some(&token), change).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    start("generated-3").await;
    assert_eq!(app.login(email, "generated-3").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(app.login(email, "my own choice").await.0, StatusCode::OK);
    app.database.drop().await;
}
