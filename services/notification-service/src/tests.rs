//! The service as it meets the world: messages in, letters and answers out.

mod properties;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::{Router, body::Body};
use contracts::patient::events::PatientEvent;
use http::{Request, StatusCode};
use kit::{
    Role, database,
    kafka::{Handled, Handler, Message},
    testing::{TestDatabase, TestTokens},
};
use prost::Message as _;
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use uuid::Uuid;

use crate::{
    MIGRATOR,
    consumer::Receiver,
    letter::Letter,
    routes::{self, AppState},
    sender::Sender,
    sink::Sink,
};

/// The letters that left, as `Message-ID subject`; the first `refusals` attempts fail.
#[derive(Clone, Default)]
struct Mailbox {
    letters: Arc<Mutex<Vec<(String, String)>>>,
    refusals: Arc<Mutex<u32>>,
}

#[async_trait]
impl Sink for Mailbox {
    async fn deliver(&self, letter: &Letter) -> anyhow::Result<()> {
        assert_eq!(letter.to, "ada@example.org");
        assert!(letter.body.starts_with("Dear Ada Example,\n"), "{}", letter.body);
        self.letters
            .lock()
            .expect("letters")
            .push((letter.message_id.clone(), letter.subject.to_owned()));
        let mut refusals = self.refusals.lock().expect("refusals");
        anyhow::ensure!(*refusals == 0, {
            *refusals -= 1;
            "the mail server is away"
        });
        Ok(())
    }
}

impl Mailbox {
    fn subjects(&self) -> Vec<String> {
        self.letters
            .lock()
            .expect("letters")
            .iter()
            .map(|(_, subject)| subject.clone())
            .collect()
    }
}

struct Service {
    database: TestDatabase,
    receiver: Receiver,
    wake: Arc<Notify>,
    mailbox: Mailbox,
    router: Router,
    tokens: TestTokens,
}

impl Service {
    async fn start() -> Option<Self> {
        let database = TestDatabase::create().await?;
        database::migrate(&database.pool, &MIGRATOR).await.expect("migrations");
        let tokens = TestTokens::new();
        let router = routes::routes(AppState {
            pool: database.pool.clone(),
            verifier: tokens.verifier(),
        });
        let wake = Arc::new(Notify::new());
        let receiver = Receiver {
            pool: database.pool.clone(),
            wake: wake.clone(),
        };
        Some(Self {
            receiver,
            wake,
            mailbox: Mailbox::default(),
            router,
            tokens,
            database,
        })
    }

    fn sender(&self) -> Sender<Mailbox> {
        Sender::new(self.database.pool.clone(), self.mailbox.clone(), self.wake.clone())
    }

    async fn deliver(&self, payload: &[u8]) -> Handled {
        let message = Message {
            topic: "patient",
            partition: 0,
            offset: 7,
            key: b"",
            payload,
        };
        self.receiver.handle(&message).await.expect("the database answers")
    }

    async fn send_all(&self) {
        while self.sender().send_next().await.expect("the database answers") {}
    }

    async fn get(&self, path: &str, role: Option<Role>) -> (StatusCode, Value) {
        let request = Request::get(path);
        let request = match role {
            Some(role) => request.header("authorization", format!("Bearer {}", self.tokens.token(role))),
            None => request,
        };
        let answer = self
            .router
            .clone()
            .oneshot(request.body(Body::empty()).expect("a request"))
            .await;
        let answer = answer.expect("an answer");
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    /// The patient's notifications as `KIND STATUS`.
    async fn notifications(&self, patient: Uuid) -> Vec<String> {
        let (status, listed) = self
            .get(&format!("/notifications?patientId={patient}"), Some(Role::User))
            .await;
        assert_eq!(status, StatusCode::OK, "{listed}");
        let listed = listed.as_array().expect("an array");
        listed
            .iter()
            .map(|one| format!("{} {}", one["kind"], one["status"]).replace('"', ""))
            .collect()
    }

    /// Makes every pending notification due, as if its pause or lease were over.
    async fn let_time_pass(&self) {
        let all = "update notifications set next_attempt_at = now() where status = 'PENDING'";
        sqlx::query(all).execute(&self.database.pool).await.expect("updated");
    }
}

fn event(patient: Uuid, event_type: &str, version: i64) -> PatientEvent {
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

#[tokio::test]
async fn each_event_is_told_once_and_the_recipient_is_forgotten() {
    let Some(service) = Service::start().await else { return };
    let patient = Uuid::new_v4();
    let events = [
        event(patient, "PATIENT_CREATED", 1).encode_to_vec(),
        event(patient, "PATIENT_UPDATED", 2).encode_to_vec(),
        event(patient, "PATIENT_DELETED", 3).encode_to_vec(),
    ];
    for message in events.iter().chain(&events) {
        assert_eq!(service.deliver(message).await, Handled::Done);
    }
    assert_eq!(
        service.notifications(patient).await,
        ["WELCOME PENDING", "DETAILS_CHANGED PENDING", "FAREWELL PENDING"]
    );
    service.send_all().await;
    assert_eq!(
        service.notifications(patient).await,
        ["WELCOME SENT", "DETAILS_CHANGED SENT", "FAREWELL SENT"]
    );
    assert_eq!(
        service.mailbox.subjects(),
        ["Welcome", "Your details were changed", "Goodbye"]
    );
    let kept = "select count(*) from notifications where recipient_name is not null or recipient_email is not null";
    let kept: i64 = sqlx::query_scalar(kept)
        .fetch_one(&service.database.pool)
        .await
        .expect("a count");
    assert_eq!(kept, 0);
    service.database.drop().await;
}

#[tokio::test]
async fn nobody_is_told_old_news_or_anything_after_the_farewell() {
    let Some(service) = Service::start().await else { return };
    let patient = Uuid::new_v4();
    for (event_type, version) in [
        ("PATIENT_UPDATED", 2),
        ("PATIENT_CREATED", 1),
        ("PATIENT_DELETED", 3),
        ("PATIENT_UPDATED", 4),
    ] {
        let message = event(patient, event_type, version).encode_to_vec();
        assert_eq!(service.deliver(&message).await, Handled::Done);
    }
    assert_eq!(
        service.notifications(patient).await,
        ["DETAILS_CHANGED PENDING", "FAREWELL PENDING"]
    );
    service.database.drop().await;
}

#[tokio::test]
async fn a_letter_that_fails_is_tried_again_under_the_same_message_id_and_later_ones_wait() {
    let Some(service) = Service::start().await else { return };
    let patient = Uuid::new_v4();
    *service.mailbox.refusals.lock().expect("refusals") = 1;
    for message in [
        event(patient, "PATIENT_CREATED", 1),
        event(patient, "PATIENT_UPDATED", 2),
    ] {
        service.deliver(&message.encode_to_vec()).await;
    }
    service.send_all().await;
    assert_eq!(service.mailbox.subjects(), ["Welcome"]);
    assert_eq!(
        service.notifications(patient).await,
        ["WELCOME PENDING", "DETAILS_CHANGED PENDING"]
    );
    service.let_time_pass().await;
    service.send_all().await;
    assert_eq!(
        service.mailbox.subjects(),
        ["Welcome", "Welcome", "Your details were changed"]
    );
    let letters = service.mailbox.letters.lock().expect("letters").clone();
    assert_eq!(letters[0].0, letters[1].0);
    assert_ne!(letters[1].0, letters[2].0);
    service.database.drop().await;
}

#[tokio::test]
async fn a_letter_that_always_fails_is_given_up() {
    let Some(service) = Service::start().await else { return };
    let patient = Uuid::new_v4();
    *service.mailbox.refusals.lock().expect("refusals") = u32::MAX;
    service
        .deliver(&event(patient, "PATIENT_CREATED", 1).encode_to_vec())
        .await;
    for _ in 0..12 {
        assert_eq!(service.notifications(patient).await, ["WELCOME PENDING"]);
        service.send_all().await;
        service.let_time_pass().await;
    }
    assert_eq!(service.notifications(patient).await, ["WELCOME FAILED"]);
    service.database.drop().await;
}

#[tokio::test]
async fn two_senders_send_each_letter_once_as_soon_as_it_is_written() {
    let Some(service) = Service::start().await else { return };
    let shutdown = CancellationToken::new();
    let senders = [service.sender(), service.sender()].map(|sender| tokio::spawn(sender.run(shutdown.clone())));
    for _ in 0..20 {
        service
            .deliver(&event(Uuid::new_v4(), "PATIENT_CREATED", 1).encode_to_vec())
            .await;
    }
    let pending = "select count(*) from notifications where status = 'PENDING'";
    let waited = tokio::time::timeout(std::time::Duration::from_secs(20), async {
        while sqlx::query_scalar::<_, i64>(pending)
            .fetch_one(&service.database.pool)
            .await
            .expect("a count")
            > 0
        {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    waited.await.expect("all are sent in time");
    shutdown.cancel();
    for sender in senders {
        sender.await.expect("no panic").expect("a quiet end");
    }
    assert_eq!(service.mailbox.subjects().len(), 20);
    service.database.drop().await;
}

#[tokio::test]
async fn a_deletion_without_an_address_leaves_its_tombstone_and_the_unreadable_is_poison() {
    let Some(service) = Service::start().await else { return };
    let patient = Uuid::new_v4();
    let nameless = PatientEvent {
        name: String::new(),
        email: String::new(),
        ..event(patient, "PATIENT_DELETED", 2)
    };
    assert_eq!(service.deliver(&nameless.encode_to_vec()).await, Handled::Done);
    service
        .deliver(&event(patient, "PATIENT_UPDATED", 3).encode_to_vec())
        .await;
    assert!(service.notifications(patient).await.is_empty());

    let forged = PatientEvent {
        name: "Ada\r\nBcc: all".to_owned(),
        ..event(patient, "PATIENT_CREATED", 1)
    };
    let unnamed = PatientEvent {
        email: " ".to_owned(),
        ..event(patient, "PATIENT_CREATED", 1)
    };
    for message in [
        forged.encode_to_vec(),
        unnamed.encode_to_vec(),
        b"\xff".to_vec(),
        Vec::new(),
    ] {
        let Handled::Poison(reason) = service.deliver(&message).await else {
            panic!("it must be poison")
        };
        assert!(!reason.contains("Ada") && !reason.is_empty(), "{reason}");
    }
    service.database.drop().await;
}

#[tokio::test]
async fn notifications_are_shown_to_whoever_is_signed_in() {
    let Some(service) = Service::start().await else { return };
    for _ in 0..3 {
        service
            .deliver(&event(Uuid::new_v4(), "PATIENT_CREATED", 1).encode_to_vec())
            .await;
    }
    assert_eq!(service.get("/notifications", None).await.0, StatusCode::UNAUTHORIZED);
    let (_, all) = service.get("/notifications", Some(Role::Admin)).await;
    let (_, page) = service.get("/notifications?limit=2", Some(Role::User)).await;
    let last = page[1]["id"].as_str().expect("an id");
    let (_, rest) = service
        .get(&format!("/notifications?after={last}"), Some(Role::User))
        .await;
    assert_eq!((&all[1], &all[2]), (&page[1], &rest[0]));
    let mut shown: Vec<_> = all[0].as_object().expect("an object").keys().collect();
    shown.sort();
    assert_eq!(shown, ["attempts", "createdAt", "id", "kind", "patientId", "status"]);
    for bad in ["?limit=1001", "?patientId=x", "?after=1"] {
        let (status, _) = service.get(&format!("/notifications{bad}"), Some(Role::User)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
    }
    service.database.drop().await;
}
