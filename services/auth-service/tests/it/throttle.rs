//! The throttle of failed logins does not tell which addresses have accounts.

use std::time::Instant;

use auth_service::AppState;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use crate::support::{ADMIN, PASSWORD, TestApp, login_at};

/// The address that staff and strangers share.
const SHARED: &str = "203.0.113.7";

/// Returns a response as a stranger sees it: the status, and whether there is a time to wait.
///
/// A refusal takes its time, whether or not the password was verified.
async fn seen(state: &AppState, email: &str, password: &str) -> (StatusCode, bool) {
    let started = Instant::now();
    let (status, headers): (_, HeaderMap) = login_at(state, SHARED, email, password).await;
    let is_delayed = started.elapsed() >= state.passwords.refusal_time();
    assert!(is_delayed || status != StatusCode::TOO_MANY_REQUESTS, "{email}");
    (status, headers.contains_key("retry-after"))
}

#[tokio::test]
async fn a_stranger_gets_the_same_response_for_unknown_known_and_familiar_accounts() {
    let Some(app) = TestApp::start().await else { return };
    for email in ["known@example.org", "familiar@example.org"] {
        let new = json!({ "email": email, "password": "longenough1" });
        assert_eq!(app.post("/signup", new).await.0, StatusCode::CREATED);
    }
    let accounts = ["unknown@example.org", "known@example.org", "familiar@example.org"];
    let familiar = login_at(&app.state, SHARED, "familiar@example.org", "longenough1").await;
    assert_eq!(familiar.0, StatusCode::OK);
    let guess = async |at: usize| {
        let mut all = Vec::new();
        for email in accounts {
            all.push(seen(&app.state, email, &format!("a wrong guess {at}")).await);
        }
        assert!(all.iter().all(|one| *one == all[0]), "guess {at}: {all:?}");
        all[0]
    };
    // Before the address is slowed down.
    assert_eq!(guess(0).await, (StatusCode::UNAUTHORIZED, false));
    for at in 0..97 {
        let email = format!("user{at}@example.org");
        assert_eq!(seen(&app.state, &email, "a guess").await.0, StatusCode::UNAUTHORIZED);
    }
    // The pause must not end during this test.
    sqlx::query("update login_failures set failures = 200 where failures > 50")
        .execute(&app.database.pool)
        .await
        .unwrap();
    for at in 1..6 {
        assert_eq!(guess(at).await, (StatusCode::TOO_MANY_REQUESTS, true));
        if at == 3 {
            // The right password of a familiar account, and of one that never logged in from here.
            let right = login_at(&app.state, SHARED, "familiar@example.org", "longenough1").await;
            assert_eq!(right.0, StatusCode::OK);
            let known = seen(&app.state, "known@example.org", "longenough1").await;
            assert_eq!(known, (StatusCode::TOO_MANY_REQUESTS, true));
        }
    }
    // Too many guesses: the password of the familiar account is no longer verified, which nobody can see.
    sqlx::query("update login_failures set failures = 100 where failures between 3 and 50")
        .execute(&app.database.pool)
        .await
        .unwrap();
    let right = seen(&app.state, "familiar@example.org", "longenough1").await;
    assert_eq!(right, (StatusCode::TOO_MANY_REQUESTS, true));
    let elsewhere = login_at(&app.state, "203.0.113.8", "familiar@example.org", "longenough1").await;
    assert_eq!(elsewhere.0, StatusCode::OK);
    // After the pause, the accounts are alike again; each failure starts it again.
    for email in accounts {
        let pass =
            "update login_failures set last_failed_at = last_failed_at - interval '31 seconds' where failures > 150";
        sqlx::query(pass).execute(&app.database.pool).await.unwrap();
        let response = seen(&app.state, email, "a wrong guess").await;
        assert_eq!(response, (StatusCode::UNAUTHORIZED, false), "{email}");
    }
    app.database.drop().await;
}

#[tokio::test]
async fn a_login_does_not_reset_the_failures_that_a_stranger_can_see() {
    let Some(app) = TestApp::start().await else { return };
    for email in [ADMIN, "unknown@example.org"] {
        for _ in 0..7 {
            let (status, _) = login_at(&app.state, SHARED, email, "a wrong guess").await;
            assert_eq!(status, StatusCode::UNAUTHORIZED);
        }
    }
    // The owner, who shares the address.
    assert_eq!(login_at(&app.state, SHARED, ADMIN, PASSWORD).await.0, StatusCode::OK);
    for email in [ADMIN, "unknown@example.org"] {
        let (eighth, _) = login_at(&app.state, SHARED, email, "a wrong guess").await;
        let (ninth, _) = login_at(&app.state, SHARED, email, "a wrong guess").await;
        assert_eq!(
            (eighth, ninth),
            (StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS),
            "{email}"
        );
    }
    app.database.drop().await;
}
