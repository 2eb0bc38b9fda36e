//! The service on a database of the test's own.

use std::convert::Infallible;
use std::sync::Arc;

use auth_service::app::App;
use auth_service::first_admin::FirstAdmin;
use auth_service::keyring::Keyring;
use auth_service::password::Passwords;
use auth_service::seal::Seal;
use auth_service::{MIGRATIONS, api};
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::{HeaderMap, Method, StatusCode};
use kit::Verifier;
use kit::testing::{AUDIENCE, TestDatabase};
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::PgPool;
use time::{Duration, OffsetDateTime};
use tower::ServiceExt;

pub const ADMIN: &str = "testuser@test.com";
pub const PASSWORD: &str = "password123";

pub fn secret(letter: &str) -> SecretString {
    letter.repeat(40).into()
}

pub async fn keyring(pool: &PgPool, seal: Seal, now: OffsetDateTime) -> anyhow::Result<Keyring> {
    Keyring::open(pool.clone(), seal, Duration::days(30), Verifier::local(AUDIENCE), now).await
}

pub struct Service {
    pub app: App,
    pub database: TestDatabase,
}

impl Service {
    /// A service with demo data, or none when there is no server for tests.
    pub async fn start() -> Option<Service> {
        let database = TestDatabase::create().await?;
        MIGRATIONS.run(&database.pool).await.unwrap();
        let seal = Seal::new(&secret("a"), None).unwrap();
        let app = App {
            pool: database.pool.clone(),
            passwords: Passwords::with(argon2::Params::new(8, 1, 1, None).unwrap(), 2).unwrap(),
            keyring: Arc::new(keyring(&database.pool, seal, OffsetDateTime::now_utc()).await.unwrap()),
            audience: AUDIENCE.into(),
            signup: true,
        };
        FirstAdmin::Demo.ensure(&app).await.unwrap();
        Some(Service { app, database })
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Value,
    ) -> (StatusCode, HeaderMap, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-forwarded-for", "203.0.113.9");
        request = request
            .header("x-forwarded-prefix", "/auth")
            .header("content-type", "application/json");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Body::from(body.to_string())).unwrap();
        let response: Result<Response, Infallible> = api::router(self.app.clone()).oneshot(request).await;
        let (parts, body) = response.unwrap().into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        (
            parts.status,
            parts.headers,
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        )
    }

    pub async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let (status, _, body) = self.send(Method::POST, path, None, body).await;
        (status, body)
    }

    pub async fn login(&self, email: &str, password: &str) -> (StatusCode, Value) {
        self.post("/login", json!({ "email": email, "password": password }))
            .await
    }

    pub async fn admin(&self) -> String {
        self.login(ADMIN, PASSWORD).await.1["token"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}
