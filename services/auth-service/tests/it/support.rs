//! The service with a database of the test.

use std::convert::Infallible;
use std::sync::Arc;

use argon2::Params;
use auth_service::first_admin::FirstAdmin;
use auth_service::keyring::{Keyring, KeyringError};
use auth_service::password::Passwords;
use auth_service::revocation::RevocationFeed;
use auth_service::seal::Seal;
use auth_service::{AppState, MIGRATIONS, router};
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::{HeaderMap, Method, StatusCode};
use kit::Verifier;
use kit::database::Pool;
use kit::testing::{AUDIENCE, TestDatabase};
use secrecy::SecretString;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use tower::ServiceExt;

/// Email address of the demo administrator.
pub const ADMIN: &str = "testuser@test.com";
/// Password of the demo administrator.
pub const PASSWORD: &str = "password123";
/// Address of the client in [`TestApp::send`].
const CLIENT: &str = "203.0.113.9";

/// Returns a secret of 40 equal characters.
pub fn secret(character: &str) -> SecretString {
    character.repeat(40).into()
}

pub async fn keyring(pool: &Pool, seal: Seal, now: OffsetDateTime) -> Result<Keyring, KeyringError> {
    Keyring::open(pool.clone(), seal, Duration::days(30), Verifier::local(AUDIENCE), now).await
}

/// Returns password hashing of this cost, with two hashes at once.
pub fn passwords(memory_kib: u32, passes: u32) -> Passwords {
    Passwords::with_concurrency(Params::new(memory_kib, passes, 1, None).unwrap(), 2).unwrap()
}

pub struct TestApp {
    pub state: AppState,
    pub database: TestDatabase,
}

impl TestApp {
    /// Starts the service with demo data; `None` without a database server for tests.
    pub async fn start() -> Option<Self> {
        let database = TestDatabase::create().await?;
        kit::database::migrate(&database.pool, &MIGRATIONS).await.unwrap();
        let seal = Seal::new(&secret("a"), None).unwrap();
        let state = AppState {
            pool: database.pool.clone(),
            passwords: passwords(8, 1),
            keyring: Arc::new(keyring(&database.pool, seal, OffsetDateTime::now_utc()).await.unwrap()),
            seal: Arc::new(Seal::new(&secret("a"), None).unwrap()),
            mailer: None,
            oidc: None,
            password_reset_url: None,
            reset_requested: Arc::default(),
            revocations: Arc::new(RevocationFeed::new(database.pool.clone())),
            audience: AUDIENCE.into(),
            signup_enabled: true,
        };
        FirstAdmin::Demo.ensure(&state).await.unwrap();
        Some(Self { state, database })
    }

    /// Returns a second replica on the same database, with another cost of password hashes.
    pub fn replica(&self, passwords: Passwords) -> AppState {
        AppState {
            passwords,
            ..self.state.clone()
        }
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Value,
    ) -> (StatusCode, HeaderMap, Value) {
        send_to(&self.state, CLIENT, method, path, token, body).await
    }

    pub async fn get(&self, path: &str, token: Option<&str>) -> (StatusCode, HeaderMap, Value) {
        self.send(Method::GET, path, token, Value::Null).await
    }

    pub async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let (status, _, body) = self.send(Method::POST, path, None, body).await;
        (status, body)
    }

    pub async fn login(&self, email: &str, password: &str) -> (StatusCode, Value) {
        self.post("/login", json!({ "email": email, "password": password }))
            .await
    }

    /// Logs in and returns the access token.
    pub async fn token(&self, email: &str, password: &str) -> String {
        self.login(email, password).await.1["token"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub async fn admin_token(&self) -> String {
        self.token(ADMIN, PASSWORD).await
    }
}

/// Logs in at a replica, from a client address.
pub async fn login_at(state: &AppState, address: &str, email: &str, password: &str) -> (StatusCode, HeaderMap) {
    let body = json!({ "email": email, "password": password });
    let (status, headers, _) = send_to(state, address, Method::POST, "/login", None, body).await;
    (status, headers)
}

async fn send_to(
    state: &AppState,
    address: &str,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: Value,
) -> (StatusCode, HeaderMap, Value) {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("x-forwarded-for", address)
        .header("x-forwarded-prefix", "/auth")
        .header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Body::from(body.to_string())).unwrap();
    let response: Result<Response, Infallible> = router(state.clone()).oneshot(request).await;
    let (parts, body) = response.unwrap().into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    (parts.status, parts.headers, body)
}
