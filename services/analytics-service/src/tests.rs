//! The service as it meets the world: messages in, answers out.

mod over_kafka;
mod properties;

use std::collections::HashMap;

use axum::{Router, body::Body};
use contracts::{
    events::{Event, Unreadable},
    patient::events::PatientEvent,
};
use http::{Request, StatusCode};
use kit::{
    Role, database,
    kafka::{Handled, Handler, Message},
    testing::{TestDatabase, TestTokens},
};
use prost::Message as _;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, macros::datetime};
use tower::ServiceExt;
use uuid::Uuid;

use crate::{
    MIGRATOR,
    consumer::Recorder,
    journal::{self, Recorded},
    routes::{self, AppState},
    summary,
};

struct Service {
    database: TestDatabase,
    recorder: Recorder,
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
        Some(Self {
            recorder: Recorder {
                pool: database.pool.clone(),
            },
            router,
            tokens,
            database,
        })
    }

    async fn deliver(&self, payload: &[u8]) -> Handled {
        let message = Message {
            topic: "patient",
            partition: 0,
            offset: 7,
            key: b"",
            payload,
        };
        self.recorder.handle(&message).await.expect("the database answers")
    }

    async fn get(&self, path: &str, role: Role) -> (StatusCode, Value) {
        let bearer = format!("Bearer {}", self.tokens.token(role));
        let request = Request::get(path)
            .header("authorization", bearer)
            .body(Body::empty())
            .expect("a request");
        let answer = self.router.clone().oneshot(request).await.expect("an answer");
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    async fn history(&self, patient: Uuid) -> Vec<String> {
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

fn event(patient: Uuid, event_type: &str, version: i64, at: OffsetDateTime) -> PatientEvent {
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

#[tokio::test]
async fn an_event_counts_once_however_often_it_is_delivered() {
    let Some(service) = Service::start().await else { return };
    let now = OffsetDateTime::now_utc();
    let patient = Uuid::new_v4();
    let created = event(patient, "PATIENT_CREATED", 1, now).encode_to_vec();
    let updated = event(patient, "PATIENT_UPDATED", 2, now).encode_to_vec();
    for message in [&created, &updated, &created, &updated] {
        assert_eq!(service.deliver(message).await, Handled::Done);
    }
    assert_eq!(
        service.history(patient).await,
        ["PATIENT_CREATED 1", "PATIENT_UPDATED 2"]
    );
    let (status, summary) = service.get("/analytics/summary", Role::Admin).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        summary["totals"],
        json!({"patients": 1, "created": 1, "updated": 1, "deleted": 0})
    );
    let today = summary["byDay"]
        .as_array()
        .and_then(|days| days.last())
        .expect("thirty days");
    assert_eq!(
        today,
        &json!({"day": now.date().to_string(), "created": 1, "updated": 1, "deleted": 0})
    );
    service.database.drop().await;
}

#[tokio::test]
async fn an_older_version_changes_nothing_and_a_tombstone_is_final() {
    let Some(service) = Service::start().await else { return };
    let pool = &service.database.pool;
    let now = OffsetDateTime::now_utc();
    let patient = Uuid::new_v4();
    let read = |message: PatientEvent| Event::decode(&message.encode_to_vec()).expect("readable");
    let newer = read(PatientEvent {
        birth_year: 1990,
        ..event(patient, "PATIENT_UPDATED", 3, now)
    });
    let older = read(PatientEvent {
        birth_year: 1890,
        ..event(patient, "PATIENT_UPDATED", 2, now)
    });
    let deleted = read(event(patient, "PATIENT_DELETED", 4, now));
    let undead = read(event(patient, "PATIENT_UPDATED", 5, now));
    assert_eq!(
        journal::record(pool, &newer).await.expect("recorded"),
        Recorded::Applied
    );
    assert_eq!(journal::record(pool, &older).await.expect("recorded"), Recorded::Late);
    let state = "select version, birth_year, deleted from patients where patient_id = $1";
    let read_state = async || {
        let row = sqlx::query_as::<_, (i64, Option<i32>, bool)>(state)
            .bind(patient)
            .fetch_one(pool)
            .await;
        row.expect("one patient")
    };
    assert_eq!(read_state().await, (3, Some(1990), false));
    assert_eq!(
        journal::record(pool, &deleted).await.expect("recorded"),
        Recorded::Applied
    );
    assert_eq!(journal::record(pool, &undead).await.expect("recorded"), Recorded::Late);
    assert_eq!(
        journal::record(pool, &deleted).await.expect("recorded"),
        Recorded::Duplicate
    );
    assert_eq!(read_state().await, (4, None, true));
    service.database.drop().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_poison_and_says_why_without_quoting_it() {
    let good = event(Uuid::new_v4(), "PATIENT_CREATED", 1, OffsetDateTime::now_utc());
    let far = Some(prost_types::Timestamp {
        seconds: i64::MAX,
        nanos: 0,
    });
    for (message, reason) in [
        (
            PatientEvent {
                event_id: "7".to_owned(),
                ..good.clone()
            },
            Unreadable::EventId,
        ),
        (
            PatientEvent {
                patient_id: String::new(),
                ..good.clone()
            },
            Unreadable::PatientId,
        ),
        (
            PatientEvent {
                event_type: "PATIENT_CLONED".to_owned(),
                ..good.clone()
            },
            Unreadable::EventType,
        ),
        (
            PatientEvent {
                version: 0,
                ..good.clone()
            },
            Unreadable::Version,
        ),
        (
            PatientEvent {
                occurred_at: None,
                ..good.clone()
            },
            Unreadable::OccurredAt,
        ),
        (
            PatientEvent {
                occurred_at: far,
                ..good.clone()
            },
            Unreadable::OccurredAt,
        ),
    ] {
        assert_eq!(Event::decode(&message.encode_to_vec()), Err(reason));
    }
    assert_eq!(Event::decode(b"\xff\xff"), Err(Unreadable::Protobuf));
    assert_eq!(Event::decode(b""), Err(Unreadable::Empty));

    let Some(service) = Service::start().await else { return };
    assert_eq!(
        service.deliver(b"Ada Example").await,
        Handled::Poison(Unreadable::Protobuf.to_string())
    );
    service.database.drop().await;
}

#[tokio::test]
async fn patients_are_counted_by_age_and_days_without_events_are_zero() {
    let Some(service) = Service::start().await else { return };
    let pool = &service.database.pool;
    let now = datetime!(2026-03-15 12:00 UTC);
    for (birth_year, days_ago) in [(2026, 0), (2009, 0), (2008, 1), (1961, 29), (1900, 30), (0, 400)] {
        let message = event(Uuid::new_v4(), "PATIENT_CREATED", 1, now - Duration::days(days_ago));
        let message = PatientEvent { birth_year, ..message };
        assert_eq!(service.deliver(&message.encode_to_vec()).await, Handled::Done);
    }
    let summary = summary::summarise(pool, now).await.expect("a summary");
    let bands: Vec<_> = summary
        .age_bands
        .iter()
        .map(|band| (band.band.as_str(), band.patients))
        .collect();
    assert_eq!(
        bands,
        [("0-17", 2), ("18-39", 1), ("40-64", 0), ("65+", 2), ("unknown", 1)]
    );
    let days: HashMap<_, _> = summary
        .by_day
        .iter()
        .map(|day| (day.day.to_string(), day.created))
        .collect();
    assert_eq!(days.len(), 30);
    assert_eq!(
        [
            days["2026-02-14"],
            days["2026-03-13"],
            days["2026-03-14"],
            days["2026-03-15"]
        ],
        [1, 0, 1, 2]
    );
    service.database.drop().await;
}

#[tokio::test]
async fn a_timeline_counts_each_bucket_of_its_range() {
    let Some(service) = Service::start().await else { return };
    for (event_type, at) in [
        ("PATIENT_CREATED", datetime!(2026-01-31 23:59:59 UTC)),
        ("PATIENT_CREATED", datetime!(2026-02-01 00:00 UTC)),
        ("PATIENT_DELETED", datetime!(2026-02-28 12:00 UTC)),
        ("PATIENT_UPDATED", datetime!(2026-04-01 00:00 UTC)),
    ] {
        service
            .deliver(&event(Uuid::new_v4(), event_type, 1, at).encode_to_vec())
            .await;
    }
    let path = "/analytics/timeline?from=2026-01-15&to=2026-04-01T00:00:00Z&bucket=month";
    let (status, points) = service.get(path, Role::Admin).await;
    assert_eq!(status, StatusCode::OK, "{points}");
    assert_eq!(
        points,
        json!([
            {"start": "2026-01-01T00:00:00Z", "created": 1, "updated": 0, "deleted": 0},
            {"start": "2026-02-01T00:00:00Z", "created": 1, "updated": 0, "deleted": 1},
            {"start": "2026-03-01T00:00:00Z", "created": 0, "updated": 0, "deleted": 0},
        ])
    );
    let (_, days) = service
        .get("/analytics/timeline?from=2026-02-01&to=2026-02-03", Role::Admin)
        .await;
    assert_eq!(
        days.as_array().map(Vec::len),
        Some(2),
        "a day is the default bucket: {days}"
    );
    for bucket in ["hour", "day", "week", "month"] {
        let (status, _) = service
            .get(&format!("/analytics/timeline?bucket={bucket}"), Role::Admin)
            .await;
        assert_eq!(status, StatusCode::OK, "{bucket}");
    }
    service.database.drop().await;
}

#[tokio::test]
async fn a_long_history_is_read_in_pages() {
    let Some(service) = Service::start().await else { return };
    let (patient, now) = (Uuid::new_v4(), OffsetDateTime::now_utc());
    for version in 1..=7 {
        service
            .deliver(&event(patient, "PATIENT_UPDATED", version, now).encode_to_vec())
            .await;
    }
    let (mut versions, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/analytics/events?patientId={patient}&limit=3{after}");
        let (status, page) = service.get(&path, Role::Admin).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let page = page.as_array().expect("an array");
        versions.extend(page.iter().map(|event| event["version"].as_i64().expect("a version")));
        match page.last().filter(|_| page.len() == 3) {
            Some(last) => after = format!("&after={}", last["eventId"].as_str().expect("an id")),
            None => break,
        }
    }
    assert_eq!(versions, [1, 2, 3, 4, 5, 6, 7]);
    service.database.drop().await;
}

#[tokio::test]
async fn bad_parameters_and_wrong_roles_are_refused() {
    let Some(service) = Service::start().await else { return };
    for path in [
        "/analytics/events",
        "/analytics/events?patientId=1",
        "/analytics/events?patientId=00000000-0000-4000-8000-000000000000&limit=1001",
        "/analytics/events?patientId=00000000-0000-4000-8000-000000000000&limit=99999999999999999999",
        "/analytics/timeline?bucket=second",
        "/analytics/timeline?from=yesterday",
        "/analytics/timeline?from=2026-02-30",
        "/analytics/timeline?from=-9999-01-01",
        "/analytics/timeline?to=9999-12-31T23:59:59-23:59",
        "/analytics/timeline?from=2026-02-02&to=2026-02-02",
        "/analytics/timeline?from=2000-01-01&to=2026-01-01&bucket=hour",
    ] {
        let (status, problem) = service.get(path, Role::Admin).await;
        assert_eq!(
            (status, &problem["status"]),
            (StatusCode::BAD_REQUEST, &Value::from(400)),
            "{path}: {problem}"
        );
    }
    for path in ["/analytics/summary", "/analytics/timeline", "/analytics/events"] {
        assert_eq!(service.get(path, Role::User).await.0, StatusCode::FORBIDDEN, "{path}");
    }
    service.database.drop().await;
}
