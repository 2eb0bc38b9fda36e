//! The second factor: codes of an authenticator, and recovery codes.

use auth_service::AppState;
use auth_service::seal::Seal;
use auth_service::totp::reseal_all;
use aws_lc_rs::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key, sign};
use http::{Method, StatusCode};
use kit::database::Pool;
use serde_json::{Value, json};
use time::OffsetDateTime;
use url::Url;

use crate::support::{ADMIN, PASSWORD, TestApp, login_at, secret};

/// An authenticator, as another project would write it.
struct Authenticator {
    secret: Vec<u8>,
    /// The code that confirmed it.
    first_code: String,
}

impl Authenticator {
    fn read(uri: &Value) -> Self {
        let uri: Url = uri.as_str().unwrap().parse().unwrap();
        let (_, text) = uri.query_pairs().find(|(name, _)| name == "secret").unwrap();
        let bits: String = text
            .chars()
            .map(|character| format!("{:05b}", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(character).unwrap()))
            .collect();
        let bytes = bits.as_bytes().chunks_exact(8);
        let byte = |bits: &[u8]| u8::from_str_radix(std::str::from_utf8(bits).unwrap(), 2).unwrap();
        Self {
            secret: bytes.map(byte).collect(),
            first_code: String::new(),
        }
    }

    /// Returns the code of the present step, or of one some steps later.
    fn code(&self, later: i64) -> String {
        let step = OffsetDateTime::now_utc().unix_timestamp() / 30 + later;
        let tag = sign(
            &Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.secret),
            &step.to_be_bytes(),
        );
        let offset = usize::from(tag.as_ref()[19] & 15);
        let number = u32::from_be_bytes(tag.as_ref()[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
        format!("{:06}", number % 1_000_000)
    }

    /// Returns a code that is not valid now.
    fn wrong_code(&self) -> String {
        let valid: Vec<String> = (-2..=2).map(|later| self.code(later)).collect();
        let mut codes = (0..10).map(|digit| format!("{digit}00000"));
        codes.find(|code| !valid.contains(code)).unwrap()
    }
}

/// Sets up an authenticator, and returns it with the recovery codes.
async fn set_up(app: &TestApp, token: &str, password: &str) -> (Authenticator, Vec<String>) {
    let (status, _, body) = post(app, "/totp", token, json!({ "password": password })).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    let mut authenticator = Authenticator::read(&body["uri"]);
    authenticator.first_code = authenticator.code(0);
    let confirmation = json!({ "totp": authenticator.first_code });
    let (status, _, body) = post(app, "/totp/confirm", token, confirmation).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let codes = body["recoveryCodes"].as_array().unwrap().iter();
    (
        authenticator,
        codes.map(|code| code.as_str().unwrap().to_owned()).collect(),
    )
}

async fn post(app: &TestApp, path: &str, token: &str, body: Value) -> (StatusCode, http::HeaderMap, Value) {
    app.send(Method::POST, path, Some(token), body).await
}

async fn login(app: &TestApp, password: &str, code: &str) -> (StatusCode, Value) {
    app.post("/login", json!({ "email": ADMIN, "password": password, "totp": code }))
        .await
}

/// Lets the present code be used again.
async fn forget_codes(pool: &Pool) {
    sqlx::query("update totp set last_step = 0")
        .execute(pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_login_needs_a_code_once_the_authenticator_is_confirmed_and_each_code_is_valid_once() {
    let Some(app) = TestApp::start().await else { return };
    let token = app.admin_token().await;
    let (status, _, problem) = post(&app, "/totp", &token, json!({ "password": "a guess" })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(problem["errors"]["password"].is_string());
    let password = json!({ "password": PASSWORD });
    let first = Authenticator::read(&post(&app, "/totp", &token, password.clone()).await.2["uri"]);
    assert_eq!(app.login(ADMIN, PASSWORD).await.0, StatusCode::OK, "not confirmed");
    let state = app.get("/totp", Some(&token)).await.2;
    assert_eq!(state, json!({ "enabled": false, "recoveryCodes": 0 }));

    let (authenticator, recovery) = set_up(&app, &token, PASSWORD).await;
    assert!(first.secret != authenticator.secret, "the first secret was replaced");
    assert_eq!(post(&app, "/totp", &token, password).await.0, StatusCode::CONFLICT);
    let again = json!({ "totp": authenticator.code(1) });
    assert_eq!(
        post(&app, "/totp/confirm", &token, again).await.0,
        StatusCode::BAD_REQUEST
    );
    let state = app.get("/totp", Some(&token)).await.2;
    assert_eq!(state, json!({ "enabled": true, "recoveryCodes": 10 }));

    let (status, problem) = app.login(ADMIN, PASSWORD).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(problem["errors"]["totp"].is_string());
    assert_eq!(
        login(&app, PASSWORD, "").await.0,
        StatusCode::BAD_REQUEST,
        "as without a code"
    );
    assert_eq!(login(&app, PASSWORD, &"1".repeat(41)).await.0, StatusCode::BAD_REQUEST);
    let (refused, accepted) = (StatusCode::UNAUTHORIZED, StatusCode::OK);
    assert_eq!(login(&app, PASSWORD, &authenticator.wrong_code()).await.0, refused);
    assert_eq!(
        login(&app, PASSWORD, &authenticator.first_code).await.0,
        refused,
        "used at the confirmation"
    );
    let next = authenticator.code(1);
    assert_eq!(
        login(&app, "a guess", &next).await.0,
        refused,
        "which does not use it up"
    );
    let (status, session) = login(&app, PASSWORD, &format!("{} {}", &next[..3], &next[3..])).await;
    assert_eq!(status, accepted, "{session}");
    assert_eq!(login(&app, PASSWORD, &next).await.0, refused, "used");

    let typed = format!("{}-{}", recovery[0][..8].to_lowercase(), &recovery[0][8..]);
    assert_eq!(login(&app, PASSWORD, &typed).await.0, accepted);
    assert_eq!(login(&app, PASSWORD, &typed).await.0, refused, "used");
    assert_eq!(app.get("/totp", Some(&token)).await.2["recoveryCodes"], 9);
    app.database.drop().await;
}

#[tokio::test]
async fn an_authenticator_is_removed_with_password_and_code() {
    let Some(app) = TestApp::start().await else { return };
    let token = app.admin_token().await;
    let (authenticator, recovery) = set_up(&app, &token, PASSWORD).await;
    let remove = async |password: &str, code: &str| {
        let body = json!({ "password": password, "totp": code });
        post(&app, "/totp/remove", &token, body).await.0
    };
    assert_eq!(remove("a guess", &recovery[0]).await, StatusCode::BAD_REQUEST);
    assert_eq!(
        remove(PASSWORD, &authenticator.wrong_code()).await,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(remove(PASSWORD, "").await, StatusCode::BAD_REQUEST);
    assert_eq!(
        app.login(ADMIN, PASSWORD).await.0,
        StatusCode::BAD_REQUEST,
        "still there"
    );
    assert_eq!(remove(PASSWORD, &recovery[0]).await, StatusCode::NO_CONTENT);
    assert_eq!(remove(PASSWORD, &recovery[1]).await, StatusCode::BAD_REQUEST, "gone");
    assert_eq!(app.login(ADMIN, PASSWORD).await.0, StatusCode::OK);
    let (next, _) = set_up(&app, &token, PASSWORD).await;
    assert!(next.secret != authenticator.secret);
    assert_eq!(
        login(&app, PASSWORD, &recovery[1]).await.0,
        StatusCode::UNAUTHORIZED,
        "of the former one"
    );
    app.database.drop().await;
}

#[tokio::test]
async fn an_administrator_removes_the_authenticator_of_a_user_but_not_the_own_one() {
    let Some(app) = TestApp::start().await else { return };
    let admin = app.admin_token().await;
    let new = json!({ "email": "nurse@example.org", "password": "longenough1" });
    let (_, _, user) = app.send(Method::POST, "/users", Some(&admin), new).await;
    let token = app.token("nurse@example.org", "longenough1").await;
    set_up(&app, &token, "longenough1").await;
    let remove = async |id: &str, token: &str| {
        let path = format!("/users/{id}/totp");
        app.send(Method::DELETE, &path, Some(token), Value::Null).await.0
    };
    let id = user["id"].as_str().unwrap();
    assert_eq!(remove(id, &token).await, StatusCode::FORBIDDEN);
    assert_eq!(remove(id, &admin).await, StatusCode::NO_CONTENT);
    assert_eq!(remove(id, &admin).await, StatusCode::NOT_FOUND);
    assert_eq!(app.login("nurse@example.org", "longenough1").await.0, StatusCode::OK);
    let unknown = "00000000-0000-4000-8000-000000000000";
    assert_eq!(remove(unknown, &admin).await, StatusCode::NOT_FOUND);
    let own = app.state.keyring.verifier().verify(&admin).await.unwrap().sub;
    assert_eq!(remove(&own.to_string(), &admin).await, StatusCode::CONFLICT);
    app.database.drop().await;
}

#[tokio::test]
async fn wrong_codes_slow_down_the_account_at_every_address_and_tell_strangers_nothing() {
    let Some(app) = TestApp::start().await else { return };
    let token = app.admin_token().await;
    let (authenticator, recovery) = set_up(&app, &token, PASSWORD).await;
    let wrong = authenticator.wrong_code();
    for attempt in 0..8 {
        let status = login(&app, PASSWORD, &wrong).await.0;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{attempt}");
    }
    let pause = "update login_failures set failures = 1000 where failures >= 8";
    sqlx::query(pause).execute(&app.database.pool).await.unwrap();
    let (status, headers) = login_at(&app.state, "198.51.100.7", ADMIN, PASSWORD).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert!(headers.contains_key("retry-after"));
    // Only the count of the account's codes is left.
    let user = app.state.keyring.verifier().verify(&token).await.unwrap().sub;
    sqlx::query("delete from login_failures where pair <> sha256(convert_to($1, 'UTF8'))")
        .bind(format!("code\n{user}"))
        .execute(&app.database.pool)
        .await
        .unwrap();
    let body = json!({ "password": PASSWORD, "totp": recovery[0] });
    assert_eq!(
        post(&app, "/totp/remove", &token, body).await.0,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(
        login(&app, PASSWORD, &recovery[0]).await.0,
        StatusCode::TOO_MANY_REQUESTS
    );
    for email in [ADMIN, "unknown@example.org"] {
        let (status, headers) = login_at(&app.state, "198.51.100.8", email, "a guess").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{email}");
        assert!(!headers.contains_key("retry-after"));
    }
    app.database.drop().await;
}

#[tokio::test]
async fn without_the_password_nobody_sees_who_has_an_authenticator() {
    let Some(app) = TestApp::start().await else { return };
    let new = json!({ "email": "plain@example.org", "password": "longenough1" });
    assert_eq!(app.post("/signup", new).await.0, StatusCode::CREATED);
    let token = app.admin_token().await;
    set_up(&app, &token, PASSWORD).await;
    for code in [Value::Null, json!("123456"), json!("")] {
        let mut seen = Vec::new();
        let hashes = app.state.passwords.hashes_computed();
        for email in [ADMIN, "plain@example.org", "unknown@example.org"] {
            let body = json!({ "email": email, "password": "a guess", "totp": code });
            seen.push(app.post("/login", body).await);
        }
        assert_eq!(seen[0].0, StatusCode::UNAUTHORIZED, "{code}");
        assert!(seen.iter().all(|one| *one == seen[0]), "{code}: {seen:?}");
        assert_eq!(app.state.passwords.hashes_computed() - hashes, 3);
    }
    let body = json!({ "email": "plain@example.org", "password": "longenough1", "totp": "123456" });
    assert_eq!(
        app.post("/login", body).await.0,
        StatusCode::OK,
        "no authenticator, no code"
    );
    app.database.drop().await;
}

#[tokio::test]
async fn of_concurrent_uses_of_a_code_one_succeeds() {
    let Some(app) = TestApp::start().await else { return };
    let token = app.admin_token().await;
    let (authenticator, recovery) = set_up(&app, &token, PASSWORD).await;
    for code in [authenticator.code(1), recovery[0].clone()] {
        let attempt = || login(&app, PASSWORD, &code);
        let attempts = tokio::join!(attempt(), attempt(), attempt());
        let statuses = [attempts.0.0, attempts.1.0, attempts.2.0];
        let succeeded = statuses.iter().filter(|status| **status == StatusCode::OK).count();
        assert_eq!(succeeded, 1, "{statuses:?}");
    }
    app.database.drop().await;
}

#[tokio::test]
async fn secrets_and_recovery_codes_are_not_readable_in_the_database_and_outlive_a_change_of_the_key() {
    let Some(app) = TestApp::start().await else { return };
    let token = app.admin_token().await;
    let (authenticator, recovery) = set_up(&app, &token, PASSWORD).await;
    let pool = &app.database.pool;
    let sealed: Vec<u8> = sqlx::query_scalar("select sealed_secret from totp")
        .fetch_one(pool)
        .await
        .unwrap();
    assert!(!sealed.windows(20).any(|part| part == authenticator.secret));
    let digests: Vec<Vec<u8>> = sqlx::query_scalar("select digest from totp_recovery_codes")
        .fetch_all(pool)
        .await
        .unwrap();
    assert!(
        digests
            .iter()
            .all(|digest| digest.len() == 32 && *digest != recovery[0].as_bytes())
    );

    let log_in_with = async |seal: Seal| {
        forget_codes(pool).await;
        let state = AppState {
            seal: seal.into(),
            ..app.state.clone()
        };
        let replica = TestApp {
            state,
            database: kit::testing::TestDatabase::create().await.unwrap(),
        };
        let status = login(&replica, PASSWORD, &authenticator.code(0)).await.0;
        replica.database.drop().await;
        status
    };
    let new = || Seal::new(&secret("b"), None).unwrap();
    let rotating = || Seal::new(&secret("b"), Some(&secret("a"))).unwrap();
    assert_eq!(
        log_in_with(new()).await,
        StatusCode::INTERNAL_SERVER_ERROR,
        "without the former key"
    );
    assert_eq!(log_in_with(rotating()).await, StatusCode::OK);
    reseal_all(pool, &rotating()).await.unwrap();
    assert_eq!(log_in_with(new()).await, StatusCode::OK);
    app.database.drop().await;
}
