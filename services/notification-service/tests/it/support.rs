//! The service with a database of the test, and a fake mailer.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{Router, body::Body};
use contracts::{patient::events::PatientEvent, topics::PATIENT};
use http::{HeaderMap, Request, StatusCode, header};
use kit::{
    Role, database,
    kafka::{Handled, Handler, Message},
    mail::{Mail, MailError, Mailer},
    testing::{TestDatabase, TestTokens},
};
use notification_service::{AppState, MIGRATIONS, event_handler::PatientEventHandler, router, sender::Sender};
use parking_lot::Mutex;
use prost::Message as _;
use serde_json::Value;
use tokio::sync::Notify;
use tower::ServiceExt;
use uuid::Uuid;

/// A mailer that records each attempt; the first `failures` attempts fail.
#[derive(Clone, Default)]
pub struct FakeMailer(Arc<Mutex<Attempts>>);

#[derive(Default)]
struct Attempts {
    mails: Vec<Mail>,
    failures: u32,
    error: Option<MailError>,
}

#[async_trait]
impl Mailer for FakeMailer {
    fn transport(&self) -> &'static str {
        "fake"
    }

    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let mut attempts = self.0.lock();
        attempts.mails.push(mail.clone());
        if attempts.failures > 0 {
            attempts.failures -= 1;
            return Err(attempts.error.clone().expect("an error"));
        }
        Ok(())
    }
}

impl FakeMailer {
    /// Lets the next attempts fail, as if the server were away.
    pub fn fail(&self, attempts: u32) {
        self.fail_with(attempts, MailError::Unavailable("451".to_owned()));
    }

    /// Lets the next attempts fail with this error.
    pub fn fail_with(&self, attempts: u32, error: MailError) {
        let mut state = self.0.lock();
        (state.failures, state.error) = (attempts, Some(error));
    }

    /// Returns the mail of each attempt.
    pub fn mails(&self) -> Vec<Mail> {
        self.0.lock().mails.clone()
    }

    pub fn message_ids(&self) -> Vec<Uuid> {
        self.mails().iter().map(|mail| mail.message_id).collect()
    }

    pub fn subjects(&self) -> Vec<String> {
        self.mails().into_iter().map(|mail| mail.subject).collect()
    }
}

pub struct TestApp {
    pub database: TestDatabase,
    pub mailer: FakeMailer,
    handler: PatientEventHandler,
    pub router: Router,
    pub tokens: TestTokens,
}

impl TestApp {
    /// Starts the service; `None` without a database server for tests.
    pub async fn start() -> Option<Self> {
        Some(Self::with_database(TestDatabase::create().await?).await)
    }

    /// Starts the service on the database of a release whose notifications had the recipient: a patient with a pending
    /// notification, and a deleted one with two.
    pub async fn start_with_former_schema() -> Option<Self> {
        let database = TestDatabase::create().await?;
        let former: Vec<_> = MIGRATIONS
            .iter()
            .filter(|migration| migration.version < 3)
            .cloned()
            .collect();
        let former = sqlx::migrate::Migrator {
            migrations: former.into(),
            ..sqlx::migrate::Migrator::DEFAULT
        };
        database::migrate(&database.pool, &former).await.expect("migrations");
        sqlx::raw_sql(
            "insert into patients (patient_id, version, deleted)
                 values (uuid '00000000-0000-0000-0000-000000000001', 1, false),
                        (uuid '00000000-0000-0000-0000-000000000002', 2, true);
             insert into notifications (id, event_id, patient_id, version, kind, recipient_name, recipient_email)
                 select id, id, patient, version, kind, 'Ada', email from (values
                     (uuid '00000000-0000-7000-8000-000000000001', uuid '00000000-0000-0000-0000-000000000001',
                      1, 'WELCOME', 'ada@example.org'),
                     (uuid '00000000-0000-7000-8000-000000000002', uuid '00000000-0000-0000-0000-000000000002',
                      1, 'WELCOME', 'gone@example.org'),
                     (uuid '00000000-0000-7000-8000-000000000003', uuid '00000000-0000-0000-0000-000000000002',
                      2, 'FAREWELL', 'gone@example.org')
                 ) former (id, patient, version, kind, email)",
        )
        .execute(&database.pool)
        .await
        .expect("the former rows");
        Some(Self::with_database(database).await)
    }

    async fn with_database(database: TestDatabase) -> Self {
        database::migrate(&database.pool, &MIGRATIONS)
            .await
            .expect("migrations");
        let tokens = TestTokens::new();
        let queued = Arc::new(Notify::new());
        let router = router(AppState {
            kit: kit::AppState {
                pool: database.pool.clone(),
                verifier: tokens.verifier(),
            },
            queued: queued.clone(),
        });
        let handler = PatientEventHandler {
            pool: database.pool.clone(),
            queued,
        };
        Self {
            database,
            mailer: FakeMailer::default(),
            handler,
            router,
            tokens,
        }
    }

    /// Returns a sender that the event handler wakes.
    pub fn sender(&self) -> Sender {
        self.sender_with(Some(Arc::new(self.mailer.clone())))
    }

    /// Returns a sender with another mailer, or none.
    pub fn sender_with(&self, mailer: Option<Arc<dyn Mailer>>) -> Sender {
        Sender::new(self.database.pool.clone(), mailer, self.handler.queued.clone())
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

    /// Sends all due notifications.
    pub async fn send_due(&self) {
        while self.sender().send_next().await.expect("no database error") {}
    }

    pub async fn get(&self, path: &str, role: Option<Role>) -> (StatusCode, HeaderMap, Value) {
        self.call("GET", path, role, None).await
    }

    pub async fn call(
        &self,
        method: &str,
        path: &str,
        role: Option<Role>,
        body: Option<Value>,
    ) -> (StatusCode, HeaderMap, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(role) = role {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.tokens.token(role)));
        }
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let request = request.body(body).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("a response");
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
        (
            parts.status,
            parts.headers,
            serde_json::from_slice(&body).expect("JSON"),
        )
    }

    /// Returns the rows in which a name or an address is stored.
    pub async fn rows_with_a_person(&self) -> i64 {
        let rows = "select (select count(*) from patients where name is not null or email is not null)
                    + (select count(*) from notifications where recipient_name is not null or recipient_email is not null)";
        sqlx::query_scalar(rows)
            .fetch_one(&self.database.pool)
            .await
            .expect("a count")
    }

    /// Returns a field of the patient's last notification; null if it is absent.
    pub async fn last(&self, patient: Uuid, field: &str) -> Value {
        let path = format!("/notifications?patientId={patient}");
        let (_, _, listed) = self.get(&path, Some(Role::User)).await;
        let last = listed.as_array().and_then(|all| all.last()).cloned();
        last.expect("a notification")[field].clone()
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

    /// Makes every notification older.
    pub async fn age(&self, interval: &str) {
        sqlx::query("update notifications set queued_at = queued_at - $1::text::interval")
            .bind(interval)
            .execute(&self.database.pool)
            .await
            .expect("an update");
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

/// Returns an event of a patient with another name and address.
pub fn event_of(patient: Uuid, event_type: &str, version: i64, name: &str, email: &str) -> PatientEvent {
    PatientEvent {
        name: name.to_owned(),
        email: email.to_owned(),
        ..event(patient, event_type, version)
    }
}

/// Returns a deletion, which has ids only.
pub fn deletion(patient: Uuid, version: i64) -> PatientEvent {
    PatientEvent {
        birth_year: 0,
        ..event_of(patient, "PATIENT_DELETED", version, "", "")
    }
}
