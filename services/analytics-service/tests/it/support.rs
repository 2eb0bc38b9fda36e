//! The service with a database of the test.

use analytics_service::{AppState, MIGRATIONS, event_handler::PatientEventHandler, router};
use axum::{Router, body::Body};
use contracts::{patient::events::PatientEvent, topics::PATIENT};
use http::{HeaderMap, Request, StatusCode, header};
use kit::{
    Role, database,
    kafka::{Handled, Handler, Message},
    testing::{TestDatabase, TestTokens},
};
use prost::Message as _;
use serde_json::Value;
use time::OffsetDateTime;
use tower::ServiceExt;
use uuid::Uuid;

pub struct TestApp {
    pub database: TestDatabase,
    handler: PatientEventHandler,
    pub router: Router,
    pub tokens: TestTokens,
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
        Some(Self {
            handler: handler(&database),
            database,
            router,
            tokens,
        })
    }

    /// Delivers a message to the event handler.
    pub async fn deliver(&self, payload: &[u8]) -> Handled {
        let key = PatientEvent::decode(payload).map_or_else(|_| String::new(), |event| event.patient_id);
        let message = Message {
            topic: PATIENT,
            partition: 0,
            offset: 7,
            key: key.as_bytes(),
            payload,
        };
        self.handler.handle(&message).await.expect("no database error")
    }

    pub async fn get(&self, path: &str, role: Role) -> (StatusCode, Value) {
        let (status, _, body) = self.get_with_headers(path, role).await;
        (status, body)
    }

    pub async fn get_with_headers(&self, path: &str, role: Role) -> (StatusCode, HeaderMap, Value) {
        let token = format!("Bearer {}", self.tokens.token(role));
        let request = Request::get(path)
            .header(header::AUTHORIZATION, token)
            .body(Body::empty())
            .expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("a response");
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
        (
            parts.status,
            parts.headers,
            serde_json::from_slice(&body).expect("JSON"),
        )
    }

    /// Returns the patient's events as `TYPE VERSION`.
    pub async fn history(&self, patient: Uuid) -> Vec<String> {
        let (status, events) = self
            .get(&format!("/analytics/events?patientId={patient}"), Role::Admin)
            .await;
        assert_eq!(status, StatusCode::OK, "{events}");
        let events = events.as_array().expect("an array");
        events
            .iter()
            .map(|event| format!("{} {}", event["eventType"].as_str().expect("a type"), event["version"]))
            .collect()
    }
}

/// Returns a handler of the test's database.
pub fn handler(database: &TestDatabase) -> PatientEventHandler {
    PatientEventHandler {
        pool: database.pool.clone(),
    }
}

/// Returns an event of a patient who is 30 years old.
pub fn event(patient: Uuid, event_type: &str, version: i64, at: OffsetDateTime) -> PatientEvent {
    PatientEvent {
        patient_id: patient.to_string(),
        name: "Ada Example".to_owned(),
        email: "ada@example.org".to_owned(),
        event_type: event_type.to_owned(),
        event_id: Uuid::new_v4().to_string(),
        occurred_at: Some(prost_types::Timestamp {
            seconds: at.unix_timestamp(),
            nanos: 0,
        }),
        version,
        birth_year: at.year() - 30,
    }
}
