//! Users, roles and sessions by single sign-on, against a provider on loopback.

use std::sync::Arc;

use auth_service::oidc::{Provider, Settings};
use auth_service::router;
use axum::body::Body;
use axum::extract::Request;
use http::{HeaderMap, Method, StatusCode};
use kit::token::{Claims, Role};
use serde_json::{Value, json};
use tower::ServiceExt;
use url::Url;

use crate::fake_provider::FakeProvider;
use crate::support::{ADMIN, PASSWORD, TestApp};

/// A browser that has started a login.
pub struct Started {
    /// Address at the provider.
    pub url: Url,
    pub cookie: String,
}

impl Started {
    pub fn state(&self) -> String {
        let mut pairs = self.url.query_pairs();
        pairs.find(|(name, _)| name == "state").unwrap().1.into_owned()
    }
}

pub async fn get(app: &TestApp, path: &str, cookie: &str) -> (StatusCode, HeaderMap, Value) {
    let request = Request::get(path).header("cookie", format!("other=1; {cookie}; last=2"));
    let request = request.body(Body::empty()).unwrap();
    let response = router(app.state.clone()).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    (parts.status, parts.headers, body)
}

pub async fn begin(app: &TestApp) -> Started {
    let (status, headers, _) = get(app, "/oidc/login", "").await;
    assert_eq!(status, StatusCode::FOUND);
    let cookie = headers["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Host-oidc_login="), "{cookie}");
    assert!(
        cookie.ends_with("; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure"),
        "{cookie}"
    );
    Started {
        url: headers["location"].to_str().unwrap().parse().unwrap(),
        cookie: cookie.split(';').next().unwrap().to_owned(),
    }
}

pub async fn complete(app: &TestApp, started: &Started, code: &str) -> (StatusCode, Value) {
    let path = format!("/oidc/callback?code={code}&state={}", started.state());
    let (status, _, body) = get(app, &path, &started.cookie).await;
    (status, body)
}

/// Logs in with the present claims of the provider.
pub async fn log_in(app: &TestApp, provider: &FakeProvider) -> (StatusCode, Value) {
    let started = begin(app).await;
    let code = provider.authorize(&started.url);
    complete(app, &started, &code).await
}

pub async fn claims(app: &TestApp, session: &Value) -> Claims {
    let token = session["token"].as_str().unwrap();
    app.state.keyring.verifier().verify(token).await.unwrap()
}

async fn is_valid(app: &TestApp, session: &Value) -> bool {
    app.get("/validate", session["token"].as_str()).await.0 == StatusCode::OK
}

pub async fn users(app: &TestApp) -> i64 {
    let count = sqlx::query_scalar("select count(*) from users");
    count.fetch_one(&app.database.pool).await.unwrap()
}

pub async fn start() -> Option<(TestApp, FakeProvider)> {
    let mut app = TestApp::start().await?;
    let provider = FakeProvider::start().await;
    app.state.oidc = Some(provider.client());
    Some((app, provider))
}

/// Replaces the client of the provider by one with other settings.
pub fn configure(app: &mut TestApp, settings: Settings) {
    app.state.oidc = Some(Arc::new(Provider::new(settings).unwrap()));
}

#[tokio::test]
async fn without_a_provider_the_routes_are_404() {
    let Some(app) = TestApp::start().await else { return };
    for path in ["/oidc/login", "/oidc/callback", "/oidc/callback?code=1&state=2"] {
        assert_eq!(app.get(path, None).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    app.database.drop().await;
}

#[tokio::test]
async fn the_first_login_creates_a_user_whose_session_is_like_every_other_one_and_shorter() {
    let Some((app, provider)) = start().await else { return };
    let (status, session) = log_in(&app, &provider).await;
    assert_eq!((status, &session["expiresIn"]), (StatusCode::OK, &json!(900)));
    let first = claims(&app, &session).await;
    assert_eq!((first.email.as_str(), first.role), ("ada@example.org", Role::User));
    let (_, again) = log_in(&app, &provider).await;
    assert_eq!(claims(&app, &again).await.sub, first.sub, "the same user");
    let ends_within_12_hours = "select bool_and(family_expires_at <= now() + interval '12 hours') from refresh_tokens";
    let ends: bool = sqlx::query_scalar(ends_within_12_hours)
        .fetch_one(&app.database.pool)
        .await
        .unwrap();
    assert!(ends);
    let (_, _, sessions) = app.get("/sessions", session["token"].as_str()).await;
    assert_eq!(sessions.as_array().unwrap().len(), 2);

    let refresh = json!({ "refreshToken": session["refreshToken"] });
    let (status, next) = app.post("/refresh", refresh).await;
    assert_eq!(status, StatusCode::OK);
    let logout = json!({ "refreshToken": next["refreshToken"] });
    assert_eq!(app.post("/logout", logout).await.0, StatusCode::NO_CONTENT);
    assert!(!is_valid(&app, &next).await);
    app.database.drop().await;
}

#[tokio::test]
async fn concurrent_first_logins_create_one_user() {
    let Some((app, provider)) = start().await else { return };
    let before = users(&app).await;
    let logins = tokio::join!(
        log_in(&app, &provider),
        log_in(&app, &provider),
        log_in(&app, &provider)
    );
    for (status, body) in [logins.0, logins.1, logins.2] {
        assert_eq!(status, StatusCode::OK, "{body}");
    }
    assert_eq!(users(&app).await, before + 1);
    app.database.drop().await;
}

#[tokio::test]
async fn a_new_key_of_the_provider_is_read_when_it_is_first_used() {
    let Some((app, provider)) = start().await else { return };
    assert_eq!(log_in(&app, &provider).await.0, StatusCode::OK);
    provider.rotate();
    assert_eq!(log_in(&app, &provider).await.0, StatusCode::OK);
    app.database.drop().await;
}

#[tokio::test]
async fn claims_that_are_not_in_the_token_are_read_from_the_user_info_of_the_same_user() {
    let Some((app, provider)) = start().await else { return };
    let (full, other) = (
        json!({"sub": "subject-1", "email": "info@example.org", "email_verified": true, "roles": "admins"}),
        "x",
    );
    let mut of_another = full.clone();
    of_another["sub"] = json!(other);
    provider.forge(|token| {
        let claims = token.claims.as_object_mut().unwrap();
        claims.retain(|name, _| !matches!(name.as_str(), "email" | "email_verified" | "roles"));
    });
    for (user_info, expected) in [
        (json!({"sub": "subject-1"}), StatusCode::FORBIDDEN),
        (of_another, StatusCode::BAD_GATEWAY),
        (json!([]), StatusCode::BAD_GATEWAY),
        (full, StatusCode::OK),
    ] {
        provider.shared.lock().user_info = user_info;
        let (status, session) = log_in(&app, &provider).await;
        assert_eq!(status, expected);
        if status == StatusCode::OK {
            let claims = claims(&app, &session).await;
            assert_eq!((claims.email.as_str(), claims.role), ("info@example.org", Role::Admin));
        }
    }
    app.database.drop().await;
}

#[tokio::test]
async fn an_address_must_be_verified_and_free() {
    let Some((mut app, provider)) = start().await else {
        return;
    };
    let before = users(&app).await;
    for (claim, value) in [
        ("email_verified", json!(false)),
        ("email_verified", Value::Null),
        ("email", json!("not an address")),
        ("email", Value::Null),
    ] {
        let former = provider.shared.lock().claims[claim].clone();
        provider.set(claim, value.clone());
        assert_eq!(
            log_in(&app, &provider).await.0,
            StatusCode::FORBIDDEN,
            "{claim} {value}"
        );
        provider.set(claim, former);
    }
    provider.set("email", json!(ADMIN.to_uppercase()));
    assert_eq!(
        log_in(&app, &provider).await.0,
        StatusCode::CONFLICT,
        "an account with a password"
    );
    assert_eq!(users(&app).await, before);
    assert_eq!(app.login(ADMIN, PASSWORD).await.0, StatusCode::OK, "which is unchanged");

    provider.set("email", json!("ada@example.org"));
    assert_eq!(log_in(&app, &provider).await.0, StatusCode::OK);
    provider.set("email", json!(ADMIN));
    assert_eq!(
        log_in(&app, &provider).await.0,
        StatusCode::CONFLICT,
        "a new address of a known user"
    );
    provider.set("email", json!("ada.king@example.org"));
    let (_, session) = log_in(&app, &provider).await;
    assert_eq!(claims(&app, &session).await.email, "ada.king@example.org");
    provider.set("sub", json!("subject-2"));
    assert_eq!(
        log_in(&app, &provider).await.0,
        StatusCode::CONFLICT,
        "another user of the provider"
    );

    let settings = Settings {
        allow_unverified_email: true,
        ..provider.settings()
    };
    configure(&mut app, settings);
    provider.set("email", json!("unverified@example.org"));
    provider.set("email_verified", json!(false));
    assert_eq!(log_in(&app, &provider).await.0, StatusCode::OK, "as configured");
    app.database.drop().await;
}

#[tokio::test]
async fn a_role_follows_the_claims_and_a_change_ends_older_sessions() {
    let Some((app, provider)) = start().await else { return };
    provider.set("roles", json!(["clinicians", "admins"]));
    let (_, admin) = log_in(&app, &provider).await;
    let id = claims(&app, &admin).await;
    assert_eq!(id.role, Role::Admin, "the first entry of the map");
    provider.set("roles", json!("clinicians"));
    let (_, user) = log_in(&app, &provider).await;
    assert_eq!(claims(&app, &user).await.role, Role::User);
    assert!(!is_valid(&app, &admin).await, "the session with the former role");
    assert!(is_valid(&app, &user).await);

    let local = app.admin_token().await;
    let path = format!("/users/{}", id.sub);
    let patch = async |change| app.send(Method::PATCH, &path, Some(&local), change).await;
    assert_eq!(patch(json!({"role": "ADMIN"})).await.0, StatusCode::CONFLICT);
    let (status, _, view) = patch(json!({"role": "USER", "disabled": true})).await;
    assert_eq!((status, &view["singleSignOn"]), (StatusCode::OK, &json!(true)));
    assert!(!is_valid(&app, &user).await);
    assert_eq!(log_in(&app, &provider).await.0, StatusCode::FORBIDDEN, "disabled");
    patch(json!({"disabled": false})).await;
    let (status, user) = log_in(&app, &provider).await;
    assert_eq!(status, StatusCode::OK);
    for roles in [json!([]), json!(["Admins"]), json!({"admins": true}), Value::Null] {
        provider.set("roles", roles.clone());
        assert_eq!(log_in(&app, &provider).await.0, StatusCode::FORBIDDEN, "{roles}");
    }
    assert!(!is_valid(&app, &user).await, "no role ends the sessions");
    app.database.drop().await;
}

#[tokio::test]
async fn a_user_of_the_provider_has_no_password() {
    let Some((mut app, provider)) = start().await else {
        return;
    };
    app.state.mailer = Some(Arc::new(kit::testing::Mailbox::default()));
    let (_, session) = log_in(&app, &provider).await;
    let token = session["token"].as_str();
    let hashes = app.state.passwords.hashes_computed();
    for (email, password) in [
        ("ada@example.org", ""),
        ("ada@example.org", "a guess"),
        ("nobody@example.org", "a guess"),
    ] {
        let expected = if password.is_empty() {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::UNAUTHORIZED
        };
        assert_eq!(app.login(email, password).await.0, expected, "{email}");
    }
    assert_eq!(
        app.state.passwords.hashes_computed() - hashes,
        2,
        "the work of an unknown address"
    );
    let change = json!({"currentPassword": "a guess", "newPassword": "correct horse"});
    assert_eq!(
        app.send(Method::PUT, "/password", token, change).await.0,
        StatusCode::CONFLICT
    );
    let enrolment = json!({"password": "a guess"});
    let (status, ..) = app.send(Method::POST, "/totp", token, enrolment).await;
    assert_eq!(status, StatusCode::CONFLICT, "nor a second factor");
    let admin = app.admin_token().await;
    let path = format!("/users/{}/password/reset", claims(&app, &session).await.sub);
    assert_eq!(
        app.send(Method::POST, &path, Some(&admin), json!({})).await.0,
        StatusCode::CONFLICT
    );
    assert!(is_valid(&app, &session).await);
    app.database.drop().await;
}
