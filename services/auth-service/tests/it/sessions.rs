//! Refresh tokens, and the end of a session.

use std::time::Duration;

use http::{Method, StatusCode};
use kit::database::Pool;
use kit::testing::wait_until;
use serde_json::{Value, json};

use crate::support::{ADMIN, PASSWORD, TestApp};

#[tokio::test]
async fn a_refresh_token_is_valid_once_and_its_reuse_revokes_the_family() {
    let Some(app) = TestApp::start().await else { return };
    let refresh = |token: &Value| json!({ "refreshToken": token });
    let first = app.login(ADMIN, PASSWORD).await.1;
    let other = app.login(ADMIN, PASSWORD).await.1;
    let (status, second) = app.post("/refresh", refresh(&first["refreshToken"])).await;
    assert_eq!(status, StatusCode::OK);
    assert_ne!(second["refreshToken"], first["refreshToken"]);
    assert_eq!(
        app.post("/refresh", refresh(&first["refreshToken"])).await.0,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        app.post("/refresh", refresh(&second["refreshToken"])).await.0,
        StatusCode::UNAUTHORIZED
    );
    let (status, other) = app.post("/refresh", refresh(&other["refreshToken"])).await;
    assert_eq!(status, StatusCode::OK, "another login is another family");
    assert_eq!(
        app.post("/logout", refresh(&other["refreshToken"])).await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        app.post("/refresh", refresh(&other["refreshToken"])).await.0,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(app.post("/refresh", json!({})).await.0, StatusCode::BAD_REQUEST);
    app.database.drop().await;
}

#[tokio::test]
async fn of_concurrent_uses_one_succeeds_and_the_family_is_revoked() {
    let Some(app) = TestApp::start().await else { return };
    for round in 0..5 {
        let session = app.login(ADMIN, PASSWORD).await.1;
        let refresh = || app.post("/refresh", json!({ "refreshToken": session["refreshToken"] }));
        let attempts = tokio::join!(refresh(), refresh(), refresh());
        let attempts = [attempts.0, attempts.1, attempts.2];
        let succeeded: Vec<&Value> = attempts
            .iter()
            .filter(|(status, _)| *status == StatusCode::OK)
            .map(|(_, session)| session)
            .collect();
        assert_eq!(succeeded.len(), 1, "round {round}: {attempts:?}");
        let successor = json!({ "refreshToken": succeeded[0]["refreshToken"] });
        assert_eq!(app.post("/refresh", successor).await.0, StatusCode::UNAUTHORIZED);
    }
    app.database.drop().await;
}

#[tokio::test]
async fn a_refresh_during_the_revocation_of_all_sessions_waits_for_it_and_is_rejected() {
    let Some(app) = TestApp::start().await else { return };
    let session = app.login(ADMIN, PASSWORD).await.1;
    let mut change = app.database.pool.begin().await.unwrap();
    let id: uuid::Uuid = sqlx::query_scalar("select id from users for update")
        .fetch_one(&mut *change)
        .await
        .unwrap();
    let refresh = app.post("/refresh", json!({ "refreshToken": session["refreshToken"] }));
    let revocation = async {
        let blocked = || is_blocked(&app.database.pool);
        wait_until("a statement that waits for a lock", Duration::from_secs(20), blocked).await;
        auth_service::refresh_token::revoke_all(&mut *change, id).await.unwrap();
        change.commit().await.unwrap();
    };
    let ((status, _), ()) = tokio::join!(refresh, revocation);
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let remaining: i64 = sqlx::query_scalar("select count(*) from refresh_tokens")
        .fetch_one(&app.database.pool)
        .await
        .unwrap();
    assert_eq!(remaining, 0, "no successor was inserted");
    app.database.drop().await;
}

#[tokio::test]
async fn a_user_who_is_disabled_or_gets_another_role_loses_access_immediately_and_cannot_refresh() {
    let Some(app) = TestApp::start().await else { return };
    let admin = app.admin_token().await;
    for change in [json!({ "disabled": true }), json!({ "role": "USER" })] {
        let email = format!("second{}@example.org", change.to_string().len());
        let new = json!({ "email": email, "password": "longenough1", "role": "ADMIN" });
        let (status, _, second) = app.send(Method::POST, "/users", Some(&admin), new).await;
        assert_eq!(status, StatusCode::CREATED);
        let session = app.login(&email, "longenough1").await.1;
        let token = session["token"].as_str().unwrap();
        let get = |path| app.get(path, Some(token));
        assert_eq!(
            (get("/validate").await.0, get("/users").await.0),
            (StatusCode::OK, StatusCode::OK)
        );

        let path = format!("/users/{}", second["id"].as_str().unwrap());
        let (status, ..) = app.send(Method::PATCH, &path, Some(&admin), change.clone()).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(get("/validate").await.0, StatusCode::UNAUTHORIZED, "{change}");
        assert_eq!(get("/users").await.0, StatusCode::UNAUTHORIZED, "{change}");
        let refresh = json!({ "refreshToken": session["refreshToken"] });
        assert_eq!(
            app.post("/refresh", refresh).await.0,
            StatusCode::UNAUTHORIZED,
            "{change}"
        );
    }
    app.database.drop().await;
}

/// Returns true if a statement in the test's database waits for a lock.
pub async fn is_blocked(pool: &Pool) -> bool {
    let blocked =
        "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')";
    sqlx::query_scalar(blocked).fetch_one(pool).await.unwrap()
}
