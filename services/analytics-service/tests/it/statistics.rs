//! Summary and timeline.

use std::collections::HashMap;

use analytics_service::summary;
use contracts::patient::events::PatientEvent;
use http::StatusCode;
use kit::{Role, kafka::Handled};
use prost::Message;
use serde_json::{Value, json};
use time::{Duration, macros::datetime};
use uuid::Uuid;

use crate::support::{TestApp, event};

#[tokio::test]
async fn the_summary_counts_patients_by_age_and_includes_days_without_events() {
    let Some(app) = TestApp::start().await else { return };
    let pool = &app.database.pool;
    let now = datetime!(2026-03-15 12:00 UTC);
    for (birth_year, days_ago) in [(2026, 0), (2009, 0), (2008, 1), (1961, 29), (1900, 30), (0, 400)] {
        let message = event(Uuid::new_v4(), "PATIENT_CREATED", 1, now - Duration::days(days_ago));
        let message = PatientEvent { birth_year, ..message };
        assert_eq!(app.deliver(&message.encode_to_vec()).await, Handled::Done);
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
    app.database.drop().await;
}

#[tokio::test]
async fn the_timeline_counts_the_events_of_each_bucket() {
    let Some(app) = TestApp::start().await else { return };
    for (event_type, at) in [
        ("PATIENT_CREATED", datetime!(2026-01-31 23:59:59 UTC)),
        ("PATIENT_CREATED", datetime!(2026-02-01 00:00 UTC)),
        ("PATIENT_DELETED", datetime!(2026-02-28 12:00 UTC)),
        ("PATIENT_UPDATED", datetime!(2026-04-01 00:00 UTC)),
    ] {
        let event = event(Uuid::new_v4(), event_type, 1, at);
        app.deliver(&event.encode_to_vec()).await;
    }
    let path = "/analytics/timeline?from=2026-01-15&to=2026-04-01T00:00:00Z&bucket=month";
    let (status, points) = app.get(path, Role::Admin).await;
    assert_eq!(status, StatusCode::OK, "{points}");
    assert_eq!(
        points,
        json!([
            {"start": "2026-01-01T00:00:00Z", "created": 1, "updated": 0, "deleted": 0},
            {"start": "2026-02-01T00:00:00Z", "created": 1, "updated": 0, "deleted": 1},
            {"start": "2026-03-01T00:00:00Z", "created": 0, "updated": 0, "deleted": 0},
        ])
    );
    let (_, days) = app
        .get("/analytics/timeline?from=2026-02-01&to=2026-02-03", Role::Admin)
        .await;
    assert_eq!(
        days.as_array().map(Vec::len),
        Some(2),
        "a day is the default bucket: {days}"
    );
    for bucket in ["hour", "day", "week", "month"] {
        let (status, _) = app
            .get(&format!("/analytics/timeline?bucket={bucket}"), Role::Admin)
            .await;
        assert_eq!(status, StatusCode::OK, "{bucket}");
    }
    app.database.drop().await;
}

#[tokio::test]
async fn invalid_parameters_and_wrong_roles_are_rejected() {
    let Some(app) = TestApp::start().await else { return };
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
        let (status, problem) = app.get(path, Role::Admin).await;
        assert_eq!(
            (status, &problem["status"]),
            (StatusCode::BAD_REQUEST, &Value::from(400)),
            "{path}: {problem}"
        );
    }
    for path in ["/analytics/summary", "/analytics/timeline", "/analytics/events"] {
        assert_eq!(app.get(path, Role::User).await.0, StatusCode::FORBIDDEN, "{path}");
    }
    app.database.drop().await;
}
