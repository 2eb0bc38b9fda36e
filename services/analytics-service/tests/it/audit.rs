//! The audit trail: no route answers without a record.

use analytics_service::openapi;
use http::StatusCode;
use kit::{
    Role,
    testing::{audit_records, check_audit, routes_without_record},
};
use uuid::Uuid;

use crate::support::TestApp;

#[tokio::test]
async fn a_success_of_each_route_is_recorded_with_whom_it_concerned() {
    let Some(app) = TestApp::start().await else { return };
    let patient = Uuid::new_v4();
    let expected = [
        ("/analytics/summary".to_owned(), "GET /analytics/summary", "LIST", None),
        (
            "/analytics/timeline".to_owned(),
            "GET /analytics/timeline",
            "LIST",
            None,
        ),
        (
            format!("/analytics/events?patientId={patient}"),
            "GET /analytics/events",
            "LIST",
            Some(patient),
        ),
        (
            format!("/analytics/patients/{patient}/export"),
            "GET /analytics/patients/{patientId}/export",
            "EXPORT",
            Some(patient),
        ),
    ];
    for (path, ..) in &expected {
        assert_eq!(app.get(path, Role::Admin).await.0, StatusCode::OK, "{path}");
    }
    let records = audit_records(&app.database.pool).await;
    assert_eq!(records.len(), expected.len());
    for (record, (_, route, action, patient)) in records.iter().zip(&expected) {
        assert_eq!(
            (&*record.route, &*record.action, record.patient),
            (*route, *action, *patient)
        );
        assert_eq!(
            (&*record.service, record.outcome, &*record.shown),
            ("analytics-service", 200, &[][..])
        );
    }
    assert_eq!(routes_without_record(&openapi(), &records), Vec::<String>::new());
    app.database.drop().await;
}

#[tokio::test]
async fn every_outcome_of_each_route_is_one_record() {
    let Some(app) = TestApp::start().await else { return };
    let ids = [&*Uuid::new_v4().to_string(), "no-uuid"];
    check_audit(&app.router, &app.tokens, &app.database.pool, &openapi(), &ids).await;
    app.database.drop().await;
}
