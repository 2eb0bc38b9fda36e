//! Who gets in, and how guessing is slowed down.

use argon2::Params;
use auth_service::{api, app::App, password::Passwords};
use axum::{body::Body, extract::Request};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::{ADMIN, PASSWORD, Service};

#[tokio::test]
async fn a_login_gives_a_token_that_holds_and_a_wrong_one_is_401() {
    let Some(service) = Service::start().await else { return };
    let (status, session) = service.login(" TestUser@test.com", PASSWORD).await;
    assert_eq!((status, &session["expiresIn"]), (StatusCode::OK, &json!(900)));
    let token = session["token"].as_str().unwrap();
    let claims = service.app.keyring.verifier().verify(token).await.unwrap();
    assert_eq!(
        (claims.email.as_str(), claims.role.as_str(), claims.exp - claims.iat),
        (ADMIN, "ADMIN", 900)
    );
    assert_eq!(
        service.send(Method::GET, "/validate", Some(token), Value::Null).await.0,
        StatusCode::OK
    );
    let forged = format!("{}AAA", &token[..token.len() - 3]);
    assert_eq!(
        service
            .send(Method::GET, "/validate", Some(&forged), Value::Null)
            .await
            .0,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        service.send(Method::GET, "/validate", None, Value::Null).await.0,
        StatusCode::UNAUTHORIZED
    );

    let wrong = service.login(ADMIN, "wrong-password").await;
    let unknown = service.login("nobody@example.org", "wrong-password").await;
    assert_eq!(wrong.0, StatusCode::UNAUTHORIZED);
    assert_eq!(wrong, unknown, "the answer must not tell whether there is such a user");
    let (status, problem) = service.login("", "").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        problem["errors"],
        json!({ "email": "Email is required", "password": "Password is required" })
    );
    service.database.drop().await;
}

#[tokio::test]
async fn many_failures_slow_down_the_pair_of_account_and_address_only() {
    let Some(service) = Service::start().await else { return };
    for attempt in 0..8 {
        assert_eq!(
            service.login(ADMIN, "wrong-password").await.0,
            StatusCode::UNAUTHORIZED,
            "attempt {attempt}"
        );
    }
    let body = json!({ "email": ADMIN, "password": PASSWORD });
    let (status, headers, _) = service.send(Method::POST, "/login", None, body.clone()).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(headers["retry-after"], "1");
    let elsewhere = Request::post("/login")
        .header("x-forwarded-for", "203.0.113.10")
        .header("content-type", "application/json");
    let elsewhere = elsewhere.body(Body::from(body.to_string())).unwrap();
    let response = api::router(service.app.clone()).oneshot(elsewhere).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "another address is not slowed down");
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(
        service.login(ADMIN, PASSWORD).await.0,
        StatusCode::OK,
        "the pause is over"
    );
    service.database.drop().await;
}

#[tokio::test]
async fn whoever_signs_up_is_a_user_whatever_is_asked_for() {
    let Some(mut service) = Service::start().await else {
        return;
    };
    let new = json!({ "email": "eve@example.org", "password": "longenough1", "role": "ADMIN" });
    let (status, made) = service.post("/signup", new.clone()).await;
    assert_eq!((status, &made["role"]), (StatusCode::CREATED, &json!("USER")));
    assert!(!made.to_string().contains("argon2"), "{made}");
    let (status, problem) = service.post("/signup", new.clone()).await;
    assert_eq!(
        (status, &problem["detail"]),
        (StatusCode::CONFLICT, &json!("Email address already exists"))
    );
    let short = json!({ "email": "short@example.org", "password": "short" });
    assert_eq!(service.post("/signup", short).await.0, StatusCode::BAD_REQUEST);

    let user = service.login("eve@example.org", "longenough1").await.1["token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        service.send(Method::GET, "/users", Some(&user), Value::Null).await.0,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        service.send(Method::GET, "/users", None, Value::Null).await.0,
        StatusCode::UNAUTHORIZED
    );
    service.app.signup = false;
    assert_eq!(service.post("/signup", new).await.0, StatusCode::NOT_FOUND);
    service.database.drop().await;
}

/// A login from this address.
async fn from(app: &App, address: &str, email: &str, password: &str) -> (StatusCode, Option<String>) {
    let request = Request::post("/login")
        .header("x-forwarded-for", address)
        .header("content-type", "application/json");
    let body = json!({ "email": email, "password": password }).to_string();
    let request = request.body(Body::from(body)).unwrap();
    let response = api::router(app.clone()).oneshot(request).await.unwrap();
    let wait = response.headers().get("retry-after");
    (response.status(), wait.map(|value| value.to_str().unwrap().to_owned()))
}

#[tokio::test]
async fn an_address_that_guesses_at_many_accounts_waits_but_not_for_accounts_that_are_known_there() {
    let Some(service) = Service::start().await else { return };
    let new = json!({ "email": "eve@example.org", "password": "longenough1" });
    assert_eq!(service.post("/signup", new).await.0, StatusCode::CREATED);
    assert_eq!(
        from(&service.app, "203.0.113.7", ADMIN, PASSWORD).await.0,
        StatusCode::OK
    );
    for guess in 0..100 {
        let email = format!("somebody{guess}@example.org");
        let (status, _) = from(&service.app, "203.0.113.7", &email, "password1").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "guess {guess}");
    }
    let (status, wait) = from(&service.app, "203.0.113.7", "eve@example.org", "longenough1").await;
    assert_eq!((status, wait.is_some()), (StatusCode::TOO_MANY_REQUESTS, true));
    assert_eq!(
        from(&service.app, "203.0.113.7", ADMIN, PASSWORD).await.0,
        StatusCode::OK,
        "known there"
    );
    assert_eq!(
        from(&service.app, "203.0.113.8", "eve@example.org", "longenough1")
            .await
            .0,
        StatusCode::OK,
        "the account is open from elsewhere"
    );
    service.database.drop().await;
}

#[tokio::test]
async fn replicas_count_failures_together() {
    let Some(service) = Service::start().await else { return };
    let other = App {
        passwords: Passwords::with(Params::new(8, 1, 1, None).unwrap(), 2).unwrap(),
        ..service.app.clone()
    };
    for replica in [&service.app, &other].into_iter().cycle().take(8) {
        let (status, _) = from(replica, "203.0.113.7", ADMIN, "wrong-password").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    for replica in [&service.app, &other] {
        assert_eq!(
            from(replica, "203.0.113.7", ADMIN, PASSWORD).await.0,
            StatusCode::TOO_MANY_REQUESTS
        );
    }
    service.database.drop().await;
}

#[tokio::test]
async fn every_kind_of_failed_login_does_the_same_work() {
    let Some(service) = Service::start().await else { return };
    let new = json!({ "email": "disabled@example.org", "password": "longenough1" });
    assert_eq!(service.post("/signup", new).await.0, StatusCode::CREATED);
    sqlx::query("update users set disabled_at = now() where email = 'disabled@example.org'")
        .execute(&service.database.pool)
        .await
        .unwrap();
    // The cost was raised, and nobody has logged in since: an unknown account must not be the only one that costs more.
    let raised = Passwords::with(Params::new(16, 2, 1, None).unwrap(), 2).unwrap();
    let app = App {
        passwords: raised,
        ..service.app.clone()
    };
    let service = Service { app, ..service };
    let before = service.app.passwords.work();
    let mut answers = Vec::new();
    for (email, password) in [
        (ADMIN, "wrong-password"),
        ("nobody@example.org", "wrong-password"),
        ("zzz@example.org", "wrong-password"),
        ("disabled@example.org", "longenough1"),
    ] {
        answers.push(service.login(email, password).await);
        let work = service.app.passwords.work() - before;
        assert_eq!(work, answers.len() as u64, "one hash for {email}");
        let email = auth_service::email::Email::parse(email).ok().unwrap();
        let candidate = auth_service::user::find_login(&service.database.pool, &email)
            .await
            .unwrap();
        let hash = candidate.password_hash.unwrap();
        assert!(hash.contains("m=8,t=1"), "{hash}");
    }
    assert_eq!(answers[0].0, StatusCode::UNAUTHORIZED);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    service.database.drop().await;
}

#[tokio::test]
async fn a_raised_cost_reaches_a_password_at_its_next_login() {
    let Some(service) = Service::start().await else { return };
    let stored = async || -> String {
        sqlx::query_scalar("select password_hash from users where email = $1")
            .bind(ADMIN)
            .fetch_one(&service.database.pool)
            .await
            .unwrap()
    };
    let first = stored().await;
    assert_eq!(service.login(ADMIN, PASSWORD).await.0, StatusCode::OK);
    assert_eq!(stored().await, first, "the cost is the same");
    let raised = Passwords::with(Params::new(32, 3, 1, None).unwrap(), 2).unwrap();
    let app = App {
        passwords: raised,
        ..service.app.clone()
    };
    let login = |password: &'static str| {
        let request = Request::post("/login").header("content-type", "application/json");
        let body = json!({ "email": ADMIN, "password": password }).to_string();
        api::router(app.clone()).oneshot(request.body(Body::from(body)).unwrap())
    };
    assert_eq!(
        login("wrong-password").await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(stored().await, first, "a wrong password changes nothing");
    assert_eq!(login(PASSWORD).await.unwrap().status(), StatusCode::OK);
    let second = stored().await;
    assert!(second.contains("m=32,t=3"), "{second}");
    assert_eq!(login(PASSWORD).await.unwrap().status(), StatusCode::OK);
    assert_eq!(stored().await, second, "once");
    service.database.drop().await;
}
