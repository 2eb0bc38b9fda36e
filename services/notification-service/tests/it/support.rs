//! The service with a database of the test, and a fake mailer.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{Router, body::Body};
use contracts::{patient::events::PatientEvent, topics::PATIENT};
use http::{HeaderMap, Request, StatusCode, header};
use kit::{
    Role, database,
    kafka::{Handled, Handler, Message},
    testing::{TestDatabase, TestTokens},
};
use notification_service::{
    AppState, MIGRATIONS, event_handler::PatientEventHandler, mailer::Mailer, message::EmailMessage, router,
    sender::Sender,
};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Notify;
use tower::ServiceExt;
use uuid::Uuid;

/// A mailer that records each attempt; the first `failures` attempts fail.
#[derive(Clone, Default)]
pub struct FakeMailer(Arc<Mutex<Attempts>>);

#[derive(Default)]
struct Attempts {
    /// Message-ID and subject of each attempt.
    messages: Vec<(String, String)>,
    failures: u32,
}

#[async_trait]
impl Mailer for FakeMailer {
    async fn deliver(&self, message: &EmailMessage) -> anyhow::Result<()> {
        assert_eq!(message.to, "ada@example.org");
        assert!(message.body.starts_with("Dear Ada Example,\n"), "{}", message.body);
        let mut attempts = self.0.lock();
        attempts
            .messages
            .push((message.message_id.clone(), message.subject.to_owned()));
        anyhow::ensure!(attempts.failures == 0, {
            attempts.failures -= 1;
            "the mail server is unavailable"
        });
        Ok(())
    }
}

impl FakeMailer {
    /// Lets the next attempts fail.
    pub fn fail(&self, attempts: u32) {
        self.0.lock().failures = attempts;
    }

    pub fn message_ids(&self) -> Vec<String> {
        self.0.lock().messages.iter().map(|(id, _)| id.clone()).collect()
    }

    pub fn subjects(&self) -> Vec<String> {
        let attempts = self.0.lock();
        attempts.messages.iter().map(|(_, subject)| subject.clone()).collect()
    }
}

pub struct TestApp {
    pub database: TestDatabase,
    pub mailer: FakeMailer,
    handler: PatientEventHandler,
    router: Router,
    tokens: TestTokens,
}

impl TestApp {
    /// Starts the service; `None` without a database server for tests.
    pub async fn start() -> Option<Self> {
        let database = TestDatabase::create().await?;
        database::migrate(&database.pool, &MIGRATIONS)
            .await
            .expect("migrations");
        let tokens = TestTokens::new();
        let router = router(AppState {
            pool: database.pool.clone(),
            verifier: tokens.verifier(),
        });
        let handler = PatientEventHandler {
            pool: database.pool.clone(),
            queued: Arc::new(Notify::new()),
        };
        Some(Self {
            database,
            mailer: FakeMailer::default(),
            handler,
            router,
            tokens,
        })
    }

    /// Returns a sender that the event handler wakes.
    pub fn sender(&self) -> Sender<FakeMailer> {
        Sender::new(
            self.database.pool.clone(),
            self.mailer.clone(),
            self.handler.queued.clone(),
        )
    }

    /// Delivers a message to the event handler.
    pub async fn deliver(&self, payload: &[u8]) -> Handled {
        let message = Message {
            topic: PATIENT,
            partition: 0,
            offset: 7,
            key: b"",
            payload,
        };
        self.handler.handle(&message).await.expect("no database error")
    }

    /// Sends all due notifications.
    pub async fn send_due(&self) {
        while self.sender().send_next().await.expect("no database error") {}
    }

    pub async fn get(&self, path: &str, role: Option<Role>) -> (StatusCode, HeaderMap, Value) {
        let mut request = Request::get(path);
        if let Some(role) = role {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.tokens.token(role)));
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("a response");
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
        (
            parts.status,
            parts.headers,
            serde_json::from_slice(&body).expect("JSON"),
        )
    }

    /// Returns the patient's notifications as `KIND STATUS`.
    pub async fn notifications(&self, patient: Uuid) -> Vec<String> {
        let path = format!("/notifications?patientId={patient}");
        let (status, _, listed) = self.get(&path, Some(Role::User)).await;
        assert_eq!(status, StatusCode::OK, "{listed}");
        let listed = listed.as_array().expect("an array");
        listed
            .iter()
            .map(|notification| format!("{} {}", notification["kind"], notification["status"]).replace('"', ""))
            .collect()
    }

    /// Makes every pending notification due, as if its pause or lease had ended.
    pub async fn make_all_due(&self) {
        let all = "update notifications set next_attempt_at = now() where status = 'PENDING'";
        sqlx::query(all).execute(&self.database.pool).await.expect("an update");
    }
}

pub fn event(patient: Uuid, event_type: &str, version: i64) -> PatientEvent {
    PatientEvent {
        patient_id: patient.to_string(),
        name: "Ada Example".to_owned(),
        email: "ada@example.org".to_owned(),
        event_type: event_type.to_owned(),
        event_id: Uuid::new_v4().to_string(),
        occurred_at: Some(prost_types::Timestamp {
            seconds: 1_790_000_000,
            nanos: 0,
        }),
        version,
        birth_year: 1990,
    }
}
