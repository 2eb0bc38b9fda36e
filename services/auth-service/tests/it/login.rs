//! Login and sign-up, and the throttling of failed logins.

use auth_service::user;
use http::{Method, StatusCode};
use kit::Email;
use serde_json::{Value, json};

use crate::support::{ADMIN, PASSWORD, TestApp, login_at, passwords};

#[tokio::test]
async fn a_login_returns_a_valid_token_and_an_invalid_token_is_401() {
    let Some(app) = TestApp::start().await else { return };
    let (status, session) = app.login(" TestUser@test.com", PASSWORD).await;
    assert_eq!((status, &session["expiresIn"]), (StatusCode::OK, &json!(900)));
    let token = session["token"].as_str().unwrap();
    let claims = app.state.keyring.verifier().verify(token).await.unwrap();
    assert_eq!(
        (claims.email.as_str(), claims.role.as_str(), claims.exp - claims.iat),
        (ADMIN, "ADMIN", 900)
    );
    let forged = format!("{}AAA", &token[..token.len() - 3]);
    for (token, expected) in [
        (Some(token), StatusCode::OK),
        (Some(&forged), StatusCode::UNAUTHORIZED),
        (None, StatusCode::UNAUTHORIZED),
    ] {
        assert_eq!(app.get("/validate", token).await.0, expected, "{token:?}");
    }
    app.database.drop().await;
}

#[tokio::test]
async fn a_failed_login_does_not_reveal_if_the_user_exists() {
    let Some(app) = TestApp::start().await else { return };
    let wrong_password = app.login(ADMIN, "wrong-password").await;
    let unknown_user = app.login("unknown@example.org", "wrong-password").await;
    assert_eq!(wrong_password.0, StatusCode::UNAUTHORIZED);
    assert_eq!(wrong_password.1["detail"], "Invalid email or password");
    assert_eq!(wrong_password, unknown_user);
    let (status, problem) = app.login("", "").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        problem["errors"],
        json!({ "email": "Email is required", "password": "Password is required" })
    );
    app.database.drop().await;
}

#[tokio::test]
async fn many_failures_slow_down_only_the_pair_of_account_and_address() {
    let Some(app) = TestApp::start().await else { return };
    for attempt in 0..8 {
        assert_eq!(
            app.login(ADMIN, "wrong-password").await.0,
            StatusCode::UNAUTHORIZED,
            "attempt {attempt}"
        );
    }
    let body = json!({ "email": ADMIN, "password": PASSWORD });
    let (status, headers, _) = app.send(Method::POST, "/login", None, body).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(headers["retry-after"], "1");
    let (status, _) = login_at(&app.state, "203.0.113.10", ADMIN, PASSWORD).await;
    assert_eq!(status, StatusCode::OK, "another address is not slowed down");
    // As if the pause of one second had passed.
    sqlx::query("update login_failures set last_failed_at = last_failed_at - interval '1 second'")
        .execute(&app.database.pool)
        .await
        .unwrap();
    assert_eq!(app.login(ADMIN, PASSWORD).await.0, StatusCode::OK);
    app.database.drop().await;
}

#[tokio::test]
async fn a_new_account_has_the_role_user_whatever_the_request_contains() {
    let Some(mut app) = TestApp::start().await else { return };
    let new = json!({ "email": "eve@example.org", "password": "longenough1", "role": "ADMIN" });
    let (status, created) = app.post("/signup", new.clone()).await;
    assert_eq!((status, &created["role"]), (StatusCode::CREATED, &json!("USER")));
    assert!(!created.to_string().contains("argon2"), "{created}");
    let (status, problem) = app.post("/signup", new.clone()).await;
    assert_eq!(
        (status, &problem["detail"]),
        (StatusCode::CONFLICT, &json!("Email address already exists"))
    );
    let short = json!({ "email": "short@example.org", "password": "short" });
    assert_eq!(app.post("/signup", short).await.0, StatusCode::BAD_REQUEST);

    let user = app.token("eve@example.org", "longenough1").await;
    assert_eq!(app.get("/users", Some(&user)).await.0, StatusCode::FORBIDDEN);
    assert_eq!(app.get("/users", None).await.0, StatusCode::UNAUTHORIZED);
    app.state.signup_enabled = false;
    assert_eq!(app.post("/signup", new).await.0, StatusCode::NOT_FOUND);
    app.database.drop().await;
}

#[tokio::test]
async fn an_address_that_fails_on_many_accounts_is_slowed_down_except_for_known_accounts() {
    let Some(app) = TestApp::start().await else { return };
    let new = json!({ "email": "eve@example.org", "password": "longenough1" });
    assert_eq!(app.post("/signup", new).await.0, StatusCode::CREATED);
    let login = async |address: &str, email: &str, password: &str| login_at(&app.state, address, email, password).await;
    let (address, other_address) = ("203.0.113.7", "203.0.113.8");
    assert_eq!(login(address, ADMIN, PASSWORD).await.0, StatusCode::OK);
    for guess in 0..100 {
        let email = format!("user{guess}@example.org");
        let (status, _) = login(address, &email, "password1").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "guess {guess}");
    }
    let (status, headers) = login(address, "eve@example.org", "longenough1").await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert!(headers.contains_key("retry-after"));
    let (status, _) = login(address, ADMIN, PASSWORD).await;
    assert_eq!(status, StatusCode::OK, "the account has logged in from this address");
    let (status, _) = login(other_address, "eve@example.org", "longenough1").await;
    assert_eq!(status, StatusCode::OK, "the account is not locked for other addresses");
    app.database.drop().await;
}

#[tokio::test]
async fn replicas_share_the_counts_of_failures() {
    let Some(app) = TestApp::start().await else { return };
    let other = app.replica(passwords(8, 1));
    for replica in [&app.state, &other].into_iter().cycle().take(8) {
        let (status, _) = login_at(replica, "203.0.113.7", ADMIN, "wrong-password").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    for replica in [&app.state, &other] {
        let (status, _) = login_at(replica, "203.0.113.7", ADMIN, PASSWORD).await;
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    }
    app.database.drop().await;
}

#[tokio::test]
async fn every_kind_of_failed_login_does_the_same_work() {
    let Some(app) = TestApp::start().await else { return };
    let new = json!({ "email": "disabled@example.org", "password": "longenough1" });
    assert_eq!(app.post("/signup", new).await.0, StatusCode::CREATED);
    sqlx::query("update users set disabled_at = now() where email = 'disabled@example.org'")
        .execute(&app.database.pool)
        .await
        .unwrap();
    // The cost was raised, and no user has logged in since: an unknown user must not be the only one with the higher cost.
    let state = app.replica(passwords(16, 2));
    let app = TestApp { state, ..app };
    let before = app.state.passwords.hashes_computed();
    let mut responses = Vec::new();
    for (email, password) in [
        (ADMIN, "wrong-password"),
        ("unknown@example.org", "wrong-password"),
        ("zzz@example.org", "wrong-password"),
        ("disabled@example.org", "longenough1"),
    ] {
        responses.push(app.login(email, password).await);
        let computed = app.state.passwords.hashes_computed() - before;
        assert_eq!(computed, responses.len() as u64, "one hash for {email}");
        let email = Email::parse(email).unwrap();
        let candidate = user::find_login_candidate(&app.database.pool, &email).await.unwrap();
        let hash = candidate.password_hash.unwrap();
        assert!(hash.contains("m=8,t=1"), "{hash}");
    }
    assert_eq!(responses[0].0, StatusCode::UNAUTHORIZED);
    assert!(
        responses.iter().all(|response| *response == responses[0]),
        "{responses:?}"
    );
    app.database.drop().await;
}

#[tokio::test]
async fn a_raised_cost_applies_to_a_password_at_its_next_login() {
    let Some(app) = TestApp::start().await else { return };
    let stored = async || -> String {
        sqlx::query_scalar("select password_hash from users where email = $1")
            .bind(ADMIN)
            .fetch_one(&app.database.pool)
            .await
            .unwrap()
    };
    let first = stored().await;
    assert_eq!(app.login(ADMIN, PASSWORD).await.0, StatusCode::OK);
    assert_eq!(stored().await, first, "the cost is the same");
    let raised = app.replica(passwords(32, 3));
    let login = async |password| login_at(&raised, "203.0.113.7", ADMIN, password).await.0;
    assert_eq!(login("wrong-password").await, StatusCode::UNAUTHORIZED);
    assert_eq!(stored().await, first, "a wrong password changes nothing");
    assert_eq!(login(PASSWORD).await, StatusCode::OK);
    let second = stored().await;
    assert!(second.contains("m=32,t=3"), "{second}");
    assert_eq!(login(PASSWORD).await, StatusCode::OK);
    assert_eq!(stored().await, second, "rehashed only once");
    app.database.drop().await;
}

#[tokio::test]
async fn the_public_keys_are_cacheable() {
    let Some(app) = TestApp::start().await else { return };
    let (status, headers, keys) = app.get("/.well-known/jwks.json", None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["cache-control"], "public, max-age=60");
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(1), "{keys}");
    assert_eq!(keys["keys"][0]["d"], Value::Null, "no private key is published");
    app.database.drop().await;
}
