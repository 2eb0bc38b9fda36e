//! Events: recorded once, in any order, and listed page by page.

use analytics_service::{
    event_handler::PatientEventHandler,
    journal::{self, Recorded},
};
use contracts::{
    events::{Event, Unreadable},
    patient::events::PatientEvent,
};
use http::{HeaderMap, StatusCode, header};
use kit::{
    Role,
    kafka::{EventHandler, Handled},
};
use prost::Message;
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::support::{TestApp, event};

#[tokio::test]
async fn an_event_is_recorded_once_although_it_is_delivered_twice() {
    let Some(app) = TestApp::start().await else { return };
    let now = OffsetDateTime::now_utc();
    let patient = Uuid::new_v4();
    let created = event(patient, "PATIENT_CREATED", 1, now).encode_to_vec();
    let updated = event(patient, "PATIENT_UPDATED", 2, now).encode_to_vec();
    for message in [&created, &updated, &created, &updated] {
        assert_eq!(app.deliver(message).await, Handled::Done);
    }
    assert_eq!(app.history(patient).await, ["PATIENT_CREATED 1", "PATIENT_UPDATED 2"]);
    let (status, summary) = app.get("/analytics/summary", Role::Admin).await;
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
    app.database.drop().await;
}

#[tokio::test]
async fn an_older_version_has_no_effect_and_a_tombstone_is_final() {
    let Some(app) = TestApp::start().await else { return };
    let pool = &app.database.pool;
    let now = OffsetDateTime::now_utc();
    let patient = Uuid::new_v4();
    let decode = |message: PatientEvent| Event::decode(&message.encode_to_vec()).expect("readable");
    let newer = decode(PatientEvent {
        birth_year: 1990,
        ..event(patient, "PATIENT_UPDATED", 3, now)
    });
    let older = decode(PatientEvent {
        birth_year: 1890,
        ..event(patient, "PATIENT_UPDATED", 2, now)
    });
    let deleted = decode(event(patient, "PATIENT_DELETED", 4, now));
    let after_deletion = decode(event(patient, "PATIENT_UPDATED", 5, now));
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
    assert_eq!(
        journal::record(pool, &after_deletion).await.expect("recorded"),
        Recorded::Late
    );
    assert_eq!(
        journal::record(pool, &deleted).await.expect("recorded"),
        Recorded::Duplicate
    );
    assert_eq!(read_state().await, (4, None, true));
    app.database.drop().await;
}

#[tokio::test]
async fn a_message_that_cannot_be_decoded_is_poison_and_its_reason_does_not_quote_it() {
    type Change = fn(&mut PatientEvent);
    let out_of_range = prost_types::Timestamp {
        seconds: i64::MAX,
        nanos: 0,
    };
    let cases: [(Change, Unreadable); 5] = [
        (|event| event.event_id = "7".to_owned(), Unreadable::EventId),
        (|event| event.patient_id.clear(), Unreadable::PatientId),
        (
            |event| event.event_type = "PATIENT_CLONED".to_owned(),
            Unreadable::EventType,
        ),
        (|event| event.version = 0, Unreadable::Version),
        (|event| event.occurred_at = None, Unreadable::OccurredAt),
    ];
    let decode = |event: PatientEvent| PatientEventHandler::decode(&event.encode_to_vec());
    let valid = event(Uuid::new_v4(), "PATIENT_CREATED", 1, OffsetDateTime::now_utc());
    for (change, reason) in cases {
        let mut invalid = valid.clone();
        change(&mut invalid);
        assert_eq!(decode(invalid), Err(reason));
    }
    let invalid = PatientEvent {
        occurred_at: Some(out_of_range),
        ..valid
    };
    assert_eq!(decode(invalid), Err(Unreadable::OccurredAt));
    assert_eq!(PatientEventHandler::decode(b"\xff\xff"), Err(Unreadable::Protobuf));
    assert_eq!(PatientEventHandler::decode(b""), Err(Unreadable::Empty));

    let Some(app) = TestApp::start().await else { return };
    assert_eq!(
        app.deliver(b"Ada Example").await,
        Handled::Poison(Unreadable::Protobuf.to_string())
    );
    app.database.drop().await;
}

#[tokio::test]
async fn the_events_of_a_patient_are_listed_page_by_page() {
    let Some(app) = TestApp::start().await else { return };
    let (patient, now) = (Uuid::new_v4(), OffsetDateTime::now_utc());
    for version in 1..=7 {
        let event = event(patient, "PATIENT_UPDATED", version, now);
        app.deliver(&event.encode_to_vec()).await;
    }
    let (mut versions, mut path) = (Vec::new(), format!("/analytics/events?patientId={patient}&limit=3"));
    loop {
        let (status, headers, page) = app.get_with_headers(&path, Role::Admin).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let page = page.as_array().expect("an array");
        versions.extend(page.iter().map(|event| event["version"].as_i64().expect("a version")));
        match next_page(&headers) {
            Some(next) => path = next,
            None => break,
        }
    }
    assert_eq!(versions, [1, 2, 3, 4, 5, 6, 7]);
    app.database.drop().await;
}

/// Returns the path of the next page, from the Link header.
fn next_page(headers: &HeaderMap) -> Option<String> {
    let link = headers.get(header::LINK)?.to_str().expect("text");
    let path = link.strip_prefix('<')?.strip_suffix(">; rel=\"next\"")?;
    Some(path.to_owned())
}
