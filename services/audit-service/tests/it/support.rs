//! The service with a database of the test.

use std::collections::HashMap;

use audit_service::{
    AppState, MIGRATIONS, chain, chain::Head, event_handler::AuditEventHandler, openapi, router, verify,
    verify::Verification,
};
use axum::{Router, body::Body};
use contracts::audit::Event;
use http::{HeaderMap, Request, StatusCode, header};
use kit::{
    Role, ServeArgs, Server, database,
    testing::{TestDatabase, TestTokens},
};
use serde_json::Value;
use time::OffsetDateTime;
use tower::ServiceExt;
use uuid::Uuid;

pub struct TestApp {
    pub database: TestDatabase,
    router: Router,
    tokens: HashMap<&'static str, String>,
}

impl TestApp {
    /// Starts the service; `None` without a database server for tests.
    pub async fn start() -> Option<Self> {
        let database = TestDatabase::create().await?;
        database::migrate(&database.pool, &MIGRATIONS)
            .await
            .expect("migrations");
        let tokens = TestTokens::new();
        let state = AppState {
            pool: database.pool.clone(),
            verifier: tokens.verifier(),
        };
        let args = ServeArgs {
            host: [127, 0, 0, 1].into(),
            port: 0,
            shutdown_delay: 0,
            max_connections: 64,
        };
        let (router, _) = Server::new("audit-service", &args)
            .routes(router(state))
            .openapi(openapi())
            .routers();
        let roles = [Role::User, Role::Admin, Role::Auditor];
        Some(Self {
            database,
            router,
            tokens: roles.map(|role| (role.as_str(), tokens.token(role))).into(),
        })
    }

    /// Returns the handler of the test's database.
    pub fn handler(&self) -> AuditEventHandler {
        AuditEventHandler {
            pool: self.database.pool.clone(),
        }
    }

    /// Appends an event.
    pub async fn append(&self, event: &Event) -> chain::Appended {
        chain::append(&self.database.pool, event).await.expect("appended")
    }

    /// Verifies the whole chain.
    pub async fn verify(&self, expected: Option<&Head>) -> Verification {
        let verified = verify::verify(&self.database.pool, Head::default(), expected).await;
        verified.expect("no database error")
    }

    /// Sends a request with a token of this role, or without one.
    pub async fn get(&self, path: &str, role: Option<Role>) -> (StatusCode, HeaderMap, Value) {
        let mut request = Request::get(path).header("x-forwarded-for", "203.0.113.9");
        if let Some(role) = role {
            let token = format!("Bearer {}", self.tokens[role.as_str()]);
            request = request.header(header::AUTHORIZATION, token);
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("a response");
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        (parts.status, parts.headers, body)
    }

    /// Reads a document of any size as an administrator.
    pub async fn get_large(&self, path: &str) -> Value {
        let request = Request::get(path).header(header::AUTHORIZATION, format!("Bearer {}", self.tokens["ADMIN"]));
        let request = request.body(Body::empty()).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("a response");
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
        serde_json::from_slice(&body.expect("a body")).expect("JSON")
    }

    /// Reads a page as an auditor.
    pub async fn read(&self, path: &str) -> (HeaderMap, Vec<Value>) {
        let (status, headers, body) = self.get(path, Some(Role::Auditor)).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        (headers, body.as_array().expect("an array").clone())
    }

    /// Returns action and outcome of every record of this service's own requests, oldest first.
    pub async fn own_records(&self) -> Vec<(String, i32)> {
        let select = "select action, outcome from records where service = 'audit-service' order by position";
        let rows = sqlx::query_as(select).fetch_all(&self.database.pool).await;
        rows.expect("the records")
    }
}

/// Returns the event of a user who reads a patient.
pub fn event(patient: Uuid) -> Event {
    Event {
        event_id: Uuid::new_v4(),
        occurred_at: OffsetDateTime::from_unix_timestamp_nanos(1_790_000_000_123_456_789).expect("a time"),
        actor: Uuid::new_v4(),
        role: "USER".to_owned(),
        session: Some(Uuid::new_v4()),
        address: Some([203, 0, 113, 9].into()),
        action: "READ".to_owned(),
        route: "GET /patients/{id}".to_owned(),
        patient: Some(patient),
        shown: Vec::new(),
        changed_fields: Vec::new(),
        outcome: 200,
        trace: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
        service: "patient-service".to_owned(),
    }
}
